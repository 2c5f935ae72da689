package postgres

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

const (
	benchClients = 2
	benchEach    = 50 // approvals of a client in a round
)

// BenchmarkApprovals measures approvals, as the application writes them today, with and without the pack. Each iteration
// is a round of all variants one after the other, in any order. On a machine that has other things to do, approvals/s say
// little; what says something is the median of the ratio to the database without the pack in the same round, of approvals/s
// and of the time that the server's two processes spent on a processor:
//
//	go test ./deploy/postgres -run '^$' -bench Approvals -benchtime 60x
func BenchmarkApprovals(b *testing.B) {
	// Without fsync the disk hides nothing, so the ratios are the worst there are.
	cluster := testkit.NewCluster(b, testkit.PostgresOptions{Settings: map[string]string{"autovacuum": "off"}})
	variants := []*variant{
		{name: "without"},
		{name: "1", sections: "1.1 1.2 1.3 1.4"},
		{name: "2.1", sections: "2.1"},
		{name: "1+2", sections: "1.1 1.2 1.3 1.4 2.1 2.2 2.3 2.4 2.5"},
		{name: "1+2+3", sections: "1.1 1.2 1.3 1.4 2.1 2.2 2.3 2.4 2.5 3"},
	}
	for i, v := range variants {
		v.open(b, cluster, fmt.Sprintf("bench%d", i))
	}
	for b.Loop() {
		for _, i := range rand.Perm(len(variants)) {
			variants[i].round(b)
		}
	}
	without := variants[0]
	for _, v := range variants {
		b.ReportMetric(benchClients*benchEach/median(v.took), v.name+"-approvals/s")
		b.ReportMetric(median(ratios(without.took, v.took)), v.name+"-ratio")
		b.ReportMetric(1e6*median(v.cpu)/(benchClients*benchEach), v.name+"-cpu-µs")
		b.ReportMetric(median(ratios(v.cpu, without.cpu)), v.name+"-cpu-ratio")
	}
	b.ReportMetric(0, "ns/op")
}

// variant is a database with some of the sections.
type variant struct {
	name, sections string
	clients        [benchClients]*pgx.Conn
	took, cpu      []float64 // seconds, by round
}

// onCPU is the time that the clients' server processes have spent on a processor, where the kernel says.
func (v *variant) onCPU(b *testing.B) time.Duration {
	b.Helper()
	var sum time.Duration
	for _, db := range v.clients {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/schedstat", db.PgConn().PID()))
		if err != nil {
			b.Fatal(err)
		}
		ns, err := strconv.ParseInt(strings.Fields(string(text))[0], 10, 64)
		if err != nil {
			b.Fatal(err)
		}
		sum += time.Duration(ns)
	}
	return sum
}

func (v *variant) open(b *testing.B, cluster *testkit.Cluster, name string) {
	b.Helper()
	if err := cluster.CreateDatabase(b.Context(), name); err != nil {
		b.Fatal(err)
	}
	dsn := cluster.DSN(name)
	if err := testkit.LoadSchema(b.Context(), dsn); err != nil {
		b.Fatal(err)
	}
	if err := testkit.LoadAudit001(b.Context(), dsn); err != nil {
		b.Fatal(err)
	}
	for i := range v.clients {
		v.clients[i] = connect(b, dsn)
	}
	v.history(b)
	apply(b, v.clients[0], strings.Fields(v.sections)...)
}

// quests makes some with three applications each.
func (v *variant) quests(b *testing.B, n int) {
	b.Helper()
	do(b, v.clients[0], fmt.Sprintf(`WITH q AS (
			INSERT INTO quests_quest (title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at, updated_at,
				requirements, resources, slug, is_deleted, creator_id, category_id)
			SELECT 'Bench', repeat('x', 200), 'initiate', 'open', 1, 1, 1, now(), now(), '', '', gen_random_uuid(), false, '%s', 2
			FROM generate_series(1, %d) RETURNING id)
		INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		SELECT 'pending', now(), u::uuid, id FROM q, unnest('{%s,%s,%s}'::text[]) u`, student1, n, student1, student2, student3))
}

// history fills the tables as a site's are, so that plans are made for such tables.
func (v *variant) history(b *testing.B) {
	b.Helper()
	v.quests(b, 20_000)
	do(b, v.clients[0], `UPDATE applications_application SET status = CASE applicant_id WHEN '`+student1+`' THEN 'approved' ELSE 'rejected' END
			WHERE status = 'pending'`,
		`INSERT INTO quests_questparticipant (quest_id, user_id, status, joined_at, progress_notes)
			SELECT quest_id, applicant_id, 'completed', now(), '' FROM applications_application WHERE status = 'approved' ON CONFLICT DO NOTHING`,
		`UPDATE quests_quest SET status = 'completed', assigned_to_id = '`+student1+`' WHERE status = 'open'`,
		`VACUUM ANALYZE`)
}

// round times the approval of one application of each of some new quests.
func (v *variant) round(b *testing.B) {
	b.Helper()
	v.quests(b, benchClients*benchEach)
	todo, err := v.clients[0].Query(b.Context(), `SELECT a.id, a.quest_id, (SELECT array_agg(o.id) FROM applications_application o
		WHERE o.quest_id = a.quest_id AND o.id <> a.id) FROM applications_application a
		WHERE a.status = 'pending' AND a.applicant_id = $1`, student1)
	if err != nil {
		b.Fatal(err)
	}
	approvals, err := pgx.CollectRows(todo, pgx.RowToStructByPos[approval])
	if err != nil || len(approvals) != benchClients*benchEach {
		b.Fatalf("%d approvals to do, %v", len(approvals), err)
	}
	var all sync.WaitGroup
	begun, cpu := time.Now(), v.onCPU(b)
	for i, db := range v.clients {
		all.Go(func() {
			for _, a := range approvals[i*benchEach : (i+1)*benchEach] {
				if err := a.run(b, db); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	v.took = append(v.took, time.Since(begun).Seconds())
	v.cpu = append(v.cpu, (v.onCPU(b) - cpu).Seconds())
}

// approval is an application that is to be approved, and the others of its quest, which are turned down.
type approval struct {
	ID, Quest int64
	Others    []int64
}

func (a approval) run(b *testing.B, db *pgx.Conn) error {
	b.Helper()
	return pgx.BeginFunc(b.Context(), db, func(tx pgx.Tx) error {
		review := `UPDATE applications_application SET status = $1, reviewed_at = now(), applicant_id = applicant_id WHERE id = $2`
		if _, err := tx.Exec(b.Context(), review, "approved", a.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(b.Context(), `INSERT INTO quests_questparticipant (quest_id, user_id, status, joined_at, progress_notes)
			VALUES ($1, $2, 'joined', now(), '')`, a.Quest, student1); err != nil {
			return err
		}
		for _, set := range []string{"assigned_to_id = '" + student1 + "'", "status = 'in-progress'"} {
			if _, err := tx.Exec(b.Context(), `UPDATE quests_quest SET updated_at = now(), `+set+` WHERE id = $1`, a.Quest); err != nil {
				return err
			}
		}
		for _, other := range a.Others {
			if _, err := tx.Exec(b.Context(), review, "rejected", other); err != nil {
				return err
			}
		}
		return nil
	})
}

func ratios(of, to []float64) []float64 {
	r := make([]float64, len(of))
	for i := range of {
		r[i] = of[i] / to[i]
	}
	return r
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	return (all[len(all)/2] + all[(len(all)-1)/2]) / 2
}
