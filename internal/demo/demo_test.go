package demo

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/testkit/peerquest"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func TestDemoFindsEverythingAndNothingElse(t *testing.T) {
	var out bytes.Buffer
	keep := filepath.Join(t.TempDir(), "kept")
	result, err := Run(t.Context(), Options{For: 5 * time.Second, Keep: keep, Rate: 150, Seed: 42, Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	if !result.Good() || result.Baseline != 5 {
		t.Errorf("not good:\n%s", result.Report(func(_ bool, text string) string { return text }))
	}
	injected := 0
	for _, n := range result.Injected {
		injected += n
	}
	if injected == 0 || result.Changes == 0 || result.Detect.P50 < 3000 {
		t.Errorf("nothing was proved: %+v", result)
	}
	for channel, told := range result.Told {
		if told.Of == 0 || told.Failures == 0 || told.Messages == 0 || told.After.P50 < 3000 || channel == webhook && told.Failures != told.Of {
			t.Errorf("%s told %+v", channel, told)
		}
	}
	if !strings.Contains(out.String(), "there before") {
		t.Errorf("the view shows no finding of the baseline:\n%s", out.String())
	}
	if _, err := os.Stat(filepath.Join(keep, "jetstream")); err != nil {
		t.Errorf("the data directory was not kept: %v", err)
	}
}

// An end that comes before there is any traffic is an end like any other.
func TestEndBeforeTheSimulatorIsReady(t *testing.T) {
	for name, test := range map[string]struct {
		length time.Duration
		live   bool
		end    bool
	}{
		"interrupted": {end: true},
		"over":        {length: time.Nanosecond, live: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if test.end {
				cancel()
			}
			var out bytes.Buffer
			result, err := Run(ctx, Options{For: test.length, Rate: 10, Seed: 1, Out: &out, Live: test.live})
			if err != nil {
				t.Fatal(err)
			}
			if !result.Good() || result.Baseline != 5 || result.Transactions != 0 {
				t.Errorf("%+v", result)
			}
			if n := strings.Count(out.String(), finishing+"\n"); n == 0 || !test.live && n > 1 {
				t.Errorf("said %d times that it finishes:\n%s", n, out.String())
			}
		})
	}
}

func TestKeepsOnlyInAnEmptyDirectory(t *testing.T) {
	dir := t.TempDir()
	for range 2 { // an empty one may be there
		if err := keepIn(filepath.Join(dir, "new")); err != nil {
			t.Error(err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, file} {
		_, err := Run(t.Context(), Options{Keep: path, Rate: 1, Out: io.Discard})
		if !hint.IsSetup(err) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v", path, err)
		}
	}
}

func sighted(which rule.Rule, severity rule.Severity, cause rule.Cause, quest int64, xid uint64) sighting {
	return sighting{Finding: event.Finding{
		Rule: which, Severity: severity, Cause: cause, QuestID: quest, Origin: drift.FromStream,
		Transaction: event.Transaction{ID: xid},
	}}
}

// The comparison itself must be able to fail.
func TestCompare(t *testing.T) {
	expected := peerquest.Expectation{Rule: "unassigned", QuestID: 7, Cause: "assignment_lost", Severity: "warning", XID: 9, Kind: peerquest.Injected}
	left := peerquest.Expectation{Rule: "assignee_not_participant", QuestID: 7, Cause: "assignee_left", Severity: "info", XID: 9, Kind: peerquest.Legit}
	right := sighted(rule.Unassigned, rule.Warning, rule.AssignmentLost, 7, 9)
	for name, test := range map[string]struct {
		truth                 []peerquest.Expectation
		found                 []sighting
		missed, false, untrue int
	}{
		"found":             {[]peerquest.Expectation{expected}, []sighting{right}, 0, 0, 0},
		"missed":            {[]peerquest.Expectation{expected}, nil, 1, 0, 0},
		"out of thin air":   {nil, []sighting{right}, 0, 1, 0},
		"other transaction": {[]peerquest.Expectation{expected}, []sighting{sighted(rule.Unassigned, rule.Warning, rule.AssignmentLost, 7, 8)}, 1, 1, 0},
		"other cause":       {[]peerquest.Expectation{expected}, []sighting{sighted(rule.Unassigned, rule.Info, rule.Released, 7, 9)}, 1, 0, 1},
		"other quest":       {[]peerquest.Expectation{expected}, []sighting{sighted(rule.Unassigned, rule.Warning, rule.AssignmentLost, 8, 9)}, 1, 1, 0},
		"other severity":    {[]peerquest.Expectation{expected}, []sighting{sighted(rule.Unassigned, rule.Info, rule.AssignmentLost, 7, 9)}, 1, 0, 1},
		"left":              {[]peerquest.Expectation{left}, []sighting{sighted(rule.AssigneeNotParticipant, rule.Info, rule.AssigneeLeft, 7, 9)}, 0, 0, 0},
		"left, not told":    {[]peerquest.Expectation{left}, nil, 1, 0, 0},
		"left, an alarm":    {[]peerquest.Expectation{left}, []sighting{sighted(rule.AssigneeNotParticipant, rule.Warning, rule.AssigneeLeft, 7, 9)}, 1, 1, 0},
		"info alone":        {nil, []sighting{sighted(rule.MissingParticipant, rule.Info, rule.Departed, 7, 9)}, 0, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := compare(test.truth, test.found)
			if r.Missed != test.missed || r.FalseAlarms != test.false || r.Untrue != test.untrue {
				t.Errorf("missed %d, false alarms %d, untrue %d; want %d, %d and %d",
					r.Missed, r.FalseAlarms, r.Untrue, test.missed, test.false, test.untrue)
			}
		})
	}
}

func TestLatency(t *testing.T) {
	var waits []time.Duration
	for i := range 101 {
		waits = append(waits, time.Duration(100-i)*time.Millisecond)
	}
	if got := latency(waits); got != (Latency{P50: 50, P99: 99, Max: 100}) {
		t.Errorf("latency %+v", got)
	}
}

func TestDemoRepairsWhatFailedAndNothingElse(t *testing.T) {
	var out bytes.Buffer
	result, err := Run(t.Context(), Options{For: 8 * time.Second, Rate: 100, Seed: 7, Repair: true, Out: &out})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, n := range result.Repaired {
		total += n
	}
	if !result.Good() || total == 0 || result.After.P50 < 3000 {
		t.Errorf("%d repairs:\n%s", total, result.Report(func(_ bool, text string) string { return text }))
	}
}
