package app

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	auditing "github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit/chronicle"
	"github.com/peerquest/questwatch/internal/watch"
)

// TestMomentsAreWhatTheTablesWere looks at moments of a random stream, with everything in it
// that a stream can have. An audit of the past finds there what an audit of the tables would
// have found then, and a quest shown is as its rows were.
func TestMomentsAreWhatTheTablesWere(t *testing.T) {
	rules := watch.Rules{
		Schema: change.PeerQuest(), Statuses: quest.PeerQuest(), Ways: rule.DefaultWays(), Drift: drift.Config{Namespace: "test"},
	}
	looked, found := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		m := invented(t)
		k := replay.NewChecker(m, nil, nil)
		reader := replay.New(replay.Config{Schema: rules.Schema, Limit: 5}, m, noEvents{}, nil, nil, slog.New(slog.DiscardHandler))
		for range 4 {
			at := m.point(t)
			stand, err := k.Stand(t.Context(), rules, at, func(int64, int64) {})
			if err != nil {
				if m.until(at).known {
					t.Fatalf("at %s: %v", at, err)
				}
				continue
			}
			tables := m.until(at)
			if stand.Sequence != tables.last {
				t.Fatalf("at %s: message %d counts, want %d", at, stand.Sequence, tables.last)
			}
			for _, compat := range []bool{false, true} {
				want, got := auditOf(t, tables, &rules, compat), auditOf(t, &PastDatabase{stand}, &rules, compat)
				if diff := cmp.Diff(want, got); diff != "" || !tables.known {
					t.Fatalf("at %s, compat %t, known %t (-tables +past):\n%s", at, compat, tables.known, diff)
				}
				found += len(want)
			}
			for id := range tables.cases() {
				shown, err := k.Quest(t.Context(), rules, id, at, reader)
				if err != nil {
					t.Fatalf("quest %d at %s: %v", id, at, err)
				}
				for _, tx := range shown.Transactions {
					if tx.Time > change.MillisOf(stamped(t, shown.Stamp)) && at.Time == 0 {
						t.Fatalf("quest %d at %s, which is said to be %s: a transaction of %s is shown", id, at, shown.Stamp, tx.Stamp)
					}
					if tx.Baseline && !m.ended(tx.Sequence, shown.Sequence) {
						t.Fatalf("quest %d at %s, message %d: the baseline at %d has not ended", id, at, shown.Sequence, tx.Sequence)
					}
				}
				if diff := cmp.Diff(tables.shape(id), momentShape(shown)); diff != "" || !shown.Known || shown.Sequence != tables.last {
					t.Fatalf("quest %d at %s, message %d of %d, known %t (-tables +past):\n%s", id, at, shown.Sequence, tables.last, shown.Known, diff)
				}
			}
			looked++
		}
	})
	if looked < 50 || found < 200 {
		t.Errorf("%d findings at %d moments", found, looked)
	}
}

