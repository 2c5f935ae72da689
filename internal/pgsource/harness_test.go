package pgsource

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// settings is a configuration with names of the database's own: slots are a
// cluster's.
func settings(t *testing.T, dsn string) Config {
	t.Helper()
	conn, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return Config{
		DSN: dsn, Slot: "slot_" + conn.Database, Publication: "questwatch", Schema: change.PeerQuest(), Setup: true,
		SenderTimeout: 5 * time.Second, Logger: slog.New(slog.DiscardHandler),
	}
}

func open(t *testing.T, c Config) *Source {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// setUp makes publication and slot, and returns where the slot begins.
func setUp(t *testing.T, s *Source) change.LSN {
	t.Helper()
	_, setup, err := s.Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), setup); err != nil {
		t.Fatal(err)
	}
	snap, err := s.Snapshot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close(context.WithoutCancel(t.Context()))
	if err := snap.Persist(t.Context()); err != nil {
		t.Fatal(err)
	}
	return snap.LSN
}

// transactions streams until n transactions with changes or notes have come, and
// returns their signals without the borders.
func transactions(t *testing.T, s *Source, from change.LSN, n int) [][]change.Signal {
	t.Helper()
	st, err := s.Start(t.Context(), from, 1000)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	var all [][]change.Signal
	var current []change.Signal
	for len(all) < n {
		var sig change.Signal
		if err := st.Receive(&sig); err != nil {
			t.Fatal(err)
		}
		switch sig.Kind {
		case change.Changed, change.Noted:
			current = append(current, sig)
		case change.Committed:
			if len(current) > 0 {
				all, current = append(all, current), nil
			}
		case change.Began:
		case change.Alive:
			if err := st.Status(from, false); err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

func run(t *testing.T, dsn string, statements ...string) {
	t.Helper()
	if err := attempt(t, dsn, statements...); err != nil {
		t.Fatal(err)
	}
}

// attempt runs statements that the server may refuse.
func attempt(t *testing.T, dsn string, statements ...string) error {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			return fmt.Errorf("%s: %w", sql, err)
		}
	}
	return nil
}

func version(t *testing.T, dsn string) int {
	t.Helper()
	return ask[int](t, dsn, `SELECT current_setting('server_version_num')::int`)
}

func ask[T any](t *testing.T, dsn, sql string, args ...any) (value T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return value
}

// says checks an error: what it and its hint contain, and that it holds no
// password.
func says(t *testing.T, err error, setup bool, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	text := fmt.Sprintf("%v | %s", err, hint.Of(err))
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %q", part, text)
		}
	}
	if strings.Contains(text, "s3cret") {
		t.Errorf("password in %q", text)
	}
	if hint.Of(err) == "" {
		t.Errorf("no hint with %q", text)
	}
	if hint.IsSetup(err) != setup {
		t.Errorf("is a matter of setup: %t, want %t: %q", hint.IsSetup(err), setup, text)
	}
}

// statementsOf is the SQL of an error's hint.
func statementsOf(t *testing.T, err error) string {
	t.Helper()
	_, sql, found := strings.Cut(hint.Of(err), ": ")
	if !found {
		t.Fatalf("no statements in %q", hint.Of(err))
	}
	return sql
}
