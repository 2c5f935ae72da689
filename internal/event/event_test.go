package event_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

var update = flag.Bool("update", false, "write the golden files anew")

const alice = "8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c"

// tracked is a tracker that has one finding of each shape open.
func tracked(t *testing.T, origin drift.Origin) (*drift.Tracker, []drift.Transition) {
	t.Helper()
	users := quest.NewUsers()
	a := users.Intern([]byte(alice))
	tracker := drift.NewTracker(drift.Config{
		Namespace: "questwatch", Graces: map[rule.Rule]time.Duration{rule.Unassigned: 1500 * time.Millisecond},
	}, users)
	where := drift.Where{Epoch: 1, Origin: origin, Transaction: change.Transaction{
		ID: 754, CommitLSN: 24023400, EndLSN: 24023448, Time: 1782912152000, Message: 1, Messages: 1,
	}}
	tracker.Judge(nil, 42, &quest.Quest{ID: 42, Title: "Paint \"the\" fence <&>"}, []rule.Violation{
		{Rule: rule.MissingParticipant, Cause: rule.ApprovalFailed, Severity: rule.Critical, User: a, Application: 7, Suggested: a},
		{Rule: rule.Unassigned, Cause: rule.Released, Severity: rule.Info, Participants: []int64{3, 4}, Suggested: a},
	}, where)
	tracker.Baselined(where, 3)
	return tracker, tracker.Mark(nil, 1782912155250)
}

