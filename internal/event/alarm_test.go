package event_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

func TestAlarmGolden(t *testing.T) {
	begun := event.Alarm{
		Reason: "wal_kept", Severity: event.Warning, Since: 1782912152000, Bytes: 2 << 30, LimitBytes: 1 << 30,
		Holder: &event.Holder{PID: 4711, Seconds: 9000, Database: "peerquest"},
	}
	over := begun
	over.Until, over.Bytes, over.Holder = 1782912999000, 1<<20, nil
	for file, a := range map[string]*event.Alarm{
		"stalled": &begun, "recovered": &over,
		"malformed": {Reason: "malformed", Severity: event.Critical, Since: 1782912152000, LSN: 24023400, What: "insert"},
	} {
		e := event.OfAlarm("questwatch", a)
		data, err := e.Encode("questwatch")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, file, data)
		if back, err := event.AlarmOf(data); err != nil || !reflect.DeepEqual(back, *a) {
			t.Errorf("%s is read as %+v, %v", file, back, err)
		}
		if at, err := event.PositionOf(data); err == nil {
			t.Errorf("%s has position %+v", file, at)
		}
	}
	for _, bad := range []string{``, `{}`, `{"data":{"reason":7}}`, `[`} {
		if a, err := event.AlarmOf([]byte(bad)); err == nil {
			t.Errorf("%+v in %q", a, bad)
		}
	}
	if s := alarmSubject(&begun); s != "questwatch.events.stream.stalled.wal_kept._" {
		t.Error(s)
	}
	if s := alarmSubject(&over); s != "questwatch.events.stream.recovered.wal_kept._" {
		t.Error(s)
	}
}

func alarmSubject(a *event.Alarm) string {
	e := event.OfAlarm("questwatch", a)
	return e.Subject("questwatch")
}

// An alarm's events are told apart by whose it is, by what it is about and by when
// it began, and by nothing else.
func TestAlarmIDs(t *testing.T) {
	seen := map[string]bool{}
	for _, namespace := range []string{"a", "b"} {
		for _, reason := range []string{"disk", "lagging"} {
			for _, since := range []change.Millis{1, 2} {
				for _, until := range []change.Millis{0, 9} {
					a := event.Alarm{Reason: reason, Since: since, Until: until}
					e := event.OfAlarm(namespace, &a)
					if seen[e.ID] {
						t.Errorf("%s %+v has the id of another", namespace, a)
					}
					seen[e.ID] = true
					a.Bytes = 5
					if again := event.OfAlarm(namespace, &a); again.ID != e.ID {
						t.Error("the id depends on what was measured")
					}
				}
			}
		}
	}
}

// positioned is by how many of Positioned an event is found.
func positioned(e event.Event) (n int) {
	for _, filter := range event.Positioned() {
		if strings.HasPrefix(e.Subject("ns"), "ns.events."+strings.TrimSuffix(filter, ">")) {
			n++
		}
	}
	return n
}

// Every event that a record of the CDC stream has is found by Positioned, and no
// alarm is.
func TestPositioned(t *testing.T) {
	for _, kind := range []change.Kind{change.Gap, change.Epoch, change.Truncate, change.SchemaChanged} {
		if e, ok := event.OfControl(&change.Control{Kind: kind, Reason: "x"}, 1, event.Position{}); !ok || positioned(e) != 1 {
			t.Errorf("%s is found %d times", kind, positioned(e))
		}
	}
	for _, until := range []change.Millis{0, 2} {
		if e := event.OfAlarm("ns", &event.Alarm{Reason: "disk", Since: 1, Until: until}); positioned(e) != 0 {
			t.Errorf("%s is found", e.ID)
		}
	}
}
