package event

import "github.com/peerquest/questwatch/internal/change"

// Trial is the data of alert.test: somebody tries whether a channel of alerts arrives.
// The event is sent over that channel alone, and is in no stream.
type Trial struct {
	Channel string `json:"channel"`
	// Time is when it was asked for, by our own clock.
	Time change.Millis `json:"ts_ms"`
}

// OfTrial is the event of a try.
func OfTrial(namespace string, t *Trial) Event {
	return Event{
		ID: idOf("alert.test", namespace, t.Channel, t.Time), Group: "alert", What: "test",
		Detail: t.Channel, Time: t.Time, Data: *t,
	}
}
