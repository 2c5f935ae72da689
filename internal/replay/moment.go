package replay

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/watch"
)

// ErrNoQuest says that the stream has nothing of a quest.
var ErrNoQuest = errors.New("no such quest")

// Moment is a quest as it was at a moment, and how it came to that.
type Moment struct {
	QuestID  int64  `json:"quest_id"`
	Title    string `json:"title"`
	Exists   bool   `json:"exists"`
	Deleted  bool   `json:"deleted"`
	Status   string `json:"status"` // its role, as in the statuses' settings
	Assigned string `json:"assigned_to_id,omitempty"`
	// Known is false where a gap or another column is not made good yet by a baseline: what
	// stands here may be wrong then.
	Known    bool       `json:"known"`
	Sequence change.Seq `json:"sequence"` // the last message that counts
	Stamp    string     `json:"at"`       // the moment

	Applications []Row           `json:"applications"` // by id
	Participants []Row           `json:"participants"`
	Open         []event.Finding `json:"open"`
	Transactions []*Transaction  `json:"transactions"`
	LeftOut      int             `json:"transactions_left_out,omitempty"`
	// Incidents happened to the stream or to a table as a whole in between.
	Incidents []*Incident `json:"incidents"`

	names map[string]string
}

// Row is a person's row.
type Row struct {
	ID     int64  `json:"id"`
	User   string `json:"user_id"`
	Status string `json:"status"`
}

// The roles of statuses, in words: what the database calls them may be something else.
var (
	applicationWords = map[quest.ApplicationStatus]string{
		quest.OtherApplication: "other", quest.Pending: "pending", quest.Approved: "approved", quest.Rejected: "rejected", quest.Kicked: "kicked",
	}
	participantWords = map[quest.ParticipantStatus]string{
		quest.OtherParticipant: "other", quest.Joined: "joined", quest.Working: "in_progress", quest.Finished: "completed", quest.Dropped: "dropped",
	}
)

// Quest says what a quest was at a point, the end of the stream where none is given. A
// checker is given the quest's own steps and all control records: rules judge one quest.
func (k *Checker) Quest(ctx context.Context, rules watch.Rules, id int64, at Point, reader *Reader) (*Moment, error) {
	bounds, err := k.past.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	m := &Moment{QuestID: id, Sequence: bounds.Last, Applications: []Row{}, Participants: []Row{}, Open: []event.Finding{}}
	r := &recheck{Checker: k, checking: &Checking{Rules: rules, From: at}, finder: finder{past: k.past, bounds: bounds}, checker: watch.NewChecker(rules)}
	if at.Given() {
		if m.Sequence, err = r.finder.moment(ctx, at); err != nil {
			return nil, err
		}
	}
	if err := r.readQuest(ctx, id, m.Sequence); err != nil {
		return nil, err
	}
	if err := m.timeline(ctx, reader, &bounds); err != nil {
		return nil, err
	}
	q := r.checker.State().Quest(id)
	switch {
	case q != nil || len(m.Transactions) > 0:
	case !r.checker.Known() && at.Given():
		return nil, r.unknown(ctx, at, m.Sequence)
	default:
		return nil, fmt.Errorf("%w: the stream has nothing of quest %d up to message %d", ErrNoQuest, id, m.Sequence)
	}
	clock := r.checker.Now()
	for _, tx := range m.Transactions {
		clock = max(clock, tx.Time)
	}
	m.Stamp, m.Known = event.Stamp(r.finder.when(ctx, at, m.Sequence, clock)), r.checker.Known()
	m.fill(q, r.checker)
	return m, nil
}

