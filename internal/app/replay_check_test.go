package app

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	auditing "github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

// recheck judges a range anew, and returns the differences too.
func recheck(t *testing.T, c config.Config, from, to string) (*replay.Checked, []replay.Difference, error) {
	t.Helper()
	var all []replay.Difference
	k := replay.Checking{
		Differs:  func(d replay.Difference) error { all = append(all, d); return nil },
		Progress: func(int64, int64) {},
	}
	var errs [2]error
	k.From, errs[0] = replay.ParsePoint(from, time.Now())
	k.To, errs[1] = replay.ParsePoint(to, time.Now())
	if err := errors.Join(errs[:]...); err != nil {
		return nil, nil, err
	}
	result, err := Recheck(t.Context(), &c, k, testLogger(t))
	if err == nil && int(result.Differences) != len(all) {
		t.Errorf("%d differences were told, %d counted", len(all), result.Differences)
	}
	return result, all, err
}

// same checks that a range is found as it was live.
func same(t *testing.T, c config.Config, from, to string) *replay.Checked {
	t.Helper()
	result, all, err := recheck(t, c, from, to)
	if err != nil {
		t.Fatalf("from %q to %q: %v", from, to, err)
	}
	if len(all) > 0 || !result.Exact || result.Untold > 0 {
		t.Errorf("from %q to %q: %+v\n%.20v", from, to, result, all)
	}
	return result
}

