package replay

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// Kinds of differences.
const (
	OnlyLive  = "only_live"  // found live, and not again
	OnlyAgain = "only_again" // found again, and not live
	Changed   = "changed"    // found both times, and not the same
)

// Difference is an event that the live checker and the replay do not have in common.
type Difference struct {
	Kind string `json:"difference"`
	ID   string `json:"id"`
	// Subject is that below the namespace's; of a changed one, as it was found again.
	Subject  string         `json:"subject"`
	Position event.Position `json:"position"`
	// Was and Is say how one that changed was found live, and how it is now.
	Was *Said `json:"live,omitempty"`
	Is  *Said `json:"again,omitempty"`
}

// Said is what of an event shows why it changed.
type Said struct {
	Severity rule.Severity `json:"severity,omitempty"` // 0 where the event says none
	Time     string        `json:"time"`
}

func (d *Difference) String() string {
	word := map[string]string{OnlyLive: "only live", OnlyAgain: "only now", Changed: "changed"}[d.Kind]
	text := fmt.Sprintf("%-9s  message %d  %s  %s", word, d.Position.Sequence, d.Subject, d.ID)
	if d.Was == nil || d.Is == nil {
		return text
	}
	if d.Was.Severity != d.Is.Severity {
		text += fmt.Sprintf("  severity %s -> %s", d.Was.Severity, d.Is.Severity)
	}
	if d.Was.Time != d.Is.Time {
		text += fmt.Sprintf("  time %s -> %s", spaced(d.Was.Time), spaced(d.Is.Time))
	}
	return text
}

// compared is an event, as far as it is compared.
type compared struct {
	id, subject string
	at          event.Position
	digest      [16]byte // of its content, without the position
	severity    rule.Severity
	time        change.Millis
}

func (t *compared) said() *Said { return &Said{t.severity, event.Stamp(t.time)} }

func comparedOf(subject string, data []byte) (t compared, err error) {
	t.subject = subject
	var env struct {
		ID   string    `json:"id"`
		Time time.Time `json:"time"`
		Data struct {
			Position *event.Position `json:"position"`
			Severity rule.Severity   `json:"severity"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return t, fmt.Errorf("read event: %w", err)
	}
	if env.Data.Position == nil || env.ID == "" {
		return t, fmt.Errorf("read event %q: it has no id or no position", env.ID)
	}
	t.id, t.at, t.digest = env.ID, *env.Data.Position, digestOf(data)
	t.severity, t.time = env.Data.Severity, change.MillisOf(env.Time)
	return t, nil
}

// digestOf leaves out the position.
func digestOf(data []byte) (digest [16]byte) {
	h := sha256.New()
	// The quotes of a text are escaped, so this stands in none.
	before, rest, _ := bytes.Cut(data, []byte(`"position":{`))
	_, after, _ := bytes.Cut(rest, []byte("}"))
	_, _ = h.Write(before) // hashes take everything
	_, _ = h.Write(after)
	copy(digest[:], h.Sum(nil))
	return digest
}

// differ compares two sequences of events that are mostly the same. What one of them has
// waits for the other's; of too many that wait the oldest are told apart for good, so
// memory is bounded whatever the range.
type differ struct {
	live, again waiting
	tell        func(Difference) error
	most        int
	// first and last are the messages that count. More is compared.
	first, last uint64

	events, moved, differences uint64
}

// mostWaiting takes some 20 MB for each of the two.
const mostWaiting = 100_000

func newDiffer(fn func(Difference) error) *differ {
	return &differ{live: newWaiting(), again: newWaiting(), tell: fn, most: mostWaiting, last: math.MaxUint64}
}

func (d *differ) fromLive(t compared) error { return d.take(t, &d.live, &d.again, OnlyLive) }

func (d *differ) fromAgain(t compared) error {
	if d.counts(t.at) {
		d.events++
	}
	return d.take(t, &d.again, &d.live, OnlyAgain)
}

// take compares an event with the other side's, or has it wait for that.
func (d *differ) take(t compared, ours, theirs *waiting, kind string) error {
	other, found := theirs.remove(t.id)
	if !found {
		if old, evicted := ours.add(t, d.most); evicted {
			return d.differs(kind, &old, nil)
		}
		return nil
	}
	if other.digest == t.digest && other.subject == t.subject {
		if other.at != t.at && d.counts(t.at) {
			d.moved++
		}
		return nil
	}
	if kind == OnlyLive {
		t, other = other, t // as it was found again
	}
	return d.differs(Changed, &t, &other)
}

func (d *differ) counts(at event.Position) bool {
	return at.Sequence >= d.first && at.Sequence <= d.last
}

// untold leaves out what was found again behind a position, and says how much it was.
func (d *differ) untold(at event.Position) (n uint64) {
	for id, t := range d.again.byID {
		if t.at.After(at) {
			delete(d.again.byID, id)
			if d.counts(t.at) {
				n++
			}
		}
	}
	return n
}

// differs tells of an event, with how it was found live where it was both times.
func (d *differ) differs(kind string, t, live *compared) error {
	if !d.counts(t.at) {
		return nil
	}
	d.differences++
	one := Difference{Kind: kind, ID: t.id, Subject: t.subject, Position: t.at}
	if live != nil {
		one.Was, one.Is = live.said(), t.said()
		if live.severity == 0 { // its data says none
			one.Is.Severity = 0
		}
	}
	return d.tell(one)
}

// end tells of all that still waits.
func (d *differ) end() error {
	for _, side := range []struct {
		waiting *waiting
		kind    string
	}{{&d.live, OnlyLive}, {&d.again, OnlyAgain}} {
		for {
			t, found := side.waiting.oldest()
			if !found {
				break
			}
			if err := d.differs(side.kind, &t, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// waiting holds events by id and in their order.
type waiting struct {
	byID  map[string]compared
	order []string // some of which have gone
}

func newWaiting() waiting { return waiting{byID: map[string]compared{}} }

// add returns the oldest one, where there are too many or the same one waits already.
func (w *waiting) add(t compared, most int) (old compared, evicted bool) {
	if len(w.byID) >= most {
		old, evicted = w.oldest()
	}
	w.byID[t.id] = t
	w.order = append(w.order, t.id)
	if len(w.order) > 2*len(w.byID)+1024 {
		kept := w.order[:0]
		for _, id := range w.order {
			if _, there := w.byID[id]; there {
				kept = append(kept, id)
			}
		}
		w.order = kept
	}
	return old, evicted
}

func (w *waiting) remove(id string) (compared, bool) {
	t, found := w.byID[id]
	delete(w.byID, id)
	return t, found
}

// oldest takes out the one that has waited longest.
func (w *waiting) oldest() (t compared, found bool) {
	for len(w.order) > 0 && !found {
		t, found = w.remove(w.order[0])
		w.order = w.order[1:]
	}
	return t, found
}

// newest is the position of what came last.
func (w *waiting) newest() (at event.Position) {
	for _, t := range w.byID {
		if t.at.After(at) {
			at = t.at
		}
	}
	return at
}
