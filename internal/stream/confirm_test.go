package stream

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
)

var clockZero = time.Unix(0, 0)

// Whatever is published, acknowledged and asked for when: nothing is confirmed
// before its message has been acknowledged for the lag as it is then, nor before
// what the session found is durable; nothing is taken back, and everything is
// confirmed in the end.
func TestNothingIsConfirmedEarly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const longest = 5 * time.Second
		lag := longest
		c := &confirmer{
			lag:       func() time.Duration { return lag },
			notBefore: clockZero.Add(time.Duration(rapid.IntRange(-1, 20).Draw(t, "found")) * time.Second),
		}
		now, seq, acked, lsn, confirmed := clockZero, change.Seq(0), change.Seq(0), change.LSN(0), change.LSN(0)
		ackedAt := map[change.Seq]time.Time{}
		ends := map[change.Seq]change.LSN{}
		update := func() {
			got := c.update(acked, now)
			allowed := change.LSN(0)
			for seq, lsn := range ends {
				if at, ok := ackedAt[seq]; ok && now.Sub(at) >= lag && !now.Before(c.notBefore) {
					allowed = max(allowed, lsn)
				}
			}
			if got > max(allowed, confirmed) { // what was confirmed stays so when the lag grows
				t.Fatalf("confirmed %d at %v, allowed is %d", got, now.Sub(clockZero), allowed)
			}
			if got < confirmed {
				t.Fatalf("confirmed %d after %d", got, confirmed)
			}
			confirmed = got
		}
		for range rapid.IntRange(1, 60).Draw(t, "actions") {
			switch rapid.SampledFrom([]string{"publish", "burst", "ack", "wait", "lag", "update"}).Draw(t, "action") {
			case "lag":
				lag = rapid.SampledFrom([]time.Duration{0, longest}).Draw(t, "lag")
			case "publish":
				seq += change.Seq(rapid.IntRange(1, 3).Draw(t, "messages"))
				lsn += 10
				ends[seq] = lsn
				c.record(seq, lsn)
			case "burst":
				for range maxWaiting + 5 {
					seq, lsn = seq+1, lsn+10
					ends[seq] = lsn
					c.record(seq, lsn)
				}
			case "ack":
				next := acked + change.Seq(rapid.Uint64Range(0, uint64(seq-acked)).Draw(t, "acks"))
				for s := acked + 1; s <= next; s++ {
					ackedAt[s] = now
				}
				acked = next
			case "wait":
				now = now.Add(time.Duration(rapid.IntRange(1, 6000).Draw(t, "ms")) * time.Millisecond)
			case "update":
				update()
			}
		}
		for s := acked + 1; s <= seq; s++ {
			ackedAt[s] = now
		}
		acked = seq
		update()
		now = now.Add(longest + 20*time.Second)
		update()
		if confirmed != lsn {
			t.Fatalf("confirmed %d in the end, want %d", confirmed, lsn)
		}
	})
}

// Where the server syncs before it acknowledges, an acknowledgement is enough.
func TestNoLagConfirmsAtOnce(t *testing.T) {
	c := &confirmer{lag: func() time.Duration { return 0 }}
	c.record(3, 30)
	if got := c.update(2, clockZero); got != 0 {
		t.Errorf("confirmed %d before it is acknowledged", got)
	}
	if got := c.update(3, clockZero); got != 30 {
		t.Errorf("confirmed %d", got)
	}
}

// What a session finds may not be on the disk yet, and nothing behind it counts
// before it is.
func TestTailLagHoldsBackWhatIsAcknowledged(t *testing.T) {
	c := &confirmer{lag: func() time.Duration { return 0 }, notBefore: clockZero.Add(time.Second)}
	c.record(3, 30)
	c.record(4, 40)
	if got := c.update(4, clockZero.Add(time.Second-1)); got != 0 {
		t.Errorf("confirmed %d early", got)
	}
	if got := c.update(4, clockZero.Add(time.Second)); got != 40 {
		t.Errorf("confirmed %d", got)
	}
}

// With a long lag and acknowledgements that never pause, what is confirmed stays
// behind by the lag and a portion of it, in a list that stays short.
func TestLongLagIsKept(t *testing.T) {
	const lag, step = 150 * time.Second, 25 * time.Millisecond
	c := &confirmer{lag: func() time.Duration { return lag }}
	for i := range 4 * int64(lag/step) {
		now := clockZero.Add(time.Duration(i) * step)
		c.record(change.Seq(i+1), change.LSN(i+1))
		confirmed := c.update(change.Seq(i+1), now)
		due := i + 1 - int64((lag+lag/portions)/step) - 2
		if confirmed < change.LSN(max(due, 0)) {
			t.Fatalf("after %v %d is confirmed, %d is due", now.Sub(clockZero), confirmed, due)
		}
		if len(c.acked) > portions+2 {
			t.Fatalf("%d portions wait", len(c.acked))
		}
	}
}

// What shares a portion waits for the newest of it.
func TestPortionWaitsForItsNewest(t *testing.T) {
	const lag, apart = 5 * time.Second, 10 * time.Millisecond
	c := &confirmer{lag: func() time.Duration { return lag }}
	for i := range 2 {
		c.record(change.Seq(i+1), change.LSN(i+1))
		c.update(change.Seq(i+1), clockZero.Add(time.Duration(i)*apart))
	}
	if got := c.update(2, clockZero.Add(lag+apart-1)); got != 0 {
		t.Errorf("confirmed %d early", got)
	}
	if got := c.update(2, clockZero.Add(lag+apart)); got != 2 {
		t.Errorf("confirmed %d, want 2", got)
	}
}
