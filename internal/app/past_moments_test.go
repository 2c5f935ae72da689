package app

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
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
		m.age(t, rules)
		k := replay.NewChecker(m, nil, m)
		reader := replay.New(replay.Config{Schema: rules.Schema, Limit: 5}, m, noEvents{}, nil, nil, slog.New(slog.DiscardHandler))
		for range 4 {
			at := m.point(t)
			snapshot, err := k.Snapshot(t.Context(), rules, at, func(int64, int64) {})
			tables := m.until(at)
			if err != nil {
				if tables.known && m.reaches(tables.last) {
					t.Fatalf("at %s: %v", at, err)
				}
				continue
			}
			if snapshot.Sequence != tables.last {
				t.Fatalf("at %s: message %d counts, want %d", at, snapshot.Sequence, tables.last)
			}
			for _, compat := range []bool{false, true} {
				want, got := auditOf(t, tables, &rules, compat), auditOf(t, &PastDatabase{snapshot}, &rules, compat)
				if diff := cmp.Diff(want, got); diff != "" || !tables.known {
					t.Fatalf("at %s, compat %t, known %t (-tables +past):\n%s", at, compat, tables.known, diff)
				}
				found += len(want)
			}
			open, exact := m.open(t, rules, tables.last), m.first == 1 || !m.otherwise && m.reaches(tables.last)
			for id := range tables.cases() {
				shown, err := k.Quest(t.Context(), rules, id, at, reader)
				if err != nil {
					t.Fatalf("quest %d at %s: %v", id, at, err)
				}
				var ids []string
				for _, f := range shown.Open {
					ids = append(ids, f.Finding)
				}
				if exact && !slices.Equal(ids, open[id]) {
					t.Fatalf("quest %d at %s: open are %q, were %q", id, at, ids, open[id])
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

// recorded is a stream in memory, with checkpoints.
type recorded struct {
	messages []*chronicle.Message
	records  []change.Record
	first    change.Seq // that is left
	saved    map[change.Seq][]byte
	// otherwise says that checkpoints are of other rules.
	otherwise bool
}

// open are the findings that are open behind a message, by quest.
func (m *recorded) open(t *rapid.T, rules watch.Rules, last change.Seq) map[int64][]string {
	checker, all := watch.NewChecker(rules), map[int64][]string{}
	for _, r := range m.records[:last] {
		if _, err := checker.Take(r); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range checker.Open() {
		all[f.Quest] = append(all[f.Quest], f.ID)
	}
	return all
}

// age takes checkpoints, some of them under other rules, and has the stream discard its
// beginning.
func (m *recorded) age(t *rapid.T, rules watch.Rules) {
	if m.otherwise = rapid.Bool().Draw(t, "other rules"); m.otherwise {
		rules.Policy.Deleted = true
	}
	checker, dice := watch.NewChecker(rules), rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "saves"), 1))
	depends, err := rules.Depends()
	for _, r := range m.records {
		if _, failed := checker.Take(r); failed != nil {
			t.Fatal(failed)
		}
		if dice.IntN(30) != 0 {
			continue
		}
		digest := sha256.Sum256([]byte(r.Subject + "\x00" + string(r.Data)))
		anchor := watch.Anchor{Seq: r.Seq, Digest: hex.EncodeToString(digest[:16])}
		if p, between := checker.Snapshot(); between {
			var out bytes.Buffer
			err = errors.Join(err, p.Write(&out, watch.Header{Namespace: rules.Drift.Namespace, Anchor: anchor, Depends: depends, Quests: p.Quests()}))
			m.saved[r.Seq] = out.Bytes()
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	if rapid.Bool().Draw(t, "aged") {
		m.first = change.Seq(rapid.IntRange(1, len(m.records)).Draw(t, "first"))
	}
}

// reaches reports whether all is known of a message that was ever known.
func (m *recorded) reaches(seq change.Seq) bool {
	for s := range m.saved {
		if s >= m.first && s <= seq {
			return true
		}
	}
	return m.first == 1
}

// invented is a random stream.
func invented(t *rapid.T) *recorded {
	m := &recorded{first: 1, saved: map[change.Seq][]byte{}}
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
	return replay.Bounds{First: m.first, Last: change.Seq(len(m.records)), Oldest: m.records[m.first-1]}, nil
}

func (m *recorded) Message(_ context.Context, seq change.Seq) (watch.Message, error) {
	if seq < m.first || seq > change.Seq(len(m.records)) {
		return watch.Message{}, watch.ErrNoMessage
	}
	return watch.Message{Record: m.records[seq-1]}, nil
}

func (m *recorded) read(from, to change.Seq, of func(*change.Record) bool, fn func(change.Record) error) error {
	for i := max(from, m.first); i <= min(to, change.Seq(len(m.records))); i++ {
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

func (m *recorded) List(context.Context) (all []watch.Saved, err error) {
	for _, seq := range slices.Backward(slices.Sorted(maps.Keys(m.saved))) {
		all = append(all, watch.Saved{Seq: seq})
	}
	return all, nil
}

func (m *recorded) Load(_ context.Context, s watch.Saved, fn func(io.Reader) error) error {
	return fn(bytes.NewReader(m.saved[s.Seq]))
}

func (m *recorded) Save(context.Context, change.Seq, func(io.Writer) error) (watch.Saved, error) {
	panic("who looks at the past saves nothing")
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
