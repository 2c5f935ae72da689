package pgstore

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/testkit"
)

// unusual is a row of every kind that is easily got wrong.
const unusual = `
	UPDATE quests_quest SET title = E'naïve "quotes" \\ tab\t line\n bell\x07 日本 🎉 \u2028 €' WHERE id = 1;
	UPDATE quests_quest SET title = '', is_deleted = true, assigned_to_id = NULL WHERE id = 2;
	UPDATE quests_quest SET status = 'archived' WHERE id = 3;
	UPDATE quests_quest SET status = 'Open', title = repeat('x', 200) WHERE id = 4;
	UPDATE applications_application SET status = 'withdrawn' WHERE id = 1;
	UPDATE quests_questparticipant SET status = 'ghost' WHERE id = 1;
	UPDATE quests_questparticipant SET joined_at = 'infinity' WHERE id = 2;
	UPDATE quests_questparticipant SET joined_at = '-infinity' WHERE id = 3;
	UPDATE quests_questparticipant SET joined_at = '2025-01-02 03:04:05.123456+05:30' WHERE id = 4;
	UPDATE quests_questparticipant SET joined_at = '1969-12-31 23:59:59.999999+00' WHERE id = 5;
	UPDATE quests_questparticipant SET joined_at = '1970-01-01 00:00:00+00' WHERE id = 6;
	ALTER TABLE applications_application DISABLE TRIGGER ALL;
	UPDATE applications_application SET quest_id = 9223372036854775807 WHERE id = 2;
	UPDATE applications_application SET quest_id = -9223372036854775808 WHERE id = 3;
	UPDATE applications_application SET quest_id = 0 WHERE id = 4;
	ALTER TABLE applications_application ENABLE TRIGGER ALL`

// stateOf is the state that the tables' rows make.
func stateOf(t *testing.T, s *Store) *quest.State {
	t.Helper()
	columns := map[change.Entity][]string{}
	for _, e := range change.Entities {
		columns[e] = s.cfg.Schema.Columns(e)
	}
	state := quest.NewState(s.cfg.Schema, s.cfg.Statuses)
	if err := s.Baseline(t.Context(), "", columns, false, applyTo(state)); err != nil {
		t.Fatal(err)
	}
	return state
}

func applyTo(state *quest.State) func(int64, []change.Change) error {
	return func(id int64, rows []change.Change) error {
		_, err := state.Apply(&change.Step{QuestID: id, Source: change.Source{Snapshot: true}, Changes: rows})
		return err
	}
}

// digestOf is a range's digest as the state has it.
func digestOf(state *quest.State, first, last int64) (d quest.Digest) {
	var texts quest.Texts
	for _, id := range state.IDs() {
		if id >= first && id <= last {
			texts.Add(state.Quest(id), state.Users())
		}
	}
	texts.Digest(&d)
	return d
}

func moment(t *testing.T, s *Store, fn func(ctx context.Context, m *Moment) error) {
	t.Helper()
	if err := s.Moment(t.Context(), func(m *Moment) error { return fn(t.Context(), m) }); err != nil {
		t.Fatal(err)
	}
}

func checkDigests(t *testing.T, s *Store) {
	t.Helper()
	state := stateOf(t, s)
	starts := []int64{math.MinInt64, 0, 1, 2, 3, 4, 5, 9, 1 << 40}
	moment(t, s, func(ctx context.Context, m *Moment) error {
		got, err := m.Digests(ctx, starts, math.MaxInt64)
		if err != nil {
			return err
		}
		for i, first := range starts {
			last := int64(math.MaxInt64)
			if i+1 < len(starts) {
				last = starts[i+1] - 1
			}
			if want := digestOf(state, first, last); got[i] != want {
				t.Errorf("quests %d to %d: the database says %+v, the state %+v", first, last, got[i], want)
			}
			if got[i].Rows == 0 && slices.ContainsFunc(state.IDs(), func(id int64) bool { return id >= first && id <= last }) {
				t.Errorf("quests %d to %d have no rows", first, last)
			}
		}
		return nil
	})
}

func TestDigestsAreTheState(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	s := openStore(t, dsn, Default())
	checkDigests(t, s)
	exec(t, connect(t, dsn), unusual)
	checkDigests(t, s)
}

// TestDigestsOfOtherTypes: an installation with integer ids of people, null titles,
// enums, other words and times without a zone.
func TestDigestsOfOtherTypes(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t)
	exec(t, connect(t, dsn), `CREATE SCHEMA site; CREATE TYPE site.phase AS ENUM ('neu', 'läuft', 'fertig');
		CREATE TABLE site."Quest" (nr integer PRIMARY KEY, name text, phase site.phase NOT NULL, who integer, gone boolean,
			created_at timestamptz, updated_at timestamptz, completed_at timestamptz);
		CREATE TABLE site.apps (id integer PRIMARY KEY, quest_id integer NOT NULL, applicant_id integer NOT NULL, status char(8) NOT NULL, applied_at date, reviewed_at date);
		CREATE TABLE site.parts (id smallint PRIMARY KEY, quest_id bigint NOT NULL, user_id bigint NOT NULL, status text NOT NULL, joined_at timestamp);
		INSERT INTO site."Quest" SELECT n, CASE WHEN n > 1 THEN 'q' || n END, 'läuft', nullif(n, 2), n = 3 FROM generate_series(1, 4) n;
		UPDATE site."Quest" SET gone = NULL WHERE nr = 4;
		INSERT INTO site.apps VALUES (1, 1, -5, 'approved'), (2, 1, 7, 'kicked');
		INSERT INTO site.parts VALUES (1, 1, 7, 'drin', '2025-01-02 03:04:05.5'), (2, 2, 9, 'drin', 'infinity'), (3, 3, 9, 'weg', NULL)`)
	cfg := Default()
	cfg.NamesOptional = true
	q := &cfg.Schema.Quest
	q.Table, q.ID, q.Title, q.Status, q.AssignedTo, q.IsDeleted = "site.Quest", "nr", "name", "phase", "who", "gone"
	cfg.Schema.Application.Table, cfg.Schema.Participant.Table = "site.apps", "site.parts"
	cfg.Statuses = quest.Statuses{
		Quest:       map[string]quest.Status{"neu": quest.Open, "läuft": quest.InProgress, "fertig": quest.Completed},
		Application: map[string]quest.ApplicationStatus{"approved": quest.Approved, "it's": quest.Pending},
		Participant: map[string]quest.ParticipantStatus{"drin": quest.Joined, "dabei": quest.Joined, "weg": quest.Dropped},
	}
	checkDigests(t, openStore(t, dsn, cfg))
}

