package bench

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

const (
	database = "peerquest"
	// approvalRows is what one approval changes: three applications, a participant,
	// the quest.
	approvalRows = 5
	// backlogSlot keeps the backlog; every run streams from a copy of it.
	backlogSlot = "backlog"
)

// postgres is the private server.
type postgres struct {
	*testkit.Cluster
	bin string
	dsn string
}

func startPostgres(ctx context.Context) (*postgres, error) {
	bin, err := testkit.FindPostgres()
	if err != nil {
		return nil, err
	}
	cluster, err := testkit.StartPostgres(ctx, testkit.PostgresOptions{Settings: map[string]string{
		"fsync": "on", "shared_buffers": "256MB", "max_wal_size": "8GB", "checkpoint_timeout": "1h", "autovacuum": "off",
	}})
	if err != nil {
		return nil, err
	}
	p := &postgres{Cluster: cluster, bin: bin, dsn: cluster.DSN(database)}
	if err := cluster.CreateDatabase(ctx, database); err != nil {
		return nil, closing(err, cluster.Close)
	}
	if err := testkit.LoadSchema(ctx, p.dsn); err != nil {
		return nil, closing(err, cluster.Close)
	}
	return p, nil
}

// program finds a client program: the server's own, or where its folder has the server alone, the newest of Debian's.
func (p *postgres) program(name string) string {
	path := filepath.Join(p.bin, name)
	if _, err := os.Stat(path); err == nil {
		return path
	}
	others, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name) // the pattern is well formed, and there is no other error
	if len(others) == 0 {
		return path
	}
	return others[len(others)-1]
}

// exec runs statements on a connection of their own.
func (p *postgres) exec(ctx context.Context, sql ...string) error {
	conn, err := pgx.Connect(ctx, p.dsn)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, s := range sql {
		if _, err := conn.PgConn().Exec(ctx, s).ReadAll(); err != nil {
			return fmt.Errorf("run %.60q: %w", s, err)
		}
	}
	return nil
}