func TestGolden(t *testing.T) {
	tracker, opened := tracked(t, drift.FromStream)
	if len(opened) != 2 {
		t.Fatalf("opened %+v", opened)
	}
	f := event.FindingOf(&opened[0].Finding)
	again, err := event.OfOpen(&f)
	if want := event.OfTransition(&opened[0], event.Position{}); err != nil || !reflect.DeepEqual(again, want) {
		t.Errorf("what is open is told as %+v, %v; want %+v", again, err, want)
	}
	at := func(index int) event.Position { return event.Position{Sequence: 18, Index: index} }
	resolvedBy := drift.Where{
		Epoch: 2, Origin: drift.FromStream,
		Transaction: change.Transaction{ID: 760, CommitLSN: 24024000, EndLSN: 24024048, Time: 1782912160123},
	}
	resolved := tracker.Judge(nil, 42, &quest.Quest{ID: 42, Exists: true}, nil, resolvedBy)
	goneTracker, _ := tracked(t, drift.FromStream)
	gone := goneTracker.Judge(nil, 42, &quest.Quest{ID: 42, Exists: true, Deleted: true}, nil, resolvedBy)
	fromBaseline, _ := tracked(t, drift.FromBaseline)
	summary := fromBaseline.Summary()
	if len(resolved) != 2 || len(gone) != 2 || summary == nil {
		t.Fatalf("resolved %+v, summary %+v", resolved, summary)
	}
	tx := &change.Transaction{ID: 9, CommitLSN: 10, EndLSN: 12, Time: 1782912170000, Message: 1}
	source := change.Source{DB: "peerquest", Epoch: 4}
	ofControl := func(c change.Control) event.Event {
		c.Source = source
		e, ok := event.OfControl(&c, 1782912165000, at(0))
		if !ok {
			t.Fatalf("no event of %+v", c)
		}
		return e
	}
	ours, people := &quest.Quest{ID: 42, Title: "Paint", Exists: true}, quest.NewUsers()
	people.Intern([]byte(alice))
	turned := func(turn rule.Turn) event.Event {
		return event.OfTurn("questwatch", ours, people, &turn, event.Told{Where: resolvedBy, At: 1782912160123, Position: at(1)})
	}
	const prefix = "questwatch.events."
	for _, c := range []struct {
		file, subject, kind string
		event               event.Event
	}{
		{"opened_quest", prefix + "drift.opened.unassigned.42", "drift.opened", event.OfTransition(&opened[0], at(0))},
		{"opened_pair", prefix + "drift.opened.missing_participant.42", "drift.opened", event.OfTransition(&opened[1], at(1))},
		{"resolved_pair", prefix + "drift.resolved.missing_participant.42", "drift.resolved", event.OfTransition(&resolved[0], at(0))},
		{"resolved_gone", prefix + "drift.resolved.unassigned.42", "drift.resolved", event.OfTransition(&gone[1], at(1))},
		{"baseline", prefix + "drift.baseline.summary._", "drift.baseline", event.OfSummary(summary, at(2))},
		{"approval_silent", prefix + "approval.failed.silent.42", "approval.failed", silent(t, &opened[1], at(2))},
		{"approval_reverted", prefix + "approval.failed.reverted.42", "approval.failed", turned(rule.Turn{
			Kind: rule.ApprovalReverted, Severity: rule.Warning, Reversal: quest.Reversal{Application: 7, User: 1, Approved: 24023400, At: 1782912152000},
		})},
		{"approval_reported", prefix + "approval.failed.reported.42", "approval.failed", event.OfReport("questwatch", ours, alice, &change.Report{
			QuestID: 42, ApplicationID: 7, UserID: alice, Error: "ValueError",
		}, event.Told{Where: resolvedBy, At: 1782912160123, Position: at(0)})},
		{"approval_reset", prefix + "approval.reset.late.42", "approval.reset", turned(rule.Turn{
			Kind: rule.ApprovalReset, Severity: rule.Info, Reversal: quest.Reversal{Application: 7, User: 1},
		})},
		{"approval_reset_fulfilled", prefix + "approval.reset.fulfilled.42", "approval.reset", turned(rule.Turn{
			Kind: rule.ApprovalReset, Severity: rule.Info,
			Reversal: quest.Reversal{Application: 7, User: 1, Approved: 24023400, At: 1782912152000, Met: true},
		})},
		{"status_regressed", prefix + "status.regressed.completed_to_in_progress.42", "status.regressed", turned(rule.Turn{
			Kind: rule.StatusRegressed, Severity: rule.Warning, From: quest.Completed, To: quest.InProgress,
		})},
		{"gap", prefix + "stream.gap.slot_missing._", "stream.gap", ofControl(change.Control{
			Kind: change.Gap, Time: 1782912168000, From: 5, To: 6, Reason: "slot_missing",
		})},
		{"epoch", prefix + "stream.epoch.takeover._", "stream.epoch", ofControl(change.Control{
			Kind: change.Epoch, Time: 1782912170000, Reason: "takeover", System: "7412", Timeline: 2, Instance: "a",
		})},
		{"truncated", prefix + "stream.truncated.truncate._", "stream.truncated", ofControl(change.Control{
			Kind: change.Truncate, Transaction: tx, Entities: []string{"application", "participant"},
		})},
		{"schema_changed", prefix + "stream.schema_changed.columns._", "stream.schema_changed", ofControl(change.Control{
			Kind: change.SchemaChanged, Transaction: tx, Entities: []string{"quest"}, Columns: []string{"id"}, Missing: []string{"status"},
		})},
	} {
		t.Run(c.file, func(t *testing.T) {
			if got := c.event.Subject("questwatch"); got != c.subject {
				t.Errorf("subject %s, want %s", got, c.subject)
			}
			if got := c.event.Type(); got != "dev.questwatch."+c.kind+".v1" {
				t.Errorf("type %s", got)
			}
			data, err := c.event.Encode("questwatch")
			if err != nil {
				t.Fatal(err)
			}
			checkEnvelope(t, &c.event, data)
			golden(t, c.file, data)
		})
	}
}

func silent(t *testing.T, opened *drift.Transition, at event.Position) event.Event {
	t.Helper()
	e, ok := event.OfSilentFailure(opened, at)
	if !ok {
		t.Fatalf("no event of %+v", opened)
	}
	return e
}

