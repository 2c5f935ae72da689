package audit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/pgstore"
	"github.com/peerquest/questwatch/internal/rule"
)

// open connects a store that gives way fast, as tests that hold locks want it.
func open(tb testing.TB, dsn string) *pgstore.Store {
	tb.Helper()
	cfg := pgstore.Default()
	cfg.LockTimeout = 200 * time.Millisecond
	return openWith(tb, dsn, cfg)
}

func openWith(tb testing.TB, dsn string, cfg pgstore.Config) *pgstore.Store {
	tb.Helper()
	store, err := pgstore.Open(tb.Context(), dsn, cfg)
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(store.Close)
	return store
}

func connect(tb testing.TB, dsn string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), dsn)
	if err != nil {
		tb.Fatalf("connect: %v", err)
	}
	tb.Cleanup(func() {
		if err := conn.Close(context.Background()); err != nil {
			tb.Logf("close connection: %v", err)
		}
	})
	return conn
}

func exec(tb testing.TB, conn *pgx.Conn, sql string) {
	tb.Helper()
	if _, err := conn.PgConn().Exec(tb.Context(), sql).ReadAll(); err != nil {
		tb.Fatalf("execute: %v\n%.500s", err, sql)
	}
}

// one reads a single value.
func one[T any](tb testing.TB, conn *pgx.Conn, sql string) T {
	tb.Helper()
	rows, err := conn.Query(tb.Context(), sql)
	if err != nil {
		tb.Fatalf("query: %v\n%s", err, sql)
	}
	v, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[T])
	if err != nil {
		tb.Fatalf("query: %v\n%s", err, sql)
	}
	return v
}

// report is the JSON report as a reader of it sees it.
type report struct {
	Mode   string
	Compat *string
	User   *string
	Status string
	Stats  struct {
		UsersAudited int64 `json:"users_audited"`
		Applications int64
		Participants int64
		IssuesFound  int64            `json:"issues_found"`
		IssuesFixed  int64            `json:"issues_fixed"`
		ByRule       map[string]int64 `json:"by_rule"`
	}
	Findings []finding
	WouldFix []finding `json:"would_fix"`
	Skipped  []finding
	Undo     []string
	Err      error `json:"-"`
}

type finding struct {
	Rule          rule.Rule
	Cause         rule.Cause
	Severity      rule.Severity
	QuestID       int64   `json:"quest_id"`
	UserID        *string `json:"user_id"`
	Username      *string
	ApplicationID *int64  `json:"application_id"`
	Participants  []int64 `json:"participant_ids"`
	Suggested     *string `json:"suggested_user_id"`
	Actual        string
	Detail        string
	Fixed         bool
	Action        string
}

// run audits.
func run(tb testing.TB, db audit.Database, cfg audit.Config) report {
	tb.Helper()
	result, err := audit.Run(tb.Context(), db, cfg, nil)
	if err != nil {
		tb.Fatalf("audit: %v", err)
	}
	defer func() {
		if err := result.Close(); err != nil {
			tb.Errorf("close result: %v", err)
		}
	}()
	return read(tb, result)
}

// read reads the JSON report back, strictly one line.
func read(tb testing.TB, result *audit.Result) report {
	tb.Helper()
	var out bytes.Buffer
	if err := result.Write(&out, audit.JSON, audit.View{}); err != nil {
		tb.Fatalf("write report: %v", err)
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != 1 || out.Bytes()[out.Len()-1] != '\n' {
		tb.Fatalf("the JSON report has %d line ends, want one at its end", n)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		tb.Fatalf("read report: %v\n%s", err, out.String())
	}
	r.Err = result.Err()
	return r
}

// status is the exit status that an audit's error stands for.
func status(err error) int {
	if err == nil {
		return 0
	}
	var e *audit.Unsuccessful
	if errors.As(err, &e) {
		return e.Status
	}
	return 3
}
