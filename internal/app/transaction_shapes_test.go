package app

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestLargeTransaction(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	exec1(t, dsn, `WITH q AS (UPDATE quests_quest SET title = title || '!')
		INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		SELECT 'approved', now(), '11111111-1111-4111-8111-111111111111', 1 + n % 10 FROM generate_series(1, 6000) n`)
	exec1(t, dsn, `DELETE FROM applications_application WHERE id > 11`)
	s := r.verify(t)
	if n := s.count("tx_end"); n != 2 {
		t.Errorf("%d transactions were streamed as they came, want 2", n)
	}
}

func TestTruncate(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	exec1(
		t, dsn,
		`BEGIN; UPDATE quests_quest SET title = 'before' WHERE id = 1; TRUNCATE quests_questparticipant;
			UPDATE quests_quest SET title = 'after' WHERE id IN (1, 2); COMMIT`,
		`TRUNCATE applications_application, quests_questparticipant CASCADE`,
	)
	s := r.verify(t)
	var emptied [][]string
	for _, c := range s.controls {
		if c.Control == "truncate" {
			emptied = append(emptied, c.Entities)
		}
	}
	if len(emptied) != 2 || fmt.Sprint(emptied[0]) != "[participant]" || !slices.Contains(emptied[1], "application") {
		t.Errorf("truncates: %v", emptied)
	}
}

func TestLogicalMessages(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	const emit = `SELECT pg_logical_emit_message(%t, 'questwatch.approval_failed', '{"quest_id":%d}')`
	exec1(
		t, dsn,
		`BEGIN; UPDATE quests_quest SET title = 'one' WHERE id = 1; `+fmt.Sprintf(emit, true, 1)+
			`; UPDATE quests_quest SET title = 'two' WHERE id = 2; COMMIT`,
		`BEGIN; UPDATE quests_quest SET title = 'never' WHERE id = 1; `+fmt.Sprintf(emit, true, 2)+`; ROLLBACK`,
		`BEGIN; UPDATE quests_quest SET title = 'never' WHERE id = 1; `+fmt.Sprintf(emit, false, 3)+`; ROLLBACK`,
		fmt.Sprintf(emit, false, 4),
		`SELECT pg_logical_emit_message(true, 'somebody.else', 'x')`,
		`UPDATE quests_quest SET title = 'three' WHERE id = 3`,
	)
	s := r.verify(t)
	var contents []string
	for _, c := range s.controls {
		if c.Control == "message" {
			contents = append(contents, fmt.Sprint(c.Prefix, " ", c.Content, " ", c.Transaction.Messages))
		}
	}
	want := []string{
		`questwatch.approval_failed {"quest_id":1} 0`,
		`questwatch.approval_failed {"quest_id":3} 1`,
		`questwatch.approval_failed {"quest_id":4} 1`,
	}
	if !slices.Equal(contents, want) {
		t.Errorf("messages %q, want %q", contents, want)
	}
}

func TestColumnsChange(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	exec1(
		t, dsn,
		`UPDATE quests_quest SET title = 'old' WHERE id = 1`,
		`ALTER TABLE quests_quest ADD COLUMN mood text, ALTER COLUMN title TYPE text`,
		`UPDATE quests_quest SET title = 'new', mood = 'fine' WHERE id = 1`,
		`ALTER TABLE quests_quest DROP COLUMN mood`,
		`UPDATE quests_quest SET title = 'newer' WHERE id = 2`,
	)
	s := r.verify(t)
	if n := s.count("schema_changed"); n != 1 {
		t.Errorf("%d changes of streamed columns, want 1", n)
	}
}

// A database that nobody writes to must not keep the log of those that others
// write to.
func TestIdleDatabaseReleasesForeignLog(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	exec1(t, dsn, `CREATE TABLE foreign_traffic (x text)`,
		`INSERT INTO foreign_traffic SELECT repeat('x', 1000) FROM generate_series(1, 2000)`)
	var end int64
	query(t, dsn, `SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint`, &end)
	testkit.Eventually(t, 20*time.Second, func() error {
		var confirmed int64
		query(t, dsn, `SELECT (confirmed_flush_lsn - '0/0')::bigint FROM pg_replication_slots WHERE slot_name = '`+c.Postgres.Slot+`'`, &confirmed)
		if confirmed < end {
			return fmt.Errorf("confirmed %d of %d", confirmed, end)
		}
		return nil
	})
	r.verify(t)
}
