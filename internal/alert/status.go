package alert

import (
	"sync"
	"time"
)

// ChannelStatus is how a channel stands, as this process has seen it.
type ChannelStatus struct {
	Channel string `json:"channel"`
	// Waiting counts the events that wait to be told; MaxWaiting are counted at most.
	Waiting int `json:"waiting"`
	// Failing is when the first of the tries failed that have been in vain since the
	// channel took something last; absent while it takes what it is sent. Tries counts
	// them, and Error is what came of the newest.
	Failing time.Time `json:"failing_since,omitzero"`
	Tries   int       `json:"failed_tries,omitempty"`
	Error   string    `json:"error,omitempty"`
}

// health is a channel's status, which others read while it is served.
type health struct {
	mu     sync.Mutex // what is written by who serves the channel is read by whoever asks
	status ChannelStatus
}

func (h *health) read() ChannelStatus {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.status
}

// tried notes what came of a try, nil for that it was taken.
func (h *health) tried(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s := &h.status
	if err == nil {
		s.Failing, s.Tries, s.Error = time.Time{}, 0, ""
		return
	}
	if s.Tries == 0 {
		s.Failing = time.Now().UTC().Truncate(time.Millisecond)
	}
	s.Tries, s.Error = s.Tries+1, err.Error()
}

func (h *health) waiting(n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status.Waiting = n
}

// rest forgets everything: nobody serves the channel here now.
func (h *health) rest() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.status = ChannelStatus{Channel: h.status.Channel}
}

// Status is how the channels stand.
func (a *Alerter) Status() []ChannelStatus {
	list := make([]ChannelStatus, len(a.health))
	for i := range a.health {
		list[i] = a.health[i].read()
	}
	return list
}
