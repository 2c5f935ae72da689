package replay

import (
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

func TestUndeliveredIsOfAFinding(t *testing.T) {
	places := map[string]change.Seq{"a.opened": 10, "a.resolved": 20}
	for name, test := range map[string]struct {
		u    event.Undelivered
		want bool
	}{
		"named":             {event.Undelivered{Events: 1, EventIDs: []string{"a.opened"}, First: 10, Last: 10}, true},
		"others are named":  {event.Undelivered{Events: 1, EventIDs: []string{"b.opened"}, First: 10, Last: 10}, false},
		"among unnamed":     {event.Undelivered{Events: 9, EventIDs: []string{"b.opened"}, First: 5, Last: 15}, true},
		"before":            {event.Undelivered{Events: 9, EventIDs: []string{"b.opened"}, First: 1, Last: 9}, false},
		"between, not of a": {event.Undelivered{Events: 9, EventIDs: []string{"b.opened"}, First: 11, Last: 19}, false},
	} {
		if got := isOf(&test.u, places); got != test.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
