package stream

import (
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// The reasons of alarms; package event says what each one's numbers are.
const (
	walKept       = "wal_kept"
	walSafe       = "wal_safe"
	disk          = "disk"
	streamUnread  = "stream_unread"
	checkpointOld = "checkpoint_old"
	natsAway      = "nats_away"
	natsFull      = "nats_full"
	natsSlow      = "nats_slow"
	interruption  = "interrupted"
	heartbeat     = "heartbeat"
	lagging       = "lagging"
	malformed     = "malformed"
)

const (
	// ackLimit is how long an acknowledgement may take before JetStream is slow.
	ackLimit = 4 * time.Second
	// awayAfter is how long JetStream may be away without alarm: a restart.
	awayAfter = 3 * time.Second
	// interruptedAfter is the same for a session that does not come about.
	interruptedAfter = 10 * time.Second
	// settle is how long a number must be bad that may be so for a moment.
	settle = 4 * time.Second
	// firstReading is how long the checker may take to read the stream anew.
	firstReading = 5 * time.Minute
)

// checks judges what was seen. Whatever is not known changes nothing. A standby has
// nothing to tell: the instance that streams does.
func (c *GuardConfig) checks(v *view) []check {
	list := []check{
		c.kept(v), c.safe(v), c.disk(v), unread(v), unsaved(v), away(v), full(v), slow(v),
		interrupted(v), c.heartbeat(v), c.lagging(v), undecodable(v),
	}
	for i := range list {
		if v.flow.Standby() {
			list[i].raise, list[i].clear = false, true
		}
	}
	return list
}

func (c *GuardConfig) kept(v *view) check {
	u := &v.usage
	return check{
		alarm: event.Alarm{Reason: walKept, Severity: event.Warning, Bytes: u.Kept, LimitBytes: c.WALKept, Holder: u.Holder},
		raise: v.usageKnown && u.Kept >= c.WALKept, clear: v.usageKnown && u.Kept < c.WALKept/5*4, after: settle,
	}
}

// safe goes by what the server may still write where it has a limit, and by its own
// word that what the slot needs may go with the next checkpoint.
func (c *GuardConfig) safe(v *view) check {
	u := &v.usage
	limit := u.Limit / 100 * c.SafePercent
	limited := u.Limit > 0 && u.Safe >= 0
	low := limited && u.Safe < limit || u.Status == "unreserved"
	return check{
		alarm: event.Alarm{Reason: walSafe, Severity: event.Critical, Bytes: max(u.Safe, 0), LimitBytes: max(limit, 0)},
		raise: v.usageKnown && low, clear: v.usageKnown && !low && (!limited || u.Safe > limit+limit/5),
	}
}

func (c *GuardConfig) disk(v *view) check {
	s := &v.store
	return check{
		alarm: event.Alarm{Reason: disk, Severity: event.Warning, Bytes: s.Free, LimitBytes: c.DiskFree},
		raise: v.storeKnown && s.Disk && s.Free < c.DiskFree, clear: v.storeKnown && (!s.Disk || s.Free > c.DiskFree/4*5),
	}
}

// unread compares what the checker has not read with what the stream keeps.
func unread(v *view) check {
	s := &v.store
	c := check{alarm: event.Alarm{Reason: streamUnread, Severity: event.Critical}, clear: v.storeKnown, after: settle}
	if !v.storeKnown || !s.Reading {
		return c
	}
	if !s.CaughtUp {
		c.after = firstReading
	}
	return c.of(s.rest(s.Read, s.Oldest, v.now))
}

// unsaved does the same with what the checker would have to read after a start:
// without all of that it needs a baseline.
func unsaved(v *view) check {
	s := &v.store
	c := check{alarm: event.Alarm{Reason: checkpointOld, Severity: event.Warning}, clear: v.storeKnown, after: settle}
	if !v.storeKnown || !s.Reading || s.Checkpoint == 0 {
		return c
	}
	return c.of(s.rest(s.Checkpoint, s.Taken, v.now))
}

// of is the check with what it says of a part of the stream.
func (c check) of(r rest) check {
	c.raise, c.clear = r.above(80), !r.above(70)
	c.alarm.Sequence, c.alarm.Bytes, c.alarm.LimitBytes = uint64(r.first), r.bytes, r.maxBytes
	c.alarm.Seconds, c.alarm.LimitSeconds = int64(r.age.Seconds()), int64(r.maxAge.Seconds())
	return c
}

// rest is the part of the stream behind a message, and what the stream keeps; the
// maxima are 0 for no limit.
type rest struct {
	first           change.Seq // 0 when there is nothing
	bytes, maxBytes int64
	age, maxAge     time.Duration
	lost            bool // the stream has discarded some of it
}

// rest measures what lies behind a message, of which the first was stored at oldest.
func (s *Store) rest(behind change.Seq, oldest, now time.Time) (r rest) {
	r.lost = behind > 0 && behind+1 < s.First
	first := max(behind+1, s.First)
	if first <= s.Last {
		r.first = first
		r.bytes = int64(float64(s.Bytes) * float64(s.Last-first+1) / float64(s.Last-s.First+1))
	}
	r.maxBytes = max(s.MaxBytes, 0)
	if r.first != 0 && !oldest.IsZero() && s.MaxAge > 0 {
		r.age, r.maxAge = now.Sub(oldest), s.MaxAge
	}
	return r
}

// above reports whether so much of it is about to be discarded, by size or by age.
func (r *rest) above(percent int64) bool {
	return r.lost || r.maxBytes > 0 && r.bytes >= r.maxBytes/100*percent ||
		r.maxAge > 0 && r.age >= r.maxAge/100*time.Duration(percent)
}

func away(v *view) check {
	gone := v.takes != nil && !errors.Is(v.takes, ErrFull)
	return check{
		alarm: event.Alarm{Reason: natsAway, Severity: event.Critical},
		raise: gone, clear: !gone, after: awayAfter,
	}
}

// full goes by what JetStream says and by what it answered to the last session:
// an external server tells its limit only to whom it refuses.
func full(v *view) check {
	refused := !v.flow.Streaming() && errors.Is(v.flow.Cause, ErrFull)
	is := errors.Is(v.takes, ErrFull) || refused
	return check{
		alarm: event.Alarm{Reason: natsFull, Severity: event.Critical},
		raise: is, clear: !is && v.flow.Streaming() && v.flow.Waiting < ackLimit/4,
	}
}

func slow(v *view) check {
	w := v.flow.Waiting
	return check{
		alarm: event.Alarm{
			Reason: natsSlow, Severity: event.Critical, Seconds: int64(w.Seconds()), LimitSeconds: int64(ackLimit.Seconds()),
		},
		raise: v.takes == nil && (v.mute || w >= ackLimit && !errors.Is(v.flow.Cause, ErrFull)),
		clear: v.flow.Streaming() && !v.mute && w < ackLimit/4,
		after: settle / 2,
	}
}

func interrupted(v *view) check {
	ours := v.takes == nil && !v.mute && !errors.Is(v.flow.Cause, ErrFull) && !errors.Is(v.flow.Cause, ErrAway)
	a := event.Alarm{Reason: interruption, Severity: event.Critical}
	if v.flow.State == retrying {
		a.Seconds = int64(v.now.Sub(v.flow.Since).Seconds())
	}
	return check{
		alarm: a, raise: ours && v.flow.State == retrying,
		clear: v.flow.Streaming() || v.flow.State == baselining, after: interruptedAfter,
	}
}

// heartbeat is about the way through Postgres only: where JetStream holds us up,
// we do not read what may have come back.
func (c *GuardConfig) heartbeat(v *view) check {
	s := &v.flow
	reading := s.Streaming() && s.Waiting < ackLimit/4
	return check{
		alarm: event.Alarm{
			Reason: heartbeat, Severity: event.Critical, Seconds: int64(s.Silent.Seconds()), LimitSeconds: int64(c.Heartbeat.Seconds()),
		},
		raise: reading && s.Silent >= c.Heartbeat, clear: reading && s.Silent < c.Heartbeat/2,
	}
}

func (c *GuardConfig) lagging(v *view) check {
	s := &v.flow
	return check{
		alarm: event.Alarm{
			Reason: lagging, Severity: event.Critical, Seconds: int64(s.Behind.Seconds()), LimitSeconds: int64(c.Lag.Seconds()),
		},
		raise: s.Streaming() && s.Behind >= c.Lag, clear: s.Streaming() && s.Behind < c.Lag/2, after: settle,
	}
}

// undecodable is raised by Undecodable only, and ends the program. The next one, which
// has come past that data, tells that it is over.
func undecodable(v *view) check {
	return check{
		alarm: event.Alarm{Reason: malformed, Severity: event.Critical},
		clear: v.flow.Streaming() && v.flow.Silent < settle && v.storeKnown && v.store.CaughtUp,
	}
}

// meanings are what an alarm means, and what can be done, in a few words.
var meanings = map[string]struct{ text, advice string }{
	walKept:       {"Postgres keeps log for the slot", "look at the other alarms and at long transactions (pg_stat_activity, pg_prepared_xacts); alarm.wal_kept is the limit"},
	walSafe:       {"Postgres is about to throw away log that the slot needs", "let the program catch up, or raise max_slot_wal_keep_size"},
	disk:          {"the disk of the data directory is nearly full", "free disk space, or lower stream.keep_bytes"},
	streamUnread:  {"the stream is about to discard what the checker has not read", "raise stream.keep_bytes or stream.keep_for"},
	checkpointOld: {"the stream is about to discard what follows the newest checkpoint; a start would need a baseline", "the log says why no newer one was stored; or raise stream.keep_bytes or stream.keep_for"},
	natsAway:      {"JetStream cannot be reached", "look at the NATS server; the log waits in Postgres meanwhile"},
	natsFull:      {"JetStream has no room", "make room, or raise its limits; the log waits in Postgres meanwhile"},
	natsSlow:      {"JetStream acknowledges slowly or not at all", "look at the NATS server's load and disk"},
	interruption:  {"nothing streams", "look at the database; the log line of the interruption says more"},
	heartbeat:     {"nothing comes back through the slot", "look at the walsender in pg_stat_replication, and at the network"},
	lagging:       {"the stream is behind the database", "wait, or look what slows it down"},
	malformed: {
		"data cannot be decoded; it is not skipped",
		"keep the slot and report the log's lines; to go on without that data, drop the slot: the next start declares a gap and takes a new baseline",
	},
}

// numbers are an alarm's numbers as a log line's keys.
func numbers(a *event.Alarm) (attrs []any) {
	number := func(key string, value, limit int64) {
		if limit != 0 {
			attrs = append(attrs, key, value, "limit_"+key, limit)
		}
	}
	number("bytes", a.Bytes, a.LimitBytes)
	number("seconds", a.Seconds, a.LimitSeconds)
	if a.LSN != 0 {
		attrs = append(attrs, "lsn", a.LSN.String())
	}
	if a.Sequence != 0 {
		attrs = append(attrs, "seq", a.Sequence)
	}
	if h := a.Holder; h != nil {
		attrs = append(attrs, "pid", h.PID, "open_seconds", h.Seconds, "database", h.Database)
	}
	return attrs
}

// Explain is an alarm in words.
func Explain(a *event.Alarm) string {
	text := meanings[a.Reason].text
	switch {
	case a.Holder != nil && a.Holder.PID == 0:
		text += fmt.Sprintf(", held by a prepared transaction in database %s, %s", a.Holder.Database, age(a.Holder))
	case a.Holder != nil:
		text += fmt.Sprintf(", held by a transaction of process %d, %s", a.Holder.PID, age(a.Holder))
	}
	return text
}

func age(h *event.Holder) string {
	if h.Seconds < 0 {
		return "of unknown age"
	}
	return (time.Duration(h.Seconds) * time.Second).String() + " old"
}
