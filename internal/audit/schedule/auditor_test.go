package schedule

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/timetable"
)

// world is everything around auditors, in memory.
type world struct {
	mu       sync.Mutex
	note     Note
	revision uint64
	reports  map[string]*Report
	ids      []string // of events
	began    []time.Time
	fail     int // readings that fail
	quests   []int64
	// violated are the quests that the checker holds to lack a participant, by reading.
	violated [][]int64
	mute     bool
	deaf     int // events that cannot be told
	away     int // times that the note cannot be read
	recent   quest.Recent
	busy     time.Duration // a reading
	damaged  string        // a report
}

func (w *world) Read(context.Context) (Note, uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.away > 0 {
		w.away--
		return Note{}, 0, errors.New("nobody answers")
	}
	return w.note, w.revision, nil
}

func (w *world) Write(_ context.Context, n Note, revision uint64) (uint64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if revision != w.revision {
		return 0, ErrTaken
	}
	w.note, w.revision = n, w.revision+1
	return w.revision, nil
}

func (w *world) Load(_ context.Context, name string) (*Report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if name == w.damaged && name != "" {
		return nil, errors.New("unexpected EOF")
	}
	return w.reports[name], nil
}

func (w *world) Names(context.Context) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(maps.Keys(w.reports)), nil
}

func (w *world) Save(_ context.Context, r *Report) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.reports[r.Report] = r
	return nil
}

func (w *world) Publish(_ context.Context, events []event.Event) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deaf > 0 {
		w.deaf--
		return errors.New("nobody listens")
	}
	for _, e := range events {
		w.ids = append(w.ids, e.ID)
	}
	return nil
}

func (w *world) Told(_ context.Context, e *event.Event) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.ids, e.ID), nil
}

func (w *world) Survey(
	ctx context.Context, _ remedy.Scope, at func(verify.At) error, begin func(remedy.Census) error, each func(*remedy.Case) error,
) error {
	w.mu.Lock()
	w.began = append(w.began, time.Now())
	fail, quests, busy := w.fail > 0, slices.Clone(w.quests), w.busy
	w.fail--
	w.mu.Unlock()
	if fail {
		return errors.New("permission denied for table quests_quest")
	}
	if err := at(verify.At{LSN: 5, Visible: change.Visible{Xmin: 10}}); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(busy):
	}
	if err := begin(remedy.Census{}); err != nil {
		return err
	}
	for _, id := range quests {
		err := each(&remedy.Case{
			Quest:  quest.Quest{ID: id, Exists: true, Status: quest.Open, Applications: []quest.Application{{ID: id, User: 1, Status: quest.Approved}}},
			Times:  []remedy.ApplicationTimes{{}},
			People: []remedy.Person{{}, {ID: "u1", Name: "ann", Rank: 1}},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *world) Look(fn func(*verify.View) error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return fn(&verify.View{
		Recent: &w.recent, Passed: 5, Known: true, CaughtUp: true, Sequence: 3, Epoch: 1,
		Violated: func(fn func(rule.Rule, int64, string)) {
			held := w.quests
			if len(w.violated) > 0 {
				held, w.violated = w.violated[0], w.violated[1:]
			}
			for _, id := range held {
				fn(rule.MissingParticipant, id, "u1")
			}
		},
	})
}

func (w *world) Streaming() bool { return !w.mute }
func (*world) Hurry()            {}
func (*world) Restate()          {}

func (*world) NextXID(context.Context) (uint64, error) { return 1, nil }

func (*world) Moment(context.Context, func(verify.At, verify.Rows) error) error {
	return errors.New("not here")
}

func newWorld() *world { return &world{reports: map[string]*Report{}} }

func (w *world) auditor(t *testing.T, expression, instance string) *Auditor {
	t.Helper()
	table, err := timetable.Parse(expression, "UTC")
	if err != nil {
		t.Fatal(err)
	}
	checker := verify.New(verify.Config{}, w, w, w, nil, slog.New(slog.DiscardHandler))
	return New(Config{Namespace: "questwatch", Instance: instance, Timetable: table, Within: time.Hour}, w, w, w, checker, w, slog.New(slog.DiscardHandler))
}

// run runs auditors for a time.
func (w *world) run(t *testing.T, d time.Duration, auditors ...*Auditor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var all sync.WaitGroup
	for _, a := range auditors {
		all.Go(func() { _ = a.Run(ctx) })
	}
	all.Wait()
}

func (w *world) names() string {
	return strings.ReplaceAll(strings.Join(slices.Sorted(maps.Keys(w.reports)), " "), namePrefix, "")
}

// kinds are those of the events.
func (w *world) kinds() string {
	var kinds []string
	for _, id := range w.ids {
		kinds = append(kinds, id[:strings.LastIndex(id, ".")])
	}
	return strings.Join(kinds, " ")
}

const week = 7 * 24 * time.Hour

// The virtual clock begins on a Saturday, 1 January 2000.
func TestPlanned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.run(t, 3*week, w.auditor(t, "0 6 * * 1", "one"))
		if got := w.names(); got != "20000103T060000.000Z 20000110T060000.000Z 20000117T060000.000Z" || len(w.ids) != 3 {
			t.Errorf("audits: %s, events %v", got, w.ids)
		}
		for _, at := range w.began {
			if at.Weekday() != time.Monday || at.Hour() != 6 || at.Minute() != 0 {
				t.Errorf("began %s", at)
			}
		}
		// Down for five weeks: one audit, for the newest time that was missed, at once.
		<-time.After(5 * week)
		began := time.Now()
		w.run(t, time.Hour, w.auditor(t, "0 6 * * 1", "two"))
		if got := w.names(); !strings.HasSuffix(got, "20000117T060000.000Z 20000221T060000.000Z") || len(w.began) != 4 || w.began[3].Sub(began) > time.Second {
			t.Errorf("after downtime: %s, began %v", got, w.began)
		}
		// Another timetable counts from now.
		w.run(t, 10*time.Hour, w.auditor(t, "0 6 1 1 *", "two"), w.auditor(t, "0 6 1 1 *", "three"))
		if len(w.began) != 4 {
			t.Errorf("a changed timetable made an audit: %v", w.began)
		}
	})
}

