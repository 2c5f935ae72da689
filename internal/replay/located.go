package replay

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
)

const (
	idLength  = 20 // hexadecimal digits of a finding's id
	minPrefix = 6
	// window is how many events are searched first, from the newest back: who has a
	// whole id has it mostly from something recent.
	window = 20_000
)

// ErrUnknown says that no finding of that id is stored.
var ErrUnknown = errors.New("no such finding")

// IDError is an id that cannot be a finding's.
type IDError struct{ ID string }

func (e *IDError) Error() string {
	return fmt.Sprintf("%q is no finding's id: want %d hexadecimal digits, or at least the first %d of them", e.ID, idLength, minPrefix)
}

// AmbiguousError is an id's beginning that several findings share.
type AmbiguousError struct {
	Prefix     string
	Candidates []Candidate // the first few
	More       int
}

// Candidate is a finding that an ambiguous id may mean.
type Candidate struct {
	ID, Rule, Quest string
}

func (e *AmbiguousError) Error() string {
	return fmt.Sprintf("%d findings begin with %q", len(e.Candidates)+e.More, e.Prefix)
}

// candidatesShown is how many findings an AmbiguousError names.
const candidatesShown = 10

// ParseID reads a finding's id, its beginning, or the id of one of its events.
func ParseID(given string) (string, error) {
	id := strings.ToLower(strings.TrimSpace(given))
	id = strings.TrimSuffix(strings.TrimSuffix(id, ".opened"), ".resolved")
	if len(id) < minPrefix || len(id) > idLength || strings.Trim(id, "0123456789abcdef") != "" {
		return "", &IDError{given}
	}
	return id, nil
}

// located is a finding as its events tell of it.
type located struct {
	event.Finding
	resolved bool
	// until is the newest message that has to do with it; 0 where no event is left.
	until change.Seq
	// stored is when its first event was stored.
	stored time.Time
}

// find looks a finding up. Those that are open are at hand in the bucket; for others
// the events are searched.
func (r *Reader) find(ctx context.Context, given string) (*located, error) {
	id, err := ParseID(given)
	if err != nil {
		return nil, err
	}
	if len(id) < idLength {
		if id, err = r.complete(ctx, id); err != nil {
			return nil, err
		}
	}
	kept, err := r.kept(ctx, id)
	if err != nil {
		return nil, err
	}
	if kept != nil {
		return r.read(ctx, kept, kept.Rule.String(), fmt.Sprint(kept.QuestID), id)
	}
	ref, err := r.search(ctx, id)
	if err != nil {
		return nil, err
	}
	rule, quest := about(ref.Subject)
	return r.read(ctx, nil, rule, quest, id)
}

// kept is the finding in the bucket, nil when it is not there.
func (r *Reader) kept(ctx context.Context, id string) (*event.Finding, error) {
	data, err := r.findings.Get(ctx, id)
	if errors.Is(err, ErrNone) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("look for finding %s among the open ones: %w", id, err)
	}
	f, err := event.KeptFinding(data)
	if err != nil {
		return nil, err
	}
	return &f, nil
}

// read reads the events of a finding, which its rule and quest lead to.
func (r *Reader) read(ctx context.Context, kept *event.Finding, rule, quest, id string) (*located, error) {
	_, last, err := r.events.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	refs, err := newest(ctx, r.events, math.MaxInt, last, "drift.opened."+rule+"."+quest, "drift.resolved."+rule+"."+quest)
	if err != nil {
		return nil, fmt.Errorf("read events of finding %s: %w", id, err)
	}
	l := &located{}
	if kept != nil {
		l.Finding = *kept
	}
	refs = slices.DeleteFunc(refs, func(ref Ref) bool { return findingOf(ref.ID) != id })
	if err := eachStored(ctx, r.events, refs, l.add); err != nil {
		return nil, err
	}
	if l.Finding.Finding == "" {
		return nil, unknown(id)
	}
	return l, nil
}

// add takes in an event. The one that resolves comes last, and knows all that the
// other knew.
func (l *located) add(stored *Stored) error {
	f, err := event.FindingIn(stored.Data)
	if err != nil {
		return fmt.Errorf("event %s: %w", stored.ID, err)
	}
	if l.stored.IsZero() {
		l.stored = stored.At
	}
	l.Finding, l.resolved = f, f.ResolvedBy != nil
	l.until = max(l.until, change.Seq(f.Position.Sequence))
	return nil
}

