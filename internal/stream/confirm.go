package stream

import (
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// confirmer knows which position Postgres may forget. It holds the confirm rule:
// only recorded end LSNs come in, and one goes out only when its message has been
// acknowledged for the lag.
type confirmer struct {
	lag func() time.Duration
	// notBefore is when what the session found in the stream is durable.
	notBefore time.Time

	mu        sync.Mutex // the feed publishes while the ticker confirms
	published []recorded // waiting for their acknowledgement, by sequence
	acked     []recorded // waiting for the lag, by time
	confirmed change.LSN
}

// recorded is an end LSN and the message that records it.
type recorded struct {
	seq change.Seq
	lsn change.LSN
	at  time.Time // of the acknowledgement
}

// maxWaiting bounds both lists: beyond it, neighbours are merged into the later
// one, which confirms later but never too early.
const maxWaiting = 1024

// record notes that a message records lsn.
func (c *confirmer) record(seq change.Seq, lsn change.LSN) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.published = push(c.published, recorded{seq: seq, lsn: lsn})
}

// push appends, in place of the last one when the list is full.
func push(list []recorded, r recorded) []recorded {
	if len(list) >= maxWaiting {
		list = list[:len(list)-1]
	}
	return append(list, r)
}

// update takes in what is acknowledged by now, and returns what may be forgotten.
func (c *confirmer) update(acked change.Seq, now time.Time) change.LSN {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := 0
	for n < len(c.published) && c.published[n].seq <= acked {
		n++
	}
	if n > 0 {
		newest := c.published[n-1]
		newest.at = now
		c.published = append(c.published[:0], c.published[n:]...)
		c.acked = push(c.acked, newest)
	}
	if now.Before(c.notBefore) {
		return c.confirmed
	}
	n = 0
	for lag := c.lag(); n < len(c.acked) && now.Sub(c.acked[n].at) >= lag; n++ {
		c.confirmed = max(c.confirmed, c.acked[n].lsn)
	}
	c.acked = append(c.acked[:0], c.acked[n:]...)
	return c.confirmed
}