var stamp = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`)

// checkEnvelope looks for what CloudEvents 1.0 asks of an event.
func checkEnvelope(t *testing.T, e *event.Event, data []byte) {
	t.Helper()
	var env struct {
		SpecVersion, ID, Source, Type, Subject, Time, DataContentType string
		Data                                                          struct{ Position *event.Position }
	}
	if err := json.Unmarshal(data, &env); err != nil {
		t.Fatal(err)
	}
	if env.SpecVersion != "1.0" || env.ID != e.ID || env.Source != "/questwatch/questwatch" || env.Type != e.Type() ||
		env.DataContentType != "application/json" || !stamp.MatchString(env.Time) {
		t.Errorf("envelope %+v", env)
	}
	if want := map[bool]string{true: "quest/42"}[e.Quest == 42]; env.Subject != want {
		t.Errorf("subject %q, want %q", env.Subject, want)
	}
	if at, err := event.PositionOf(data); err != nil || env.Data.Position == nil || at != *env.Data.Position || at.Sequence != 18 {
		t.Errorf("position %+v, %v", at, err)
	}
	if strings.Contains(string(data), "name\"") {
		t.Errorf("a name in %s", data)
	}
}

func golden(t *testing.T, name string, data []byte) {
	t.Helper()
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, data, "", "  "); err != nil {
		t.Fatal(err)
	}
	pretty.WriteByte('\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(file, pretty.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(pretty.Bytes(), want) {
		t.Errorf("%s is\n%s\nwant\n%s", file, pretty.Bytes(), want)
	}
}

// TestTimeOfStreamEvents: it is never before stream time, nor before the
// record's own or its transaction's.
func TestTimeOfStreamEvents(t *testing.T) {
	for _, kind := range []change.Kind{change.Gap, change.Epoch, change.Truncate, change.SchemaChanged} {
		for _, c := range []struct{ own, tx, now, want change.Millis }{
			{0, 0, 7, 7}, {5, 0, 7, 7}, {9, 0, 7, 9}, {0, 5, 7, 7}, {0, 9, 7, 9}, {9, 8, 7, 9}, {8, 9, 7, 9},
		} {
			r := change.Control{Kind: kind, Time: c.own}
			if c.tx != 0 {
				r.Transaction = &change.Transaction{Time: c.tx}
			}
			e, _ := event.OfControl(&r, c.now, event.Position{})
			if data := e.Data.(event.Continuity); e.Time != c.want || data.Time != c.want {
				t.Errorf("%s %+v: time %d, in the data %d", kind, c, e.Time, data.Time)
			}
		}
	}
}

func TestRecordsWithoutEvent(t *testing.T) {
	for _, kind := range []change.Kind{change.Progress, change.BaselineBegin, change.BaselineEnd, change.TxEnd, change.Message} {
		if e, ok := event.OfControl(&change.Control{Kind: kind}, 1, event.Position{}); ok {
			t.Errorf("%s has event %+v", kind, e)
		}
	}
}

// TestSubjectTokens: whatever a reason says, the subject has six tokens and no
// wildcard.
func TestSubjectTokens(t *testing.T) {
	for reason, want := range map[string]string{
		"": "_", "takeover": "takeover", "slot lost": "slot_lost", "a.b.>": "a_b__", "*": "_", "\x00é": "__",
	} {
		e, _ := event.OfControl(&change.Control{Kind: change.Gap, Reason: reason}, 1, event.Position{})
		if got := e.Subject("ns"); got != "ns.events.stream.gap."+want+"._" {
			t.Errorf("reason %q: subject %s", reason, got)
		}
	}
}

func TestPositions(t *testing.T) {
	order := []event.Position{{}, {Sequence: 1}, {Sequence: 1, Index: 1}, {Sequence: 2}, {Sequence: 1 << 63, Index: 7}}
	for i, p := range order {
		for j, q := range order {
			if p.After(q) != (i > j) {
				t.Errorf("%+v after %+v is %v", p, q, p.After(q))
			}
		}
		e := event.Event{ID: "x", Data: event.Continuity{Position: p}}
		data, err := e.Encode("ns")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := event.PositionOf(data); err != nil || got != p {
			t.Errorf("%+v is read as %+v, %v", p, got, err)
		}
	}
	for _, bad := range []string{``, `{}`, `{"data":{}}`, `{"data":{"position":null}}`, `{"data":{"position":{"sequence":-1}}}`, `[`} {
		if at, err := event.PositionOf([]byte(bad)); err == nil {
			t.Errorf("position %+v in %q", at, bad)
		}
	}
}

func TestStamp(t *testing.T) {
	for m, want := range map[change.Millis]string{
		0: "1970-01-01T00:00:00.000Z", 1782912152004: "2026-07-01T13:22:32.004Z", -1: "1969-12-31T23:59:59.999Z",
	} {
		if got := event.Stamp(m); got != want {
			t.Errorf("%d is %s, want %s", m, got, want)
		}
	}
}
