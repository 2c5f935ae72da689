package event_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
)

func TestMismatchGolden(t *testing.T) {
	at := event.Compared{Epoch: 2, Sequence: 815, LSN: 24023400, Time: 1782912152000}
	one := event.OfMismatch("questwatch", &event.Mismatch{QuestID: 42, Compared: at, More: 3, Differences: []quest.Difference{
		{Entity: "quest", ID: 42, Column: "status", Database: "in-progress", State: "open"},
		{Entity: "quest", ID: 42, Column: "title"},
		{Entity: "participant", ID: 3, Column: "row", Database: "present", State: "absent"},
	}})
	all := event.OfMismatches("questwatch", &event.Mismatches{Mismatched: 2, QuestIDs: []int64{42, 43}, Compared: at})
	for file, e := range map[string]*event.Event{"mismatch": &one, "mismatches": &all} {
		data, err := e.Encode("questwatch")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, file, data)
		if at, err := event.PositionOf(data); err == nil {
			t.Errorf("%s has position %+v", file, at)
		}
	}
	if s := one.Subject("questwatch"); s != "questwatch.events.audit.mismatch.state.42" {
		t.Error(s)
	}
	if s := all.Subject("questwatch"); s != "questwatch.events.audit.mismatch.summary._" {
		t.Error(s)
	}
	other := event.OfMismatch("questwatch", &event.Mismatch{QuestID: 43, Compared: at})
	again := event.OfMismatch("questwatch", &event.Mismatch{QuestID: 42, Compared: at})
	if other.ID == one.ID || again.ID != one.ID || all.ID == one.ID {
		t.Errorf("ids are %s, %s, %s and %s", one.ID, again.ID, other.ID, all.ID)
	}
}