// newest are the events on subjects, in order; of more than most the newest.
func newest(ctx context.Context, events Events, most int, last change.Seq, filters ...string) (refs []Ref, err error) {
	err = events.Refs(ctx, filters, 0, last, func(ref Ref) error {
		if refs = append(refs, ref); len(refs) > most {
			refs = slices.Delete(refs, 0, 1)
		}
		return nil
	})
	return refs, err
}

// eachStored reads events, but for those that were discarded just now.
func eachStored(ctx context.Context, events Events, refs []Ref, fn func(*Stored) error) error {
	for _, ref := range refs {
		stored, err := events.Event(ctx, ref.Seq)
		if errors.Is(err, ErrNone) {
			continue
		}
		if err != nil {
			return fmt.Errorf("read event %s: %w", ref.ID, err)
		}
		if err := fn(&stored); err != nil {
			return err
		}
	}
	return nil
}

// about is what an event's subject ends with.
func about(subject string) (rule, quest string) {
	rest, quest := cutLast(subject)
	_, rule = cutLast(rest)
	return rule, quest
}

func cutLast(subject string) (rest, last string) {
	i := strings.LastIndexByte(subject, '.')
	return subject[:max(i, 0)], subject[i+1:]
}

// findingOf is the finding that an event's id belongs to.
func findingOf(eventID string) string {
	id, _, _ := strings.Cut(eventID, ".")
	return id
}

var errFound = errors.New("found")

// search goes through the events from the newest back, in windows that grow: the
// server reads forward only.
func (r *Reader) search(ctx context.Context, id string) (found Ref, err error) {
	first, last, err := r.events.Bounds(ctx)
	if err != nil {
		return Ref{}, err
	}
	for size := change.Seq(window); last >= max(first, 1); size *= 4 {
		from := max(first, 1)
		if last > size {
			from = max(from, last-size+1)
		}
		err = r.events.Refs(ctx, []string{"drift.opened.>", "drift.resolved.>"}, from, last, func(ref Ref) error {
			if findingOf(ref.ID) != id {
				return nil
			}
			found = ref
			return errFound
		})
		if errors.Is(err, errFound) {
			return found, nil
		}
		if err != nil {
			return Ref{}, fmt.Errorf("search the events for finding %s: %w", id, err)
		}
		last = from - 1
	}
	return Ref{}, unknown(id)
}

// complete finds the whole id. It reads the ids of all events: a beginning that is
// not unique must not lead anybody to the wrong finding.
func (r *Reader) complete(ctx context.Context, prefix string) (string, error) {
	_, last, err := r.events.Bounds(ctx)
	if err != nil {
		return "", err
	}
	var all []Candidate
	add := func(c Candidate) {
		known := slices.ContainsFunc(all, func(o Candidate) bool { return o.ID == c.ID })
		if strings.HasPrefix(c.ID, prefix) && !known {
			all = append(all, c)
		}
	}
	err = r.events.Refs(ctx, []string{"drift.opened.>", "drift.resolved.>"}, 0, last, func(ref Ref) error {
		if strings.HasPrefix(ref.ID, prefix) {
			rule, quest := about(ref.Subject)
			add(Candidate{findingOf(ref.ID), rule, quest})
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("search the events for findings %s…: %w", prefix, err)
	}
	keys, err := r.findings.Keys(ctx)
	if err != nil {
		return "", fmt.Errorf("list open findings: %w", err)
	}
	slices.Sort(keys)
	for _, key := range keys {
		add(Candidate{ID: key})
	}
	switch len(all) {
	case 0:
		return "", unknown(prefix + "…")
	case 1:
		return all[0].ID, nil
	}
	shown := all[:min(len(all), candidatesShown)]
	return "", ambiguous(&AmbiguousError{Prefix: prefix, Candidates: shown, More: len(all) - len(shown)})
}

func unknown(id string) error {
	return fmt.Errorf("%w: %s", ErrUnknown, id)
}

func ambiguous(e *AmbiguousError) error {
	var b strings.Builder
	b.WriteString("say more of one of them:")
	for _, c := range e.Candidates {
		b.WriteString("\n    " + c.ID)
		if c.Rule != "" {
			fmt.Fprintf(&b, "  %s, quest %s", c.Rule, c.Quest)
		}
	}
	if e.More > 0 {
		fmt.Fprintf(&b, "\n    and %d more", e.More)
	}
	return hint.Wrap(e, "%s", b.String())
}
