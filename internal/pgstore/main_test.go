package pgstore

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func openStore(tb testing.TB, dsn string, cfg Config) *Store {
	tb.Helper()
	s, err := Open(tb.Context(), dsn, cfg)
	if err != nil {
		tb.Fatalf("open store: %v", err)
	}
	tb.Cleanup(s.Close)
	return s
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