// readQuest brings the checker to what is known of a quest at a message.
func (r *recheck) readQuest(ctx context.Context, id int64, last change.Seq) error {
	first := r.finder.bounds.First
	r.result.Last, r.result.Base = last+1, first-1
	used, err := r.checkpoint(ctx, last+1, false)
	if err == nil && !used && first > 1 {
		used, err = r.checkpoint(ctx, last+1, true)
	}
	if err == nil && !used && first > 1 {
		err = r.baseline(ctx, last+1)
	}
	if err != nil {
		return err
	}
	err = r.past.Quest(ctx, id, r.result.Base+1, last, func(one change.Record) error {
		_, err := r.checker.Take(one)
		return err
	})
	if err != nil {
		return fmt.Errorf("read quest %d: %w", id, err)
	}
	return nil
}

// timeline gathers what happened to the quest.
func (m *Moment) timeline(ctx context.Context, r *Reader, bounds *Bounds) error {
	g := &gatherer{
		stream: r.stream, finding: &event.Finding{QuestID: m.QuestID}, columns: columnsOf(&r.config.Schema), limit: r.config.Limit,
		known: map[rowKey]row{}, scope: scope{applications: true},
	}
	err := g.read(ctx, bounds.First, m.Sequence)
	if err != nil {
		return fmt.Errorf("read the steps of quest %d: %w", m.QuestID, err)
	}
	m.Transactions, m.LeftOut, m.Incidents = g.kept, g.leftOut, []*Incident{}
	if len(g.kept) > 0 { // what befell the stream before concerns the quest no more
		if m.Incidents, err = r.incidents(ctx, &located{}, bounds, g.kept[0].Sequence, m.Sequence); err != nil {
			return err
		}
	}
	e := &Evidence{Transactions: g.kept, Names: map[string]string{}}
	r.lookUp(ctx, e)
	m.names = e.Names
	return nil
}

func (m *Moment) fill(q *quest.Quest, c *watch.Checker) {
	if q == nil {
		return
	}
	users := c.State().Users()
	m.Title, m.Exists, m.Deleted, m.Status, m.Assigned = q.ShownTitle(), q.Exists, q.Deleted, q.Status.String(), users.Text(q.Assigned)
	for _, a := range q.Applications {
		m.Applications = append(m.Applications, Row{a.ID, users.Text(a.User), applicationWords[a.Status]})
	}
	for _, p := range q.Participants {
		m.Participants = append(m.Participants, Row{p.ID, users.Text(p.User), participantWords[p.Status]})
	}
	for _, f := range c.Open() {
		if f.Quest == m.QuestID {
			m.Open = append(m.Open, event.FindingOf(&f))
		}
	}
}

// WriteJSON writes it as one line.
func (m *Moment) WriteJSON(w io.Writer) error {
	return writeJSON(w, m, fmt.Sprintf("quest %d", m.QuestID))
}

// WriteText writes it for people.
func (m *Moment) WriteText(w io.Writer) error {
	e := &Evidence{Names: m.names, Transactions: m.Transactions, Incidents: m.Incidents, LeftOut: m.LeftOut}
	p := &printer{Writer: bufio.NewWriter(w), e: e}
	state := m.Status
	switch {
	case !m.Exists:
		state = "not there"
	case m.Deleted:
		state += ", deleted"
	}
	if m.Assigned != "" {
		state += ", assigned to " + e.person(m.Assigned)
	}
	p.line("quest %d %q at %s (message %d): %s", m.QuestID, m.Title, spaced(m.Stamp), m.Sequence, state)
	if !m.Known {
		p.line("This may be wrong: changes are missing, and no whole baseline has made that good up to then.")
	}
	for _, a := range m.Applications {
		p.line("    application %d  %s  %s", a.ID, a.Status, e.person(a.User))
	}
	for _, a := range m.Participants {
		p.line("    participant %d  %s  %s", a.ID, a.Status, e.person(a.User))
	}
	for _, f := range m.Open {
		p.line("open: %s (%s), %s, since %s  finding %s", f.Rule, f.Cause, f.Severity, spaced(f.OpenedAt), f.Finding)
	}
	p.line("")
	p.body()
	return p.Flush()
}