// Two instances that both take themselves for the active one make each audit once.
func TestOnceInACluster(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.busy = 20 * time.Second
		w.run(t, 99*time.Hour+30*time.Minute, w.auditor(t, "@hourly", "one"), w.auditor(t, "@hourly", "two"))
		if len(w.began) != 99 || len(w.ids) != 99 {
			t.Errorf("%d readings, %d events, want 99", len(w.began), len(w.ids))
		}
	})
}

func TestFailureIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.auditor(t, "0 6 * * 1", "one")
		w.fail, w.deaf = 3, 1
		w.run(t, week, a)
		var at []string
		for _, b := range w.began {
			at = append(at, b.Format("15:04"))
		}
		if got := strings.Join(at, " "); got != "06:00 06:01 06:03 06:07" || w.names() != "20000103T060000.000Z" || w.kinds() != "audit.failed audit.completed" {
			t.Errorf("tried at %s, audits %s, events %s", got, w.names(), w.kinds())
		}
		if s := a.Status(); s.Failed != 3 || s.Done != 1 || s.Err != nil || s.Last == nil || !s.Next.Equal(time.Date(2000, 1, 10, 6, 0, 0, 0, time.UTC)) {
			t.Errorf("status: %+v", s)
		}
		// Never: the next planned time has its turn.
		w.fail = 1000
		w.run(t, week, a)
		if w.kinds() != "audit.failed audit.completed audit.failed" {
			t.Errorf("of a week's failures were told %s", w.kinds())
		}
		if s := a.Status(); s.Err == nil || !strings.Contains(s.Err.Error(), "permission denied") || len(w.began) > 4+7+7*24 {
			t.Errorf("%d attempts, %v", len(w.began), s.Err)
		}
		w.fail = 0
		w.run(t, week, a)
		if got := w.names(); got != "20000103T060000.000Z 20000117T060000.000Z" && !strings.Contains(got, "20000110T060000.000Z") {
			t.Errorf("audits %s", got)
		}
	})
}

// What was killed after it had been noted is made again; where its report or its event
// had been stored, that is not done twice.
func TestKilled(t *testing.T) {
	for name, after := range map[string]int{"before the report": 0, "before the event": 1, "before the note": 2} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				first := w.auditor(t, "0 6 * * 1", "one")
				w.run(t, 3*24*time.Hour, first)
				id, due := w.ids[0], time.Date(2000, 1, 3, 6, 0, 0, 0, time.UTC)
				w.note.Due, w.note.Attempt, w.note.Tried = due, 1, time.Now()
				if after < 2 {
					w.ids = nil
				}
				if after < 1 {
					clear(w.reports)
				}
				began, read := time.Now(), len(w.began)
				w.run(t, 24*time.Hour, w.auditor(t, "0 6 * * 1", "two"))
				if w.names() != "20000103T060000.000Z" || len(w.ids) != 1 || w.ids[0] != id {
					t.Errorf("audits %s, events %v, want %s", w.names(), w.ids, id)
				}
				if more := len(w.began) - read; more != 1-min(after, 1) || more == 1 && w.began[read].Sub(began) < time.Minute {
					t.Errorf("%d readings, at %v", more, w.began[read:])
				}
				if !w.note.Due.IsZero() {
					t.Errorf("the note is %+v", w.note)
				}
			})
		})
	}
}

// A checker that is not ready is waited for, but not for ever.
func TestMuteChecker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.mute = true
		w.run(t, week, w.auditor(t, "0 6 * * 1", "one"))
		r := w.reports["audit-20000103T060000.000Z"]
		if r == nil || r.NotCompared == "" || w.began[0].Format("15:04") != "06:10" {
			t.Errorf("report %+v, began %v", r, w.began)
		}
	})
}

