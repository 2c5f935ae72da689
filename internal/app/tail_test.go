package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/tail"
	"github.com/peerquest/questwatch/internal/testkit"
)

// shown is what a tail prints.
func shown(t *testing.T, c *config.Config, o tail.Options, names bool) []string {
	t.Helper()
	var out bytes.Buffer
	o.End = true
	if o.Since.IsZero() {
		o.Since = time.Now().Add(-time.Hour)
	}
	if err := Tail(t.Context(), c, &out, &o, names, testLogger(t)); err != nil {
		t.Fatal(err)
	}
	text := strings.TrimSuffix(out.String(), "\n")
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// Events are shown as they come and from the past, selected, with names where there are
// any; what a title says cannot forge a line.
func TestTail(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	var live lines
	ctx, cancel := context.WithCancel(t.Context())
	var reader sync.WaitGroup
	reader.Go(func() {
		err := Tail(ctx, &c, &live, &tail.Options{Filter: tail.Filter{Severity: rule.Critical}}, true, testLogger(t))
		if !errors.Is(err, context.Canceled) {
			t.Errorf("tail: %v", err)
		}
	})
	t.Cleanup(func() {
		cancel()
		reader.Wait()
	})
	exec1(t, dsn, `UPDATE quests_quest SET title = E'two\nlines \x1b[31m' WHERE id = 10`)
	// It begins with what comes after it has begun: fail until it is heard of.
	testkit.Eventually(t, 40*time.Second, func() error {
		exec1(t, dsn, `INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
			VALUES ('approved', now(), '22222222-2222-4222-8222-222222222222', 10)`)
		r.found(t, "missing_participant", 10, false)
		if live.String() == "" {
			exec1(t, dsn, `DELETE FROM applications_application WHERE quest_id = 10 AND id > 11`)
			r.found(t, "missing_participant", 10, true)
			return errors.New("nothing was shown")
		}
		return nil
	})
	first, _, _ := strings.Cut(live.String(), "\n")
	want := regexp.MustCompile(`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  critical  drift\.opened {8}missing_participant \(approval_failed\) of student2 ` +
		`in quest 10 "two\\nlines \\x1b\[31m": application \d+ is approved and the person has no participant row  finding [0-9a-f]{20}$`)
	if !want.MatchString(first) {
		t.Errorf("shown live:\n%s", first)
	}
	all := shown(t, &c, tail.Options{JSON: true}, false)
	state, err := r.Bus().EventsState(t.Context())
	if err != nil || uint64(len(all)) != uint64(state.Last) {
		t.Errorf("%d events are shown of %d: %v", len(all), state.Last, err)
	}
	for _, line := range all {
		if !json.Valid([]byte(line)) {
			t.Errorf("no JSON: %s", line)
		}
	}
	for name, c2 := range map[string]struct {
		filter tail.Filter
		every  string
	}{
		"group":    {tail.Filter{Group: "approval"}, "approval.failed"},
		"rule":     {tail.Filter{Rule: rule.Unassigned}, "unassigned"},
		"quest":    {tail.Filter{Quest: 8}, "in quest 8 "},
		"person":   {tail.Filter{User: "33333333-3333-4333-8333-333333333333"}, "33333333"},
		"severity": {tail.Filter{Severity: rule.Critical}, "critical"},
	} {
		some := shown(t, &c, tail.Options{Filter: c2.filter}, false)
		if len(some) == 0 || len(some) >= len(all) {
			t.Errorf("%s: %d of %d are shown", name, len(some), len(all))
		}
		for _, line := range some {
			if !strings.Contains(line, c2.every) {
				t.Errorf("%s: %s", name, line)
			}
		}
	}
	if late := shown(t, &c, tail.Options{Since: time.Now()}, false); len(late) > 0 {
		t.Errorf("events of the future: %q", late)
	}
}

// lines are written by one goroutine and read by another.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

var _ io.Writer = (*lines)(nil)

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
