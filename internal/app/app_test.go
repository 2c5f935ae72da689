package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// settings is a configuration for a test: everything private, on free ports.
func settings(t *testing.T, dsn string) config.Config {
	t.Helper()
	c := config.Default()
	c.Data = t.TempDir()
	c.HTTP.Listen = "127.0.0.1:0"
	c.NATS.Listen = "127.0.0.1:0"
	c.Postgres.DSN = dsn
	for _, r := range []*config.Rule{
		&c.Rules.MissingParticipant, &c.Rules.OrphanParticipant, &c.Rules.OpenWithParticipants,
		&c.Rules.Unassigned, &c.Rules.DuplicateParticipant,
	} {
		r.Grace = time.Second
	}
	if err := c.Finish(); err != nil {
		t.Fatal(err)
	}
	return c
}

// running is a program under test.
type running struct {
	*App
	stop func() error
}

// start runs the program until stop is called, at the latest at the test's end.
func start(t *testing.T, c config.Config) *running {
	t.Helper()
	level := slog.LevelError
	if testing.Verbose() {
		level = slog.LevelInfo
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	ctx, cancel := context.WithCancel(t.Context())
	a, err := New(ctx, c, logger)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, true) }()
	stopped := false
	r := &running{App: a}
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return errors.Join(<-done, a.Close())
	}
	t.Cleanup(func() {
		if err := r.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return r
}

// ready waits until the program says so.
func (r *running) ready(t *testing.T) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		if reasons := r.Reasons(); len(reasons) > 0 {
			return fmt.Errorf("not ready: %q", reasons)
		}
		return nil
	})
}

// findings reads all drift events so far, by kind.
func (r *running) findings(t *testing.T) (opened, resolved []event.Finding) {
	t.Helper()
	err := r.Bus().ConsumeEvents(t.Context(), []string{r.Bus().EventSubject("drift.opened.>"), r.Bus().EventSubject("drift.resolved.>")}, 0,
		func(m bus.Message) error {
			var e struct {
				Type string        `json:"type"`
				Data event.Finding `json:"data"`
			}
			if err := json.Unmarshal(m.Data, &e); err != nil {
				return err
			}
			if e.Type == "dev.questwatch.drift.opened.v1" {
				opened = append(opened, e.Data)
			} else {
				resolved = append(resolved, e.Data)
			}
			return nil
		}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return opened, resolved
}

var errCaughtUp = errors.New("caught up")

func exec(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}

func TestBaselineFailureAndLeaver(t *testing.T) {
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn))
	r.ready(t)
	testkit.Eventually(t, 20*time.Second, func() error {
		if opened, _ := r.findings(t); len(opened) != 5 {
			return fmt.Errorf("%d findings of the baseline, want 5", len(opened))
		}
		return nil
	})

	// Quest 5: its participant leaves. Quest 9: a failed approval.
	exec(t, dsn, `BEGIN; DELETE FROM quests_questparticipant WHERE quest_id = 5;
		UPDATE quests_quest SET assigned_to_id = NULL, status = 'open' WHERE id = 5; COMMIT`)
	exec(t, dsn, `INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		VALUES ('pending', now(), '33333333-3333-4333-8333-333333333333', 6)`)
	exec(t, dsn, `UPDATE applications_application SET status = 'approved' WHERE quest_id = 6 AND applicant_id = '33333333-3333-4333-8333-333333333333'`)
	testkit.Eventually(t, 20*time.Second, func() error {
		opened, _ := r.findings(t)
		got := map[string]bool{}
		for _, f := range opened {
			got[fmt.Sprint(f.Rule, " ", f.QuestID, " ", f.Cause, " ", f.Origin)] = true
		}
		for _, want := range []string{"missing_participant 5 departed stream", "missing_participant 6 approval_failed stream"} {
			if !got[want] {
				return fmt.Errorf("no %q in %v", want, got)
			}
		}
		return nil
	})
	exec(t, dsn, `INSERT INTO quests_questparticipant (status, joined_at, progress_notes, quest_id, user_id)
		VALUES ('joined', now(), '', 6, '33333333-3333-4333-8333-333333333333')`)
	testkit.Eventually(t, 20*time.Second, func() error {
		if _, resolved := r.findings(t); len(resolved) != 1 || resolved[0].QuestID != 6 {
			return fmt.Errorf("resolved: %+v", resolved)
		}
		return nil
	})
}