// TestDigestsNotice: every value that the state has is in the digest.
func TestDigestsNotice(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	s := openStore(t, dsn, Default())
	conn := connect(t, dsn)
	before := digestOf(stateOf(t, s), math.MinInt64, math.MaxInt64)
	for _, sql := range []string{
		`UPDATE quests_quest SET title = title || ' ' WHERE id = 1`,
		`UPDATE quests_quest SET status = 'completed' WHERE id = 1`,
		`UPDATE quests_quest SET is_deleted = true WHERE id = 1`,
		`UPDATE quests_quest SET assigned_to_id = (SELECT max(id::text)::uuid FROM users_user) WHERE id = 6`,
		`UPDATE applications_application SET status = 'kicked' WHERE id = 1`,
		`UPDATE applications_application SET quest_id = 3 WHERE id = 1`,
		`UPDATE applications_application SET applicant_id = (SELECT max(id::text)::uuid FROM users_user) WHERE id = 1`,
		`UPDATE quests_questparticipant SET status = 'dropped' WHERE id = 1`,
		`UPDATE quests_questparticipant SET joined_at = joined_at + interval '1 microsecond' WHERE id = 1`,
		`UPDATE quests_questparticipant SET quest_id = 11 WHERE id = 1`,
		`DELETE FROM quests_questparticipant WHERE id = 1`,
		`DELETE FROM applications_application WHERE id = 1`,
	} {
		tx, err := conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		tag, err := tx.Exec(t.Context(), sql)
		if err != nil || tag.RowsAffected() != 1 {
			t.Fatalf("%s: %v, %v", sql, tag, err)
		}
		var at, rows, got int64
		if err := tx.QueryRow(t.Context(), s.digestQuery([]int64{math.MinInt64}, math.MaxInt64)).Scan(&at, &rows, &got); err != nil {
			t.Fatal(err)
		}
		if uint64(got) == before.Sum {
			t.Errorf("not noticed: %s", sql)
		}
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMomentReads: ranges and single quests, several times in one moment, with all
// their rows.
func TestMomentReads(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	exec(t, connect(t, dsn), unusual)
	s := openStore(t, dsn, Default())
	want := stateOf(t, s)
	ids := want.IDs()
	moment(t, s, func(ctx context.Context, m *Moment) error {
		whole, some := quest.NewState(s.cfg.Schema, s.cfg.Statuses), quest.NewState(s.cfg.Schema, s.cfg.Statuses)
		if err := m.Range(ctx, math.MinInt64, 4, applyTo(whole)); err != nil {
			return err
		}
		if err := m.Range(ctx, 5, math.MaxInt64, applyTo(whole)); err != nil {
			return err
		}
		if err := m.Quests(ctx, []int64{1, 3, math.MaxInt64, 999}, applyTo(some)); err != nil {
			return err
		}
		if diff := cmp.Diff(ids, whole.IDs()); diff != "" {
			return fmt.Errorf("ranges have other quests: %s", diff)
		}
		if diff := cmp.Diff([]int64{1, 3, math.MaxInt64}, some.IDs()); diff != "" {
			return fmt.Errorf("others were read: %s", diff)
		}
		for _, state := range []*quest.State{whole, some} {
			for _, id := range state.IDs() {
				if d := quest.Compare(id, state.Quest(id), state.Users(), want.Quest(id), want.Users()); len(d) > 0 {
					return fmt.Errorf("quest %d: %v", id, d)
				}
			}
		}
		return nil
	})
}

// TestMomentSees: the position and what is visible belong to the snapshot.
func TestMomentSees(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	s := openStore(t, dsn, Default())
	conn := connect(t, dsn)
	var ended, open uint64
	if err := conn.QueryRow(t.Context(), "SELECT pg_current_xact_id()::text::bigint").Scan(&ended); err != nil {
		t.Fatal(err)
	}
	tx, err := conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	if err := tx.QueryRow(t.Context(), "SELECT pg_current_xact_id()::text::bigint").Scan(&open); err != nil {
		t.Fatal(err)
	}
	next, err := s.NextXID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if next <= open {
		t.Errorf("the next id is %d, and %d is there", next, open)
	}
	var lsn string
	if err := connect(t, dsn).QueryRow(t.Context(), "SELECT pg_current_wal_insert_lsn()::text").Scan(&lsn); err != nil {
		t.Fatal(err)
	}
	at, err := change.ParseLSN(lsn)
	if err != nil {
		t.Fatal(err)
	}
	moment(t, s, func(ctx context.Context, m *Moment) error {
		if !m.Visible.Sees(ended) || m.Visible.Sees(open) || m.LSN < at {
			t.Errorf("%d ended, %d is open, the log was at %s: %+v at %s", ended, open, at, m.Visible, m.LSN)
		}
		return nil
	})
}
