package event_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/event"
)

func TestUndelivered(t *testing.T) {
	u := event.Undelivered{
		Channel: "slack", Events: 2, EventIDs: []string{"a.opened", "b.opened"}, First: 7, Last: 9,
		Attempts: 31, Error: "post: the answer is 503 Service Unavailable", Time: 1782912152000,
	}
	e := event.OfUndelivered("questwatch", &u)
	if s := e.Subject("questwatch"); s != "questwatch.events.alert.undelivered.slack._" {
		t.Errorf("subject %s", s)
	}
	data, err := e.Encode("questwatch")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "alert_undelivered", data)
	later, other := u, u
	later.Time++
	other.Channel = "discord"
	if event.OfUndelivered("questwatch", &later).ID != e.ID || event.OfUndelivered("questwatch", &other).ID == e.ID {
		t.Error("an id is made of what was not told, and of nothing else")
	}
}