func stamped(t *rapid.T, text string) time.Time {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// recorded is a stream in memory.
type recorded struct {
	messages []*chronicle.Message
	records  []change.Record
}

// invented is a random stream.
func invented(t *rapid.T) *recorded {
	m := &recorded{}
	c := chronicle.Config{
		Workflows: rapid.SampledFrom([]int{5, 20, 60}).Draw(t, "workflows"), Quests: 6, Lifetime: 6, Faults: rapid.Bool().Draw(t, "faults"),
		EpisodeEvery: chronicle.Millis(rapid.SampledFrom([]int{0, 1000, 3000}).Draw(t, "episodes")), Jitter: 20, Limit: 2900,
		Grace: func(string) chronicle.Millis { return 3000 },
	}
	dice := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
	_, err := chronicle.Play(dice, c, func(one *chronicle.Message, _ []chronicle.Told) error {
		kept := *one
		m.messages = append(m.messages, &kept)
		subject := "control"
		if one.Kind == chronicle.Step {
			subject = strconv.FormatInt(one.Quest, 10)
		}
		m.records = append(m.records, change.Record{Seq: change.Seq(len(m.records) + 1), Subject: subject, Data: one.JSON()})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// point is a moment by any of the ways to say one.
func (m *recorded) point(t *rapid.T) replay.Point {
	i := rapid.IntRange(0, len(m.messages)-1).Draw(t, "message")
	one, text := m.messages[i], fmt.Sprint(i+1)
	if one.Transaction.Time != 0 {
		switch rapid.IntRange(0, 2).Draw(t, "said by") {
		case 1:
			text = change.LSN(one.Transaction.CommitLSN).String()
		case 2:
			text = change.Millis(one.Transaction.Time).Time().Format(time.RFC3339Nano)
		}
	}
	p, err := replay.ParsePoint(text, time.Now().AddDate(100, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// until are the tables as they were at a point, as messages tell.
func (m *recorded) until(p replay.Point) *rows {
	last := 0
	for i, one := range m.messages {
		lsn, at := one.Transaction.CommitLSN, one.Transaction.Time
		if at == 0 {
			lsn, at = one.LSN, one.Time
		}
		if p.Seq != 0 && i < int(p.Seq) || p.LSN != 0 && lsn != 0 && lsn <= uint64(p.LSN) || p.Time != 0 && at != 0 && at <= chronicle.Millis(p.Time) {
			last = i + 1
		}
	}
	r := &rows{now: map[row]chronicle.Row{}}
	for _, one := range m.messages[:last] {
		r.take(one)
	}
	return r
}

// ended reports whether the baseline that a message is of has come to its end by another.
func (m *recorded) ended(row, last change.Seq) bool {
	for _, one := range m.messages[row:last] {
		if one.Kind != chronicle.Step {
			return one.Kind == chronicle.BaselineEnd
		}
	}
	return false
}

// row names a row.
type row struct {
	entity string
	quest  int64
	id     int64
}

// rows are tables, as plain as can be.
type rows struct {
	now      map[row]chronicle.Row
	half     []*chronicle.Message // of a transaction that has not ended
	restated map[row]chronicle.Row
	taken    change.Seq
	// last is the message that they are as of, and known says that they are what the
	// database had.
	last  change.Seq
	known bool
}

func (r *rows) take(m *chronicle.Message) {
	r.taken++
	switch m.Kind {
	case chronicle.Step, chronicle.Truncate, chronicle.TxEnd:
		if m.Snapshot {
			write(r.restated, m)
			break
		}
		if r.half = append(r.half, m); m.Kind != chronicle.TxEnd && (m.Transaction.Messages == 0 || m.Transaction.Message < m.Transaction.Messages) {
			return
		}
		for _, one := range r.half {
			write(r.now, one)
		}
		r.half = nil
	case chronicle.Epoch:
		if len(r.half) > 0 { // which goes on
			return
		}
	case chronicle.BaselineBegin:
		r.restated = map[row]chronicle.Row{}
	case chronicle.BaselineEnd:
		r.now, r.known = r.restated, true
	case chronicle.Gap:
		r.known = false
	case chronicle.Progress, chronicle.Report:
	}
	r.last = r.taken
}

func write(to map[row]chronicle.Row, m *chronicle.Message) {
	for key := range to {
		if slices.Contains(m.Entities, key.entity) {
			delete(to, key)
		}
	}
	for _, c := range m.Changes {
		if c.Before != nil {
			delete(to, row{c.Entity, m.Quest, c.Before.ID})
		}
		if c.After != nil {
			to[row{c.Entity, m.Quest, c.After.ID}] = *c.After
		}
	}
}

// cases are the quests, as whoever reads the tables has them.
func (r *rows) cases() map[int64]*remedy.Case {
	statuses, all := quest.PeerQuest(), map[int64]*remedy.Case{}
	keys := make([]row, 0, len(r.now))
	for key := range r.now {
		keys = append(keys, key)
	}
	slices.SortFunc(keys, func(a, b row) int { return int(a.id - b.id) })
	for _, key := range keys {
		c := all[key.quest]
		if c == nil {
			c = &remedy.Case{Quest: quest.Quest{ID: key.quest}, People: []remedy.Person{{}}}
			all[key.quest] = c
		}
		q, one := &c.Quest, r.now[key]
		user := quest.User(slices.IndexFunc(c.People, func(p remedy.Person) bool { return p.ID == one.User }))
		if user == ^quest.User(0) {
			user = quest.User(len(c.People))
			c.People = append(c.People, remedy.Person{ID: one.User})
		}
		switch key.entity {
		case chronicle.Quest:
			q.Exists, q.Status, q.Assigned, q.Deleted = true, statuses.Quest[one.Status], user, one.Deleted
		case chronicle.Application:
			q.Applications = append(q.Applications, quest.Application{ID: one.ID, User: user, Status: statuses.Application[one.Status]})
			c.Times = append(c.Times, remedy.ApplicationTimes{})
		case chronicle.Participant:
			q.Participants = append(q.Participants, quest.Participant{ID: one.ID, User: user, Status: statuses.Participant[one.Status]})
		}
	}
	return all
}

func (r *rows) Writable(context.Context) error { return nil }

func (r *rows) Repair(context.Context, *remedy.Order, func(*remedy.Case) ([]remedy.Part, error)) (remedy.Receipt, error) {
	panic("nobody asked for a repair")
}

func (r *rows) Survey(_ context.Context, _ remedy.Scope, begin func(remedy.Census) error, each func(*remedy.Case) error) error {
	var census remedy.Census
	all, people := r.cases(), map[string]bool{}
	for key, one := range r.now {
		if key.entity == chronicle.Quest {
			census.Quests++
		} else {
			people[one.User] = true
		}
	}
	census.People = int64(len(people))
	err := begin(census)
	for _, id := range sortedIDs(all) {
		if err == nil {
			err = each(all[id])
		}
	}
	return err
}

func sortedIDs(all map[int64]*remedy.Case) (ids []int64) {
	for id := range all {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// shape is a quest as a text.
func (r *rows) shape(id int64) string {
	q, ok := r.now[row{chronicle.Quest, id, id}]
	out := []string{fmt.Sprint(ok, q.Status, q.Deleted, q.User)}
	for key, one := range r.now {
		if key.quest == id && key.entity != chronicle.Quest {
			out = append(out, fmt.Sprint(key.entity, one.ID, one.User, one.Status))
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// momentShape is the same of a quest that is shown.
func momentShape(m *replay.Moment) string {
	status := strings.Replace(m.Status, "in_progress", "in-progress", 1)
	if !m.Exists {
		status = ""
	}
	out := []string{fmt.Sprint(m.Exists, status, m.Deleted, m.Assigned)}
	for _, a := range m.Applications {
		out = append(out, fmt.Sprint(chronicle.Application, a.ID, a.User, a.Status))
	}
	for _, p := range m.Participants {
		out = append(out, fmt.Sprint(chronicle.Participant, p.ID, p.User, p.Status))
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// auditOf is what an audit finds, and counts, without what a reading of tables cannot know.
func auditOf(t *rapid.T, db auditing.Database, rules *watch.Rules, compat bool) (all []string) {
	result, err := auditing.Run(t.Context(), db, auditing.Config{Rules: rules.Policy, Compat: compat}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = result.Close() }() // it was only read
	text := func(p *string) string {
		if p == nil {
			return "nobody"
		}
		return *p
	}
	err = result.Findings(func(f auditing.Finding) error {
		application := int64(0)
		if f.ApplicationID != nil {
			application = *f.ApplicationID
		}
		all = append(all, fmt.Sprint(f.Rule, " quest ", f.QuestID, " ", text(f.UserID), " application ", application, " ", f.ApplicationIDs, f.ParticipantIDs,
			" suggested ", text(f.SuggestedUserID)))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(all)
	st := result.Stats
	return append(all, fmt.Sprint(result.Quests, " quests, dangling ", result.Dangling, " users ", st.UsersAudited, " applications ", st.Applications, " participants ", st.Participants))
}

// The stream as it is read.

func (m *recorded) Bounds(context.Context) (replay.Bounds, error) {
	return replay.Bounds{First: 1, Last: change.Seq(len(m.records)), Oldest: m.records[0]}, nil
}

func (m *recorded) Message(_ context.Context, seq change.Seq) (watch.Message, error) {
	return watch.Message{Record: m.records[seq-1]}, nil
}

func (m *recorded) read(from, to change.Seq, of func(*change.Record) bool, fn func(change.Record) error) error {
	for i := max(from, 1); i <= min(to, change.Seq(len(m.records))); i++ {
		if r := m.records[i-1]; of(&r) {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m *recorded) Range(_ context.Context, from, to change.Seq, fn func(change.Record) error) error {
	return m.read(from, to, func(*change.Record) bool { return true }, fn)
}

func (m *recorded) Quest(_ context.Context, quest int64, from, to change.Seq, fn func(change.Record) error) error {
	return m.read(from, to, func(r *change.Record) bool {
		return r.Subject == "control" || r.Subject == strconv.FormatInt(quest, 10)
	}, fn)
}

func (m *recorded) Steps(_ context.Context, quest int64, from, to change.Seq, fn func(change.Record) error) error {
	return m.read(from, to, func(r *change.Record) bool { return r.Subject == strconv.FormatInt(quest, 10) }, fn)
}

func (m *recorded) Control(_ context.Context, from change.Seq) (r change.Record, err error) {
	err = m.read(from, change.Seq(len(m.records)), func(r *change.Record) bool { return r.Subject == "control" }, func(one change.Record) error {
		r = one
		return context.Canceled // enough
	})
	if err == nil {
		return r, replay.ErrNone
	}
	return r, nil
}

// noEvents are those of a stream of which nothing was found.
type noEvents struct{}

func (noEvents) Bounds(context.Context) (first, last change.Seq, err error) { return 1, 0, nil }

func (noEvents) Refs(context.Context, []string, change.Seq, change.Seq, func(replay.Ref) error) error {
	return nil
}

func (noEvents) Event(context.Context, change.Seq) (replay.Stored, error) {
	return replay.Stored{}, replay.ErrNone
}
