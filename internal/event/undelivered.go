package event

import (
	"github.com/peerquest/questwatch/internal/change"
)

// Undelivered is the data of alert.undelivered: events that a channel of alerts was not
// told of, after the last try. They are in the stream for whoever looks.
type Undelivered struct {
	Channel string `json:"channel"`
	// Events counts them; EventIDs are the first few, in the stream between First and Last.
	Events   int      `json:"events"`
	EventIDs []string `json:"event_ids"`
	First    uint64   `json:"first_sequence"`
	Last     uint64   `json:"last_sequence"`
	Attempts int      `json:"attempts"`
	Error    string   `json:"error"`
	// Time is when it was given up, by our own clock.
	Time change.Millis `json:"ts_ms"`
}

// OfUndelivered is the event of what a channel was not told of. Its id is made of the
// namespace, the channel and the events' place, so that publishing it again is harmless.
func OfUndelivered(namespace string, u *Undelivered) Event {
	return Event{
		ID: idOf("alert.undelivered", namespace, u.Channel, u.First, u.Last), Group: "alert", What: "undelivered",
		Detail: u.Channel, Time: u.Time, Data: *u,
	}
}