// surveyed is what an audit reads, without people's names.
func surveyed(t *testing.T, db auditing.Database) map[int64]string {
	t.Helper()
	all := map[int64]string{}
	err := db.Survey(t.Context(), remedy.Scope{Assignees: true}, func(remedy.Census) error { return nil }, func(c *remedy.Case) error {
		q := &c.Quest
		if !q.Exists && len(q.Applications)+len(q.Participants) == 0 {
			return nil // all that is left is its history
		}
		out := fmt.Sprintf("%t %q %v %s %t", q.Exists, q.Title, q.Status, c.People[q.Assigned].ID, q.Deleted)
		for _, a := range q.Applications {
			out += fmt.Sprintf("\napplication %d %s %v", a.ID, c.People[a.User].ID, a.Status)
		}
		for _, p := range q.Participants {
			out += fmt.Sprintf("\nparticipant %d %s %v %d", p.ID, c.People[p.User].ID, p.Status, p.Joined)
		}
		all[q.ID] = out
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func text(n int64) string { return strconv.FormatInt(n, 10) }

// TestReplayChecks has an instance that was restarted in traffic judged anew, while it
// runs and when it does not, as a whole and from a checkpoint on.
func TestReplayChecks(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.Watch.CheckpointEvery = 100 * time.Millisecond
	c.Rules.SetGrace(10 * time.Millisecond)
	load := startTraffic(t, dsn, 3)
	var r *running
	var between time.Time
	for range 2 {
		if r != nil {
			r.stop(t)
			between = time.Now()
		}
		r = start(t, c, dsn)
		r.ready(t)
		load.more(t, 200)
	}
	same(t, c, "", "") // in traffic
	load.stop()
	r.settle(t)
	moments := map[string]map[int64]string{}
	for seed := range uint64(2) {
		more := startPacedTraffic(t, dsn, 3, time.Millisecond, 100+seed)
		more.more(t, 60)
		more.stop()
		r.settle(t)
		var lsn string
		query(t, dsn, "SELECT pg_current_wal_insert_lsn()::text", &lsn)
		moments[lsn] = surveyed(t, r.store)
	}
	whole := same(t, c, "", "")
	if whole.Events < 20 || whole.Changes < 400 || whole.First != 1 {
		t.Errorf("only %+v", whole)
	}
	r.stop(t)
	// Its data directory is enough.
	again := same(t, c, "", "")
	for lsn, want := range moments {
		past, err := OpenPastDatabase(t.Context(), &c, pointOf(t, lsn), func(int64, int64) {}, testLogger(t))
		if err != nil {
			t.Fatalf("the database at %s: %v", lsn, err)
		}
		if diff := cmp.Diff(want, surveyed(t, past)); diff != "" || len(want) < 20 {
			t.Errorf("%d quests at %s (-then +past):\n%s", len(want), lsn, diff)
		}
	}
	if again.Events < whole.Events {
		t.Errorf("%+v when it had ended, %+v before", again, whole)
	}
	late := same(t, c, between.UTC().Format(time.RFC3339Nano), "")
	if late.First <= 1 || late.Events == 0 || late.Events >= whole.Events {
		t.Errorf("since the restart: %+v of %+v", late, whole)
	}
	if last := same(t, c, text(int64(again.Last)), ""); last.Base == 0 {
		t.Errorf("no checkpoint was used: %+v", last)
	}
	middle := int64(whole.Last) / 2
	early := same(t, c, "", text(middle))
	rest := same(t, c, text(middle+1), text(int64(whole.Last)))
	if early.Events+rest.Events != whole.Events {
		t.Errorf("%+v and %+v are not %+v", early, rest, whole)
	}

	// Other rules find something else, and the rest as before.
	tuned := c
	tuned.Rules.IdleInProgress.Enabled = false
	_, all, err := recheck(t, tuned, "", "")
	if err != nil || len(all) == 0 {
		t.Fatalf("without a rule: %d differences, %v", len(all), err)
	}
	for _, d := range all {
		if !strings.HasPrefix(d.Subject, "drift.") || d.Kind == replay.OnlyAgain {
			t.Errorf("without a rule: %s", &d)
		}
	}
	tuned = c
	tuned.Rules.SetGrace(time.Minute)
	result, all, err := recheck(t, tuned, "", "")
	if err != nil || len(all) == 0 || result.Events >= whole.Events {
		t.Errorf("with a long grace: %+v, %d differences, %v", result, len(all), err)
	}
}

// TestReplayCheckSeesDamage has events removed and invented, of which nothing else speaks.
func TestReplayCheckSeesDamage(t *testing.T) {
	t.Parallel()
	c, dsn, server := onServer(t)
	r := start(t, c, dsn)
	r.ready(t)
	r.found(t, "missing_participant", 1, false)
	r.settle(t)
	same(t, c, "", "")
	r.stop(t)
	var removed, invented string
	var removedSeq uint64
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		events, err := js.Stream(ctx, "QUESTWATCH_EVENTS")
		if err != nil {
			return err
		}
		m, err := events.GetLastMsgForSubject(ctx, "questwatch.events.drift.opened.missing_participant.1")
		if err != nil {
			return err
		}
		removed, removedSeq = m.Header.Get(jetstream.MsgIDHeader), m.Sequence
		invented = strings.Repeat("0", 20) + ".opened"
		data := strings.ReplaceAll(string(m.Data), removed, invented)
		fake := &nats.Msg{Subject: m.Subject, Data: []byte(data), Header: nats.Header{"Content-Type": m.Header["Content-Type"]}}
		if _, err := js.PublishMsg(ctx, fake, jetstream.WithMsgID(invented)); err != nil {
			return err
		}
		return events.DeleteMsg(ctx, m.Sequence)
	})
	_, all, err := recheck(t, c, "", "")
	got := map[string]string{}
	for _, d := range all {
		got[d.Kind] = d.ID
	}
	if err != nil || len(all) != 2 || got[replay.OnlyAgain] != removed || got[replay.OnlyLive] != invented {
		t.Errorf("%+v, %v; removed %s, invented %s", all, err, removed, invented)
	}

	// An instance that was killed before it told the last ones tells them when it starts.
	var rest uint64
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		events, err := js.Stream(ctx, "QUESTWATCH_EVENTS")
		if err != nil {
			return err
		}
		for seq := events.CachedInfo().State.LastSeq; seq > removedSeq; seq-- {
			rest++
			err = errors.Join(err, events.DeleteMsg(ctx, seq))
		}
		return err
	})
	result, all, err := recheck(t, c, "", "")
	if err != nil || len(all) > 0 || result.Untold != rest {
		t.Errorf("%d untold: %+v, %+v, %v", rest, result, all, err)
	}
}

// TestReplayCheckBehindOtherRules has the stream discarded up to a checkpoint: rules that it
// was not taken under find behind it what they find when all is read, but for what began
// before.
func TestReplayCheckBehindOtherRules(t *testing.T) {
	t.Parallel()
	c, dsn, server := onServer(t)
	c.Rules.SetGrace(10 * time.Millisecond)
	load := startTraffic(t, dsn, 3)
	r := start(t, c, dsn)
	r.ready(t)
	load.more(t, 150)
	r.stop(t)
	behind := r.watch.Status().Checkpoint.Seq
	r = start(t, c, dsn)
	r.ready(t)
	load.more(t, 400)
	load.stop()
	r.settle(t)
	r.stop(t)
	tuned := c
	tuned.Rules.IdleInProgress.Enabled = false
	tuned.Rules.Unassigned.Severity.AssignmentLost = "critical"
	whole, all, err := recheck(t, tuned, text(int64(behind)+1), "")
	if err != nil || !whole.Exact {
		t.Fatalf("of the whole stream: %+v, %v", whole, err)
	}
	withStream(t, server.URL(), "QUESTWATCH_CDC", func(ctx context.Context, cdc jetstream.Stream) error {
		return cdc.Purge(ctx, jetstream.WithPurgeSequence(uint64(behind)))
	})
	rest, some, err := recheck(t, tuned, text(int64(behind)+1), "")
	if err != nil || rest.Exact || rest.Base != behind {
		t.Fatalf("behind the checkpoint: %+v, %v", rest, err)
	}
	expected := map[string]string{}
	for _, d := range all {
		expected[d.ID] = d.Kind
	}
	for _, d := range some {
		if expected[d.ID] != d.Kind {
			t.Errorf("found behind the checkpoint only: %s", &d)
		}
	}
	if len(some) < len(all)/2 || len(some) < 5 {
		t.Errorf("%d differences behind the checkpoint, %d of all", len(some), len(all))
	}
	same(t, c, "", "")
}