func TestComparisons(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.auditor(t, "0 6 * * 1", "one")
		request := func() *Report {
			t.Helper()
			<-time.After(time.Hour)
			r, err := a.Request(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return r
		}
		w.quests = []int64{1, 2, 3}
		if r := request(); r.Findings != 3 || r.Change != nil || r.Mismatched != 0 || r.NotCompared != "" {
			t.Errorf("the first: %+v", r)
		}
		w.quests = []int64{2, 3, 4, 5}
		if c := request().Change; c == nil || c.New != 2 || c.Gone != 1 || c.Same != 2 || c.GoneByRule[rule.MissingParticipant] != 1 {
			t.Errorf("the change is %+v", c)
		}
		// The checker holds 2, 3 and 9 to be violated; the second time 4 as well.
		w.ids = nil
		w.violated = [][]int64{{2, 3, 9}, {2, 3, 4, 9}}
		r := request()
		want := []Disagreement{
			{Rule: rule.MissingParticipant, QuestID: 5, UserID: "u1"},
			{Rule: rule.MissingParticipant, QuestID: 9, UserID: "u1", Checker: true},
		}
		if r.Mismatched != 2 || !slices.Equal(r.Disagreements, want) || len(w.ids) != 4 {
			t.Errorf("mismatched %d: %+v, %d events", r.Mismatched, r.Disagreements, len(w.ids))
		}
		// A transaction that the snapshot does not see has touched quest 4.
		w.recent.Touch(12, 4)
		w.violated = [][]int64{{2, 3, 5}}
		if r := request(); r.Mismatched != 0 || r.Undecided != 1 {
			t.Errorf("beyond the snapshot: %d mismatched, %d undecided", r.Mismatched, r.Undecided)
		}
	})
}

// A clock that was years ahead once, in the middle of an audit or not, ends no timetable;
// one that is a little ahead of ours repeats nothing.
func TestClockAhead(t *testing.T) {
	for name, note := range map[string]func(now time.Time) Note{
		"counted": func(now time.Time) Note { return Note{Counted: now.AddDate(4, 0, 0)} },
		"due": func(now time.Time) Note {
			return Note{Counted: now.AddDate(4, 0, 0), Due: now.AddDate(4, 0, 0), Attempt: 1, Tried: now.AddDate(4, 0, 0)}
		},
		"tried": func(now time.Time) Note {
			return Note{Counted: now.Add(-time.Hour), Due: now.Add(-time.Hour), Attempt: 1, Tried: now.AddDate(4, 0, 0)}
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld()
			a := w.auditor(t, "0 6 * * 1", "one")
			w.note, w.revision = note(time.Now()), 1
			w.note.Timetable = a.config.Timetable.String()
			w.run(t, 3*week, a)
			want := 3
			if name == "tried" {
				want++ // the one that is due
			}
			if len(w.reports) != want {
				t.Errorf("%s: audits: %s", name, w.names())
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.auditor(t, "0 6 * * 1", "one")
		<-time.After(2*24*time.Hour + 6*time.Hour - time.Minute)
		w.note, w.revision = Note{Timetable: a.config.Timetable.String(), Counted: time.Now().Add(time.Minute)}, 1
		w.run(t, time.Hour, a)
		if len(w.reports) != 0 {
			t.Errorf("audits: %s", w.names())
		}
	})
}

// A report that cannot be read is not compared with, and stops no audit.
func TestDamagedReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.run(t, 2*week, w.auditor(t, "0 6 * * 1", "one"))
		w.damaged = namePrefix + "20000110T060000.000Z"
		w.run(t, week, w.auditor(t, "0 6 * * 1", "two"))
		if r := w.reports[namePrefix+"20000117T060000.000Z"]; r == nil || r.Change != nil {
			t.Errorf("audits: %s", w.names())
		}
	})
}

// More findings than a report holds are not compared: memory is bounded.
func TestVeryMany(t *testing.T) {
	s := sight{testimony: &verify.Testimony{}, found: map[verify.About]struct{}{}}
	for i := range int64(most + 2) {
		if s.mute != nil && i <= most {
			t.Fatalf("%d are too many", i)
		}
		s.note(verify.About{Rule: rule.Unassigned, Quest: i})
	}
	if !errors.Is(s.mute, errMany) || s.testimony != nil || s.found != nil {
		t.Errorf("%v, %d kept", s.mute, len(s.found))
	}
}

// A timetable that cannot be looked at for a while is no audit that failed, and forgotten
// when it can be again.
func TestTimetableOutOfReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		a := w.auditor(t, "0 6 * * 1", "one")
		var log bytes.Buffer
		a.logger = slog.New(slog.NewTextHandler(&log, nil))
		w.away = 30
		w.run(t, 10*time.Minute, a)
		if s := a.Status(); s.Blocked == nil || s.Err != nil || s.Failed != 0 {
			t.Errorf("out of reach: %+v", s)
		}
		w.run(t, time.Hour, a)
		if s := a.Status(); s.Blocked != nil || s.Err != nil || s.Failed != 0 || s.Next.IsZero() {
			t.Errorf("in reach: %+v", s)
		}
		if n := strings.Count(log.String(), "\n"); n != 2 {
			t.Errorf("logged %d lines: %s", n, log.String())
		}
	})
}
