package app

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

var benchQuests = flag.Int("quests", 20_000, "quests of BenchmarkVerify")

// crowd makes quests with three applications and one participant each. The indexes
// that have nothing to do with it would take most of the time.
func crowd(quests int) []string {
	const user = `(ARRAY['483ab258-e434-44f3-9da2-73409dd55f55','11111111-1111-4111-8111-111111111111','22222222-2222-4222-8222-222222222222','33333333-3333-4333-8333-333333333333']::uuid[])`
	return []string{
		`DO $$ DECLARE i regclass; BEGIN FOR i IN SELECT indexrelid::regclass FROM pg_index WHERE NOT indisunique
			AND indrelid IN ('quests_quest'::regclass, 'applications_application'::regclass, 'quests_questparticipant'::regclass)
			AND indexrelid::regclass::text NOT LIKE '%quest_id_a8fd4feb' AND indexrelid::regclass::text NOT LIKE '%quest_id_e4df2918'
			LOOP EXECUTE 'DROP INDEX ' || i; END LOOP; END $$`,
		`SET session_replication_role = replica`, // no foreign keys
		fmt.Sprintf(`INSERT INTO quests_quest (id, title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at,
			updated_at, requirements, resources, slug, is_deleted, creator_id, category_id, assigned_to_id)
			SELECT 100 + n, 'Quest number ' || n, 'd', 'initiate', 'in-progress', 1, 0, 0, now(), now(), '', '', 'many-' || n, false, `+user+`[1], 2, `+user+`[1 + n %% 4]
			FROM generate_series(1, %d) n`, quests),
		fmt.Sprintf(`INSERT INTO applications_application (id, status, applied_at, applicant_id, quest_id)
			SELECT 100 + n, CASE n %% 3 WHEN 0 THEN 'approved' ELSE 'rejected' END, now(), `+user+`[1 + (n / 3 + n %% 3) %% 4], 100 + n / 3 FROM generate_series(3, 3 * %d + 2) n`, quests),
		fmt.Sprintf(`INSERT INTO quests_questparticipant (id, status, joined_at, progress_notes, quest_id, user_id)
			SELECT 100 + n, 'joined', now(), '', 100 + n, `+user+`[1 + n %% 4] FROM generate_series(1, %d) n`, quests),
		`VACUUM ANALYZE`,
	}
}

// timedState measures for how long the checker stands still.
type timedState struct {
	statePort
	stops *[]time.Duration
}

func (s timedState) Look(fn func(*verify.View) error) error {
	return s.statePort.Look(func(v *verify.View) error {
		began := time.Now()
		defer func() { *s.stops = append(*s.stops, time.Since(began)) }()
		return fn(v)
	})
}

// BenchmarkVerify compares a whole state with its database, and beside that reads
// all rows of the database and does nothing with them:
//
//	go test ./internal/app -run '^$' -bench Verify -benchtime 3x -quests 1000000
func BenchmarkVerify(b *testing.B) {
	cluster := testkit.NewCluster(b, testkit.PostgresOptions{Settings: map[string]string{"max_wal_size": "8GB", "shared_buffers": "512MB"}})
	dsn := loaded(b, cluster)
	exec1(b, dsn, crowd(*benchQuests)...)
	r := start(b, settings(b, dsn), dsn)
	r.readyWithin(b, 10*time.Minute)
	b.Run("compare", func(b *testing.B) { benchmarkCompare(b, r) })
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			port := snapshotPort{store: r.store, schema: Schema(&r.config.Tables)}
			if err := port.rows(b.Context(), "", func(int64, []change.Change) error { return nil }); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchmarkCompare(b *testing.B, r *running) {
	var stops []time.Duration
	rules := Rules(&r.config)
	v := verify.New(verify.Config{Namespace: "bench", Schema: rules.Schema, Statuses: rules.Statuses},
		timedState{statePort{r.watch}, &stops}, streamPort{r.stream}, tablesPort{r.store}, toldPort{r.bus, "bench"}, r.logger)
	quests := 0
	for b.Loop() {
		result, err := v.Verify(b.Context(), func(verify.Progress) {})
		if err != nil {
			b.Fatal(err)
		}
		if !result.Equal() || result.Quests < *benchQuests {
			b.Fatal(result)
		}
		quests += result.Quests
	}
	b.ReportMetric(float64(quests)/b.Elapsed().Seconds(), "quests/s")
	slices.Sort(stops)
	for name, at := range map[string]int{"stop_p50_µs": len(stops) / 2, "stop_p99_µs": len(stops) * 99 / 100, "stop_max_µs": len(stops) - 1} {
		b.ReportMetric(float64(stops[at].Nanoseconds())/1000, name)
	}
}
