package drift

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/pack"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// Snapshot is a Tracker as it was at one moment. It may be written by another
// goroutine while the tracker goes on.
type Snapshot struct {
	now     change.Millis
	summary *Summary
	quests  [shardCount]map[int64][]*entry
}

// Snapshot is the tracker as it is now. It costs nothing to take.
func (t *Tracker) Snapshot() *Snapshot {
	p := &Snapshot{now: t.now, quests: t.quests.share()}
	if t.summary != nil {
		s := *t.summary
		p.summary = &s
	}
	return p
}

// Len is the number of findings and suspicions.
func (p *Snapshot) Len() (n int) {
	for _, m := range p.quests {
		for _, entries := range m {
			n += len(entries)
		}
	}
	return n
}

// Write writes the snapshot in a form that Read understands. Trackers that would
// go on alike give equal bytes.
func (p *Snapshot) Write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	b := binary.AppendVarint(nil, int64(p.now))
	b = appendSummary(b, p.summary)
	b = binary.AppendUvarint(b, uint64(p.Len()))
	for _, m := range p.quests {
		for _, id := range slices.Sorted(maps.Keys(m)) {
			for _, e := range m[id] {
				b = appendEntry(b, e)
				_, _ = out.Write(b)
				b = b[:0]
			}
		}
	}
	_, _ = out.Write(b)
	if err := out.Flush(); err != nil { // which keeps the first error of all
		return fmt.Errorf("write findings: %w", err)
	}
	return nil
}

// appendSummary appends what of a summary is known before it is due.
func appendSummary(b []byte, s *Summary) []byte {
	if s == nil {
		return append(b, 0)
	}
	b = appendWhere(append(b, 1), &s.Where)
	b = binary.AppendVarint(b, int64(s.At))
	return binary.AppendUvarint(b, uint64(s.Quests))
}

// appendEntry leaves out what follows from the rest: the id, and the numbers of
// people, whose texts it has.
func appendEntry(b []byte, e *entry) []byte {
	b = binary.AppendVarint(b, e.Quest)
	b = append(b, byte(e.phase))
	b = pack.AppendText(b, e.Violation.Rule.String())
	b = pack.AppendText(b, e.Violation.Cause)
	b = pack.AppendText(b, e.Violation.Severity.String())
	b = pack.AppendText(b, e.User)
	b = pack.AppendText(b, e.Suggested)
	b = pack.AppendText(b, e.Title)
	b = binary.AppendVarint(b, e.Violation.Application)
	b = appendIDs(b, e.Violation.Applications)
	b = appendIDs(b, e.Violation.Participants)
	b = appendWhere(b, &e.Where)
	b = binary.AppendVarint(b, int64(e.Since))
	return binary.AppendVarint(b, int64(e.Due))
}

func appendIDs(b []byte, ids []int64) []byte {
	b = binary.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = binary.AppendVarint(b, id)
	}
	return b
}

func appendWhere(b []byte, w *Where) []byte {
	t := &w.Transaction
	b = pack.AppendText(b, w.Origin)
	for _, n := range [...]uint64{
		w.Epoch, t.ID, uint64(t.CommitLSN), uint64(t.EndLSN), uint64(t.Message), uint64(t.Messages),
	} {
		b = binary.AppendUvarint(b, n)
	}
	return binary.AppendVarint(b, int64(t.Time))
}

// Texts are bounded so that damage is not taken for a very long one.
const (
	maxWord = 1 << 10
	maxText = 256 << 20
)

// Read makes the tracker what a snapshot was; pack.ErrDamaged says that what was
// read is none. Its people must be those of the state that was taken with it. After
// an error it must be thrown away.
func (t *Tracker) Read(r *bufio.Reader) error {
	in := reader{pack.NewReader(r), t.users}
	t.now, t.quests, t.waiting.list, t.byID = change.Millis(in.Int()), shards{}, nil, map[string]int64{}
	t.summary = in.summary()
	last, seen := int64(0), map[about]bool{} // of that quest
	for n := in.Uint(); n > 0 && in.Err() == nil; n-- {
		e := in.entry()
		if e.Quest != last {
			clear(seen)
		}
		if seen[e.about()] || e.Quest != last && t.quests.of(e.Quest) != nil {
			in.Fail()
		}
		if last, seen[e.about()] = e.Quest, true; in.Err() == nil {
			t.take(e)
		}
	}
	if err := in.Err(); err != nil {
		return fmt.Errorf("read findings: %w", err)
	}
	return nil
}

// take adds an entry that was read.
func (t *Tracker) take(e *entry) {
	t.quests.put(e.Quest, append(t.quests.own(e.Quest), e))
	if e.phase == open {
		t.opened(e)
		return
	}
	t.wait(e)
}

// reader reads what Write wrote.
type reader struct {
	*pack.Reader
	users *quest.Users
}

func (r *reader) summary() *Summary {
	if !r.Flag() {
		return nil
	}
	return &Summary{Where: r.where(), At: change.Millis(r.Int()), Quests: r.Size(math.MaxInt32)}
}

func (r *reader) entry() *entry {
	e := &entry{Finding: Finding{Quest: r.Int()}}
	if r.Flag() {
		e.phase = open
	}
	v := &e.Violation
	r.outcome(v)
	e.User, v.User = r.person()
	e.Suggested, v.Suggested = r.person()
	e.Title = r.Text(maxText)
	v.Application, v.Applications, v.Participants = r.Int(), r.ids(), r.ids()
	e.Where = r.where()
	e.Since, e.Due = change.Millis(r.Int()), change.Millis(r.Int())
	return e
}

// outcome reads a rule, a cause that it can have, and a severity.
func (r *reader) outcome(v *rule.Violation) {
	which, cause, severity := r.Text(maxWord), rule.Cause(r.Text(maxWord)), r.Text(maxWord)
	i := slices.IndexFunc(rule.Outcomes[:], func(o rule.Outcome) bool { return o.Rule.String() == which && o.Cause == cause })
	how, err := rule.ParseSeverity(severity)
	if i < 0 || err != nil {
		r.Fail()
		return
	}
	v.Rule, v.Cause, v.Severity = rule.Outcomes[i].Rule, cause, how
}

func (r *reader) ids() (ids []int64) {
	for n := r.Uint(); n > 0 && r.Err() == nil; n-- {
		ids = append(ids, r.Int())
	}
	return ids
}

// person is an id that the state knows, or nobody.
func (r *reader) person() (text string, number quest.User) {
	text = r.Text(maxText)
	number = r.users.Find(text)
	if text != "" && number == 0 {
		r.Fail()
	}
	return text, number
}

func (r *reader) where() Where {
	w := Where{Origin: Origin(r.Text(maxWord)), Epoch: r.Uint()}
	if w.Origin != FromStream && w.Origin != FromBaseline {
		r.Fail()
	}
	t := &w.Transaction
	t.ID, t.CommitLSN, t.EndLSN = r.Uint(), change.LSN(r.Uint()), change.LSN(r.Uint())
	t.Message, t.Messages = r.Size(math.MaxInt64), r.Size(math.MaxInt64)
	t.Time = change.Millis(r.Int())
	return w
}
