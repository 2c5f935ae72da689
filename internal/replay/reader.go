package replay

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/people"
	"github.com/peerquest/questwatch/internal/rule"
)

// Config says how a Reader reads.
type Config struct {
	// Schema is that of whoever wrote the stream.
	Schema change.Schema
	// Limit is how many transactions are kept.
	Limit int
}

// DefaultLimit and MaxLimit bound how many transactions an answer has.
const (
	DefaultLimit = 50
	MaxLimit     = 10_000
)

// Reader answers questions about the past.
type Reader struct {
	config   Config
	stream   Stream
	events   Events
	findings Findings
	names    people.Names // or nil
	logger   *slog.Logger
}

// New makes a reader. Without names people are shown by their ids.
func New(c Config, stream Stream, events Events, findings Findings, names people.Names, logger *slog.Logger) *Reader {
	return &Reader{config: c, stream: stream, events: events, findings: findings, names: names, logger: logger}
}

// Finding explains the finding with an id, of which the beginning will do. The
// error is an *IDError, an *AmbiguousError or ErrUnknown where the id is at fault.
func (r *Reader) Finding(ctx context.Context, id string) (*Evidence, error) {
	l, err := r.find(ctx, id)
	if err != nil {
		return nil, err
	}
	bounds, err := r.stream.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	e := &Evidence{
		Finding: l.Finding, State: Open, Names: map[string]string{}, Transactions: []*Transaction{}, Incidents: []*Incident{},
		History: History{First: bounds.First, Since: since(bounds.Oldest)},
	}
	if l.resolved {
		e.State = Resolved
	}
	var m times
	if e.History.Replaced = !l.stored.IsZero() && l.stored.Before(bounds.Created); !e.History.Replaced {
		if m, err = r.gather(ctx, e, l, &bounds); err != nil {
			return nil, err
		}
	}
	r.lookUp(ctx, e)
	e.Why = sentence(e, &m)
	return e, nil
}

// gather fills in what the stream shows.
func (r *Reader) gather(ctx context.Context, e *Evidence, l *located, bounds *Bounds) (times, error) {
	g := &gatherer{
		stream: r.stream, finding: &l.Finding, columns: columnsOf(&r.config.Schema), limit: r.config.Limit, known: map[rowKey]row{},
	}
	if l.UserID != nil {
		g.scope.user = *l.UserID
	}
	g.scope.applications = l.Rule == rule.DanglingReference
	to := bounds.Last
	if l.until != 0 {
		to = min(to, l.until)
	}
	err := g.read(ctx, bounds.First, to)
	if err != nil {
		return times{}, fmt.Errorf("read the steps of quest %d: %w", l.QuestID, err)
	}
	from := bounds.First
	if len(g.kept) > 0 {
		from = g.kept[0].Sequence
		e.Transactions = g.kept
	}
	e.LeftOut = g.leftOut
	if e.Incidents, err = r.incidents(ctx, l, bounds, from, to); err != nil {
		return times{}, err
	}
	began := g.began || slices.ContainsFunc(e.Incidents, func(i *Incident) bool { return i.Began })
	ended := g.ended || slices.ContainsFunc(e.Incidents, func(i *Incident) bool { return i.Ended })
	e.History.Cut = bounds.First > 1 && !g.founded
	e.History.BeganGone = !began
	// A baseline that ended it need not have shown anything of the quest.
	e.History.EndedGone = l.resolved && !ended && l.Reason != drift.Restated
	if !g.began { // what was met may have come after
		return times{}, nil
	}
	return g.times, nil
}

// since is when a message was written, by the database's clock, or "".
func since(r change.Record) string {
	m, err := markOf(&change.Decoder{}, &r)
	if err != nil || !m.timed() {
		return ""
	}
	return event.Stamp(m.at)
}

// nameTimeout bounds the look-up of names: an answer without them is better than
// none.
const nameTimeout = 5 * time.Second

// lookUp finds the names of all who are mentioned.
func (r *Reader) lookUp(ctx context.Context, e *Evidence) {
	if r.names == nil {
		return
	}
	ids := map[string]bool{}
	add := func(id *string) {
		if id != nil && *id != "" {
			ids[*id] = true
		}
	}
	add(e.Finding.UserID)
	add(e.Finding.SuggestedUser)
	for _, t := range e.Transactions {
		for _, c := range t.Changes {
			for _, o := range c.Columns {
				if o.role == ofPerson {
					add(asText(o.Before))
					add(asText(o.After))
				}
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, nameTimeout)
	defer cancel()
	names, err := r.names.Usernames(ctx, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		r.logger.Warn("people's names could not be looked up", "err", err)
		return
	}
	e.Names = names
}

func asText(value []byte) *string {
	if value == nil {
		return nil
	}
	text, err := plain(value)
	if err != nil {
		return nil
	}
	return &text
}

// person is whom an id belongs to, as a sentence names them.
func (e *Evidence) person(id string) string {
	if name := e.Names[id]; name != "" {
		return name
	}
	return id
}

func sentence(e *Evidence, m *times) string {
	f := &e.Finding
	facts := rule.Facts{
		Participants: f.ParticipantIDs, Grace: grace(f.GraceMS),
		Applications: f.ApplicationIDs,
		Approved:     utc(m.approved), Joined: utc(m.joined), Left: utc(m.left), Revoked: utc(m.revoked),
		Cleared: utc(m.cleared), Deleted: utc(m.deleted),
	}
	if f.UserID != nil {
		facts.Person = e.person(*f.UserID)
	}
	if f.ApplicationID != nil {
		facts.Application = *f.ApplicationID
	}
	if f.Origin == drift.FromBaseline {
		facts.Baseline, facts.Emptied = utc(f.Transaction.Time), f.Transaction.ID != 0
	}
	return rule.Sentence(f.Rule, f.Cause, &facts)
}

// utc is a time as people read it, "" for none.
func utc(m change.Millis) string {
	if m == 0 {
		return ""
	}
	return m.Time().Format("2006-01-02 15:04:05.000 UTC")
}

// grace is a length of time as people read it, "" for none.
func grace(ms int64) string {
	if ms == 0 {
		return ""
	}
	if ms >= 60_000 {
		return (time.Duration(ms) * time.Millisecond).String()
	}
	text := fmt.Sprintf("%d.%03d", ms/1000, ms%1000)
	return strings.TrimRight(strings.TrimRight(text, "0"), ".") + " s"
}
