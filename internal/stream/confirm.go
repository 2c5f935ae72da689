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
	acked     []portion  // waiting for the lag, by time
	confirmed change.LSN
}

// recorded is an end LSN and the message that records it.
type recorded struct {
	seq change.Seq
	lsn change.LSN
}

// portion is what was acknowledged within a short time: it waits for its newest, as
// if all had been acknowledged with that.
type portion struct {
	from, to time.Time // of the acknowledgements
	lsn      change.LSN
}

const (
	// maxWaiting bounds what waits for its acknowledgement: beyond it, neighbours are
	// merged into the later one, which confirms later but never too early.
	maxWaiting = 1024
	// portions is how many the lag is cut into. So there are hardly more, whatever the
	// lag, and what comes first in one waits longer by that part of the lag at most.
	portions = 256
)

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
		c.join(c.published[n-1].lsn, now)
		c.published = append(c.published[:0], c.published[n:]...)
	}
	if now.Before(c.notBefore) {
		return c.confirmed
	}
	n = 0
	for lag := c.lag(); n < len(c.acked) && now.Sub(c.acked[n].to) >= lag; n++ {
		c.confirmed = max(c.confirmed, c.acked[n].lsn)
	}
	c.acked = append(c.acked[:0], c.acked[n:]...)
	return c.confirmed
}

// join adds to the newest portion, or begins another when that has lasted long
// enough. It needs mu.
func (c *confirmer) join(lsn change.LSN, now time.Time) {
	if last := len(c.acked) - 1; last >= 0 && now.Sub(c.acked[last].from) < c.lag()/portions {
		c.acked[last].to, c.acked[last].lsn = now, max(c.acked[last].lsn, lsn)
		return
	}
	c.acked = append(c.acked, portion{from: now, to: now, lsn: lsn})
}