// ask reads one value.
func ask[T any](ctx context.Context, p *postgres, sql string, args ...any) (value T, err error) {
	conn, err := pgx.Connect(ctx, p.dsn)
	if err != nil {
		return value, fmt.Errorf("connect: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if err := conn.QueryRow(ctx, sql, args...).Scan(&value); err != nil {
		return value, fmt.Errorf("run %.60q: %w", sql, err)
	}
	return value, nil
}

// fill makes quests with three pending applications each, and one more quest, the
// last, which marks the end of a backlog.
func (p *postgres) fill(ctx context.Context, quests int) error {
	return p.exec(ctx, `SET synchronous_commit = off`, `
		INSERT INTO users_user (id, username, email, password, first_name, last_name, is_superuser, is_staff, is_active, date_joined,
			role, display_name, gender, location, social_links, settings, bio, level, is_admin, is_verified, verification_documents,
			preferred_language, timezone, notification_preferences, privacy_settings, email_verified, is_banned, two_factor_enabled,
			two_factor_method, backup_codes_generated, spending_limits)
		SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, 'user' || n, 'user' || n || '@example.test', '!', '', '', false, false, true, now(),
			'adventurer', 'User', '', '', '{}', '{}', '', 1, false, true, '{}', 'en', 'UTC', '{}', '{}', true, false, false, 'email', false, '{}'
		FROM generate_series(0, 3) n`, `
		INSERT INTO quests_questcategory (name, description, created_at) VALUES ('Development', '', now())`, fmt.Sprintf(`
		INSERT INTO quests_quest (title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at, updated_at,
			requirements, resources, slug, is_deleted, creator_id, category_id)
		SELECT 'Quest ' || n, repeat('What is to be done. ', 6), 'initiate', 'open', 25, 10, 0, now(), now(), '', '', 'quest-' || n, false,
			'00000000-0000-4000-8000-000000000000', (SELECT min(id) FROM quests_questcategory)
		FROM generate_series(1, %d) n`, quests+1), fmt.Sprintf(`
		INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		SELECT 'pending', now(), ('00000000-0000-4000-8000-' || lpad(a::text, 12, '0'))::uuid, q
		FROM generate_series(1, %d) q, generate_series(1, 3) a ORDER BY q, a`, quests),
		approveSQL, `VACUUM ANALYZE`, `CHECKPOINT`)
}

// approveSQL is one approval as the application does it: the one is approved, the
// other two are rejected, the participant joins, the quest goes on.
const approveSQL = `
	CREATE FUNCTION approve(q bigint) RETURNS void LANGUAGE sql AS $$
		UPDATE applications_application SET status = CASE WHEN applicant_id = '00000000-0000-4000-8000-000000000001' THEN 'approved' ELSE 'rejected' END,
			reviewed_at = now(), reviewed_by_id = '00000000-0000-4000-8000-000000000000' WHERE quest_id = q;
		INSERT INTO quests_questparticipant (status, joined_at, progress_notes, application_message, review_notes, quest_id, user_id)
			VALUES ('joined', now(), '', '', '', q, '00000000-0000-4000-8000-000000000001');
		UPDATE quests_quest SET status = 'in-progress', assigned_to_id = '00000000-0000-4000-8000-000000000001', updated_at = now() WHERE id = q;
	$$`

// approveAll approves quests 1 to n at once.
func (p *postgres) approveAll(ctx context.Context, n int) error {
	return p.exec(ctx, `SET synchronous_commit = off`, fmt.Sprintf(`
		UPDATE applications_application SET reviewed_at = now(),
			status = CASE WHEN applicant_id = '00000000-0000-4000-8000-000000000001' THEN 'approved' ELSE 'rejected' END
		WHERE quest_id <= %d`, n), fmt.Sprintf(`
		INSERT INTO quests_questparticipant (status, joined_at, progress_notes, application_message, review_notes, quest_id, user_id)
		SELECT 'joined', now(), '', '', '', q, '00000000-0000-4000-8000-000000000001' FROM generate_series(1, %d) q`, n), fmt.Sprintf(`
		UPDATE quests_quest SET status = 'in-progress', assigned_to_id = '00000000-0000-4000-8000-000000000001' WHERE id <= %d`, n),
		`VACUUM ANALYZE`, `CHECKPOINT`)
}

// backlog approves quests 1 to n in so many transactions, and ends with two on the
// last quest. It returns a position between these, which whoever reads up to it
// meets for certain: log follows.
func (p *postgres) backlog(ctx context.Context, quests, transactions int) (end string, err error) {
	err = p.exec(ctx, `SET synchronous_commit = off`, fmt.Sprintf(`
		DO $$ BEGIN
			FOR t IN 0 .. %[2]d - 1 LOOP
				PERFORM approve(q) FROM generate_series(t::bigint * %[1]d / %[2]d + 1, (t + 1)::bigint * %[1]d / %[2]d) q;
				COMMIT;
			END LOOP;
		END $$`, quests, transactions),
		touch(quests+1))
	if err != nil {
		return "", fmt.Errorf("make the backlog: %w", err)
	}
	if end, err = ask[string](ctx, p, `SELECT pg_current_wal_insert_lsn()::text`); err != nil {
		return "", err
	}
	return end, p.exec(ctx, touch(quests+1))
}

func touch(quest int) string {
	return fmt.Sprintf(`UPDATE quests_quest SET updated_at = now() WHERE id = %d`, quest)
}

// copySlot makes a slot that has the same backlog as another one.
func (p *postgres) copySlot(ctx context.Context, from, to string) error {
	return p.exec(ctx, fmt.Sprintf(`SELECT pg_copy_logical_replication_slot('%s', '%s')`, from, to))
}

func (p *postgres) dropSlot(ctx context.Context, name string) error {
	return p.exec(ctx, fmt.Sprintf(`SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots WHERE slot_name = '%[1]s' AND active`, name), fmt.Sprintf(`
		DO $$ BEGIN
			WHILE EXISTS (SELECT FROM pg_replication_slots WHERE slot_name = '%[1]s' AND active) LOOP PERFORM pg_sleep(0.02); END LOOP;
			PERFORM pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = '%[1]s';
		END $$`, name))
}
