package replay_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/watch"
)

// whole is a story's stream as it is judged anew.
type whole struct{ stream }

func (w whole) Message(_ context.Context, seq change.Seq) (watch.Message, error) {
	if seq < w.story.first || int(seq) > len(w.story.records) {
		return watch.Message{}, watch.ErrNoMessage
	}
	return watch.Message{Record: w.story.records[seq-1]}, nil
}

func (w whole) Range(_ context.Context, from, to change.Seq, fn func(change.Record) error) error {
	for _, r := range w.story.records {
		if r.Seq >= from && r.Seq <= to {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w whole) Quest(ctx context.Context, id int64, from, to change.Seq, fn func(change.Record) error) error {
	return w.Range(ctx, from, to, func(r change.Record) error {
		if change.IsControl(r.Data) || r.Subject == strconv.FormatInt(id, 10) {
			return fn(r)
		}
		return nil
	})
}

const eventful = `
person ann 8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c
baseline 12:00:00
  quest 42 status=open
  quest 43 status=open
  application 7 applicant=ann status=pending
tx 12:00:01
  application 7 status=approved
  participant 3 user=ann
  quest 42 status=in-progress assigned=ann
mark 12:00:05
tx 12:00:10
  participant 3 moved quest=43
large tx 12:00:20
  application 7 status=rejected
  quest 42 assigned=ann status=open
  takeover
  participant 3 moved quest=42
  application 7 status=approved
mark 12:00:30
tx 12:01:00
  truncate participant
mark 12:01:04
gap slot_missing 12:02:00
mark 12:02:10
baseline 12:02:30
  quest 42 status=open
  application 7 gone
mark 12:02:40
`

// A quest is at every message what a checker of the whole stream holds there, and half a
// transaction is nowhere to be seen.
func TestQuestAtEveryMessage(t *testing.T) {
	p := judged(storyOf(t, eventful))
	rules := watch.Rules{Schema: change.PeerQuest(), Statuses: quest.PeerQuest(), Drift: drift.Config{Namespace: "test"}}
	k := replay.NewChecker(whole{stream{p}}, nil, nil)
	checker := watch.NewChecker(rules)
	settled := map[change.Seq]string{}
	last, half := change.Seq(0), false
	for _, r := range p.story.records {
		if _, err := checker.Take(r); err != nil {
			t.Fatal(err)
		}
		settled[r.Seq] = shape(checker, 42)
		if half = inside(t, &r, half); half {
			settled[r.Seq] = settled[last]
		} else {
			last = r.Seq
		}
		at, err := replay.ParsePoint(fmt.Sprint(r.Seq), storedAt)
		if err != nil {
			t.Fatal(err)
		}
		m, err := k.Quest(t.Context(), rules, 42, at, p.reader(50))
		if point := new(replay.PointError); r.Seq < 5 && errors.As(err, &point) {
			continue // the first baseline is not whole yet
		}
		if err != nil {
			t.Fatalf("at %d: %v", r.Seq, err)
		}
		if m.Sequence != last {
			t.Errorf("at %d: message %d counts, want %d", r.Seq, m.Sequence, last)
		}
		if got := momentShape(m); got != settled[r.Seq] {
			t.Errorf("at %d: %s, want %s", r.Seq, got, settled[r.Seq])
		}
		snapshot, err := k.Snapshot(t.Context(), rules, at, func(int64, int64) {})
		if err != nil != !m.Known {
			t.Errorf("at %d: it is known: %t, and of all quests %v", r.Seq, m.Known, err)
		}
		if err == nil && snapshot.Sequence != last {
			t.Errorf("at %d: all quests are those of message %d, want %d", r.Seq, snapshot.Sequence, last)
		}
	}
}

// What befell a table, or the stream, is told where a quest is shown.
func TestQuestInAGap(t *testing.T) {
	p := judged(storyOf(t, strings.Split(eventful, "baseline 12:02:30")[0]))
	rules := watch.Rules{Schema: change.PeerQuest(), Statuses: quest.PeerQuest(), Drift: drift.Config{Namespace: "test"}}
	m, err := replay.NewChecker(whole{stream{p}}, nil, nil).Quest(t.Context(), rules, 42, replay.Point{}, p.reader(50))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := m.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	at, err := replay.ParsePoint(fmt.Sprint(len(p.story.records)), storedAt)
	if err != nil {
		t.Fatal(err)
	}
	_, err = replay.NewChecker(whole{stream{p}}, nil, nil).Snapshot(t.Context(), rules, at, func(int64, int64) {})
	if point := new(replay.PointError); !errors.As(err, &point) || !strings.Contains(err.Error(), "is in a gap") {
		t.Errorf("all quests: %v", err)
	}
	for _, want := range []string{"This may be wrong", "TRUNCATE: all rows of participant went", "gap 0/"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("it does not say %q:\n%s", want, out.String())
		}
	}
}

// shape is a quest with its findings, as a text.
func shape(c *watch.Checker, id int64) string {
	q := c.State().Quest(id)
	if q == nil {
		return "false  "
	}
	users := c.State().Users()
	out := fmt.Sprint(q.Exists, " ", q.Status, " ", users.Text(q.Assigned))
	for _, a := range q.Applications {
		out += fmt.Sprint(" a", a.ID, users.Text(a.User))
	}
	for _, p := range q.Participants {
		out += fmt.Sprint(" p", p.ID, users.Text(p.User))
	}
	for _, f := range c.Open() {
		if f.Quest == id {
			out += " " + f.ID
		}
	}
	return out
}

// momentShape is the same of a moment.
func momentShape(m *replay.Moment) string {
	out := fmt.Sprint(m.Exists, " ", m.Status, " ", m.Assigned)
	for _, a := range m.Applications {
		out += fmt.Sprint(" a", a.ID, a.User)
	}
	for _, p := range m.Participants {
		out += fmt.Sprint(" p", p.ID, p.User)
	}
	for i := range m.Open {
		out += " " + m.Open[i].Finding
	}
	return out
}

// inside reports whether a transaction goes on behind a message, where was says whether one does before it.
func inside(t *testing.T, r *change.Record, was bool) bool {
	t.Helper()
	var d change.Decoder
	if !change.IsControl(r.Data) {
		var s change.Step
		if err := d.Step(r.Data, &s); err != nil {
			t.Fatal(err)
		}
		return !s.Source.Snapshot && !s.Transaction.Whole()
	}
	c, err := d.Control(r.Data)
	if err != nil {
		t.Fatal(err)
	}
	return c.Kind == change.Truncate || c.Kind == change.Epoch && was
}