// TestReplayCheckAfterRetention has the beginning of the stream discarded: a checkpoint
// serves, and without one it is said what can be had.
func TestReplayCheckAfterRetention(t *testing.T) {
	t.Parallel()
	c, dsn, server := onServer(t)
	var first change.Seq
	for range 2 {
		r := start(t, c, dsn)
		r.ready(t)
		if list, err := r.checkpointStore().List(t.Context()); err == nil && len(list) > 0 {
			first = list[0].Seq // it is recognised by its message
		}
		exec1(t, dsn, "UPDATE applications_application SET status = 'approved' WHERE id = 1")
		r.settle(t)
		r.stop(t)
	}
	same(t, c, "", "")
	withStream(t, server.URL(), "QUESTWATCH_CDC", func(ctx context.Context, cdc jetstream.Stream) error {
		return cdc.Purge(ctx, jetstream.WithPurgeSequence(uint64(first)))
	})
	if rest := same(t, c, "", ""); rest.Base < first {
		t.Errorf("%+v", rest)
	}
	tuned := c
	tuned.Rules.SetGrace(5 * time.Second)
	if rest, _, err := recheck(t, tuned, "", ""); err != nil || rest.Exact || rest.Base < first {
		t.Errorf("by other rules: %+v, %v", rest, err)
	}
	// An audit of the past needs the checkpoint too, and says when there is none.
	at, nothing := pointOf(t, text(int64(first)+1)), func(int64, int64) {}
	for _, by := range []*config.Config{&c, &tuned} {
		if _, err := OpenPastDatabase(t.Context(), by, at, nothing, testLogger(t)); err != nil {
			t.Errorf("the past behind a checkpoint: %v", err)
		}
	}
	moment, err := ShowQuest(t.Context(), &tuned, 8, replay.Point{}, 10, false, testLogger(t))
	if err != nil || len(moment.Open) != 1 || moment.Open[0].Rule != rule.Unassigned {
		t.Errorf("quest 8 by other rules: %+v, %v", moment, err)
	}
	otherWords := c
	otherWords.Statuses.Quest.Open = "vacant"
	if _, err := OpenPastDatabase(t.Context(), &otherWords, at, nothing, testLogger(t)); err == nil || !strings.Contains(err.Error(), "discarded") || hint.Of(err) == "" {
		t.Errorf("the past in other words: %v, advice %q", err, hint.Of(err))
	}
	for _, from := range []string{"3", "0/1", "2001-01-01T00:00:00Z"} {
		var point *replay.PointError
		if _, _, err := recheck(t, c, from, ""); !errors.As(err, &point) || !strings.Contains(hint.Of(err), fmt.Sprintf("begins with message %d", first)) {
			t.Errorf("from %s: %v, advice %q", from, err, hint.Of(err))
		}
	}
	var point *replay.PointError
	if _, _, err := recheck(t, c, text(int64(first)), ""); !errors.As(err, &point) || !strings.Contains(hint.Of(err), "earliest possible time is 2") {
		t.Errorf("from the checkpoint's own message: %v, advice %q", err, hint.Of(err))
	}
	if _, _, err := recheck(t, c, "", text(int64(first))); !errors.As(err, &point) || !strings.Contains(hint.Of(err), "earliest possible time is 2") {
		t.Errorf("to the checkpoint's own message: %v, advice %q", err, hint.Of(err))
	}
	for _, to := range []string{"99999999", "3"} {
		var point *replay.PointError
		if _, _, err := recheck(t, c, "", to); !errors.As(err, &point) {
			t.Errorf("to %s: %v", to, err)
		}
	}
}
