package postgres

import (
	"context"
	"errors"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// section is a part of constraints.sql that stands alone.
type section struct {
	apply, remove []string // statement by statement
}

var (
	sectionText = regexp.MustCompile(`(?ms)^-- section (\d[.\d]*): .*?^-- end of (\d[.\d]*)$`)
	removeLine  = regexp.MustCompile(`(?m)^-- remove[^:]*: (.*;)$`)
)

// pack reads constraints.sql as its first lines say how.
func pack(tb testing.TB) map[string]section {
	tb.Helper()
	text, err := os.ReadFile("constraints.sql")
	if err != nil {
		tb.Fatal(err)
	}
	all := map[string]section{}
	for _, m := range sectionText.FindAllStringSubmatch(string(text), -1) {
		if m[1] != m[2] {
			tb.Fatalf("section %s ends as %s", m[1], m[2])
		}
		s := section{apply: statements(m[0])}
		for _, r := range removeLine.FindAllStringSubmatch(m[0], -1) {
			s.remove = append(s.remove, r[1])
		}
		if len(s.apply) == 0 || len(s.remove) == 0 {
			tb.Fatalf("section %s: %d statements, %d to remove it", m[1], len(s.apply), len(s.remove))
		}
		all[m[1]] = s
	}
	if len(all) != 10 {
		tb.Fatalf("%d sections", len(all))
	}
	return all
}

// statements splits as psql does, as far as this file needs it.
func statements(text string) []string {
	var all []string
	var one strings.Builder
	quoted := false
	for line := range strings.Lines(text) {
		if !quoted && strings.HasPrefix(line, "--") {
			continue
		}
		one.WriteString(line)
		if strings.Count(line, "$$")%2 == 1 {
			quoted = !quoted
		}
		if !quoted && strings.HasSuffix(line, ";\n") {
			all = append(all, one.String())
			one.Reset()
		}
	}
	return all
}

func connect(tb testing.TB, dsn string) *pgx.Conn {
	tb.Helper()
	conn, err := pgx.Connect(tb.Context(), dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = conn.Close(context.Background()) }) // the test is over
	return conn
}

// do runs statements, each as a transaction of its own.
func do(tb testing.TB, db *pgx.Conn, sql ...string) {
	tb.Helper()
	for _, s := range sql {
		if err := try(tb, db, s); err != nil {
			tb.Fatalf("%v\n%s", err, s)
		}
	}
}

// try runs one text of statements as one transaction.
func try(tb testing.TB, db *pgx.Conn, sql string) error {
	tb.Helper()
	_, err := db.PgConn().Exec(tb.Context(), sql).ReadAll()
	return err
}

// apply applies sections in the order given.
func apply(tb testing.TB, db *pgx.Conn, names ...string) {
	tb.Helper()
	all := pack(tb)
	for _, name := range names {
		if err := tryApply(tb, db, all[name]); err != nil {
			tb.Fatalf("section %s: %v", name, err)
		}
	}
}

func tryApply(tb testing.TB, db *pgx.Conn, s section) error {
	tb.Helper()
	for _, sql := range s.apply {
		if err := try(tb, db, sql); err != nil {
			return err
		}
	}
	return nil
}

// refused says which constraint refused a write, with the SQLSTATE, and "" when none did. Any other error fails the test.
func refused(tb testing.TB, err error) string {
	tb.Helper()
	var pg *pgconn.PgError
	if errors.As(err, &pg) && strings.HasPrefix(pg.Code, "23") {
		return pg.Code + " " + pg.ConstraintName
	}
	if err != nil {
		tb.Fatal(err)
	}
	return ""
}

// wants fails the test unless the constraint refuses the transaction; "" means none does.
func wants(t *testing.T, db *pgx.Conn, constraint, sql string) {
	t.Helper()
	if got := refused(t, try(t, db, sql)); got != constraint {
		t.Errorf("refused by %q, want %q:\n%s", got, constraint, sql)
	}
}

func query[T any](tb testing.TB, db *pgx.Conn, sql string) []T {
	tb.Helper()
	rows, err := db.Query(tb.Context(), sql)
	if err != nil {
		tb.Fatal(err)
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		tb.Fatalf("%v\n%s", err, sql)
	}
	return values
}

// catalog lists all that the pack could have made or changed.
func catalog(tb testing.TB, db *pgx.Conn) []string {
	tb.Helper()
	return query[string](tb, db, `SELECT s FROM (
		SELECT format('constraint %s on %s: %s', conname, conrelid::regclass, pg_get_constraintdef(oid)) AS s FROM pg_constraint
			WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT format('trigger %s on %s', tgname, tgrelid::regclass) FROM pg_trigger WHERE NOT tgisinternal
		UNION ALL SELECT format('function %s', proname) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		UNION ALL SELECT format('index %s, valid %s', indexrelid::regclass, indisvalid) FROM pg_index
			WHERE indrelid::regclass::text !~ '^pg_' AND indrelid::regclass::text !~ '^information') x ORDER BY s`)
}

// TestApplyTwiceAndRemove: on Django's own tables 1.1 and 1.3 find everything there, and every other section leaves the
// database as it was when it is removed.
func TestApplyTwiceAndRemove(t *testing.T) {
	t.Parallel()
	db := connect(t, testkit.Database(t, testkit.LoadAudit001))
	before := catalog(t, db)
	all := pack(t)
	for name, s := range all {
		do(t, db, s.apply...)
		once := catalog(t, db)
		do(t, db, s.apply...)
		if diff := cmp.Diff(once, catalog(t, db)); diff != "" {
			t.Errorf("section %s applied twice:\n%s", name, diff)
		}
		djangos := name == "1.1" || name == "1.3"
		if changed := !slices.Equal(before, once); changed == djangos {
			t.Errorf("section %s: changed %t", name, changed)
		}
		if !djangos {
			do(t, db, s.remove...)
		}
		if diff := cmp.Diff(before, catalog(t, db)); diff != "" {
			t.Errorf("section %s removed:\n%s", name, diff)
		}
	}
}
