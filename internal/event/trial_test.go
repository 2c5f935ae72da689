package event_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/event"
)

func TestTrial(t *testing.T) {
	e := event.OfTrial("questwatch", &event.Trial{Channel: "slack", Time: 1782912152000})
	data, err := e.Encode("questwatch")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "alert_test", data)
	again := event.OfTrial("questwatch", &event.Trial{Channel: "slack", Time: 1782912152001})
	if again.ID == e.ID {
		t.Error("two tries have one id")
	}
}
