package pgstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestBrake(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	ctx := t.Context()
	expect := func(want string) {
		t.Helper()
		b, err := s.Brake(ctx, "questwatch")
		got := ""
		if b != nil {
			got = strings.Replace(b.String(), " since "+time.UnixMicro(int64(b.Since)).UTC().Format("2006-01-02 15:04:05 MST"), "", 1)
		}
		if err != nil || got != want {
			t.Errorf("the brake is %q, want %q: %v", got, want, err)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	expect("")
	must(s.Resume(ctx, "questwatch", "nobody"))
	if actor, err := s.Resumed(ctx, "questwatch"); err != nil || actor != "" {
		t.Errorf("resumed by %q before it was stopped: %v", actor, err)
	}
	must(s.Stop(ctx, "questwatch", remedy.Brake{Halted: true, Actor: "the breaker", Reason: "60 in a minute"}))
	must(s.Stop(ctx, "questwatch", remedy.Brake{Actor: "somebody", Reason: "later"}))
	must(s.Stop(ctx, "other", remedy.Brake{Actor: "somebody"}))
	expect("halted by the breaker: 60 in a minute")
	o := unassigned()
	if _, err := s.Carry(ctx, o, nil, decide(o)); !errors.Is(err, remedy.ErrBraked) || !strings.Contains(err.Error(), "60 in a minute") {
		t.Errorf("an automatic repair: %v", err)
	}
	carry(t, s, missing()) // somebody asked
	must(s.Resume(ctx, "questwatch", "somebody"))
	expect("")
	must(s.Resume(ctx, "questwatch", "somebody"))
	if actor, err := s.Resumed(ctx, "questwatch"); err != nil || actor != "somebody" {
		t.Errorf("resumed by %q: %v", actor, err)
	}
	carry(t, s, o)
	must(s.Stop(ctx, "questwatch", remedy.Brake{Actor: "somebody"}))
	expect("paused by somebody")
	if n := one[int64](t, conn, "SELECT count(*) FROM questwatch.brake"); n != 4 {
		t.Errorf("there are %d rows, want three stops and an end", n)
	}
}

// TestStopWaits: when Stop has returned no automatic repair commits any more, not even
// one that was under way.
func TestStopWaits(t *testing.T) {
	t.Parallel()
	s, conn, _ := journalled(t)
	stopped := make(chan error, 1)
	o := unassigned()
	_, err := s.Carry(t.Context(), o, func(context.Context, change.LSN) error {
		go func() {
			stopped <- s.Stop(context.WithoutCancel(t.Context()), "questwatch", remedy.Brake{Actor: "somebody"})
		}()
		waitsForLock(t, conn)
		select {
		case err := <-stopped:
			return fmt.Errorf("it did not wait: %w", err)
		default:
			return nil
		}
	}, decide(o))
	if err != nil {
		t.Fatal(err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
	if got := one[bool](t, conn, "SELECT (SELECT at FROM questwatch.brake) > (SELECT at FROM questwatch.repair)"); !got {
		t.Error("the stop is older than the repair")
	}
}

// waitsForLock returns when a session of the database waits for a lock.
func waitsForLock(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() error {
		var n int
		err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()").Scan(&n)
		if err == nil && n == 0 {
			err = errors.New("nobody waits for a lock")
		}
		return err
	})
}
