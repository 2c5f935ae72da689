package audit_test

import (
	"bufio"
	"context"
	"io"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/testkit"
)

const testPatience = 20 * time.Second

// crowd fills the tables with so many quests, each with an approved application
// without a participant and a participant without an application: four findings.
func crowd(tb testing.TB, quests int) string {
	tb.Helper()
	return testkit.Database(tb, func(ctx context.Context, dsn string) error {
		conn := connect(tb, dsn)
		_, err := conn.Exec(ctx, `INSERT INTO quests_questcategory (id,name,created_at) VALUES (1,'any',now())`)
		if err != nil {
			return err
		}
		exec(tb, conn, `SET session_replication_role = replica;
			INSERT INTO users_user SELECT '!',false,'user'||n,'','',false,true,'2025-01-01','u'||n||'@x','a','',NULL,'','','{}','{}',
				('00000000-0000-4000-8000-'||lpad(n::text,12,'0'))::uuid,NULL,NULL,'',1,false,true,'{}','en','UTC','{}','{}',NULL,NULL,true,NULL,NULL,
				false,NULL,NULL,false,'email',false,NULL,'{}',NULL FROM generate_series(0,999) n`)
		for _, sql := range []string{
			`INSERT INTO quests_quest (id,title,description,difficulty,status,xp_reward,gold_reward,commission_fee,created_at,updated_at,requirements,
				resources,slug,is_deleted,creator_id,category_id) SELECT n,'Quest '||n,'','initiate','open',1,0,0,'2025-01-01Z'::timestamptz+n*interval '1 s',
				'2025-01-01Z','','','q'||n,false,'00000000-0000-4000-8000-000000000000',1 FROM generate_series(1,$1::int) n`,
			`INSERT INTO applications_application (quest_id,applicant_id,status,applied_at) SELECT n,
				('00000000-0000-4000-8000-'||lpad((n%1000)::text,12,'0'))::uuid,'approved','2025-01-02Z' FROM generate_series(1,$1::int) n`,
			`INSERT INTO quests_questparticipant (quest_id,user_id,status,joined_at,progress_notes) SELECT n,
				('00000000-0000-4000-8000-'||lpad(((n+1)%1000)::text,12,'0'))::uuid,'joined','2025-01-03Z','' FROM generate_series(1,$1::int) n`,
		} {
			if _, err := conn.Exec(ctx, sql, quests); err != nil {
				return err
			}
		}
		_, err = conn.Exec(ctx, "ANALYZE")
		return err
	})
}

// TestMemory audits 75,000 rows with 100,000 findings in little memory, through
// temporary files, and reports them all in order.
func TestMemory(t *testing.T) {
	const quests, limit = 25_000, 24 << 20
	db := open(t, crowd(t, quests))
	peak, stop := watchHeap()
	result, err := audit.Run(t.Context(), db, audit.Config{Compat: true, SpillBytes: 1 << 20}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer result.Close()
	for _, f := range []audit.Format{audit.JSON, audit.Text} {
		if err := result.Write(bufio.NewWriter(io.Discard), f, audit.View{Detailed: true}); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	if used := peak.Load(); used > limit {
		t.Errorf("the heap grew by %d MB, want less than %d", used>>20, limit>>20)
	}
	var n int64
	last := int64(0)
	err = result.Findings(func(f audit.Finding) error {
		if int64(f.Rule) < last {
			t.Fatalf("finding %d is of %s: not in order", n, f.Rule)
		}
		last = int64(f.Rule)
		n++
		return nil
	})
	if err != nil || n != 4*quests || result.Stats.IssuesFound != n {
		t.Errorf("%d findings, %d counted, want %d (%v)", n, result.Stats.IssuesFound, 4*quests, err)
	}
	t.Logf("%d findings, heap peak %.1f MB", n, float64(peak.Load())/(1<<20))
}

// watchHeap samples how far the live heap grows from now on.
func watchHeap() (peak *atomic.Int64, stop func()) {
	peak = &atomic.Int64{}
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	base := int64(m.HeapAlloc)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), int64(m.HeapAlloc)-base))
			}
		}
	}()
	return peak, func() { close(done); <-ended }
}

// BenchmarkAudit audits a million rows, with 1.3 million findings.
func BenchmarkAudit(b *testing.B) {
	const quests = 333_333
	db := open(b, crowd(b, quests))
	rows := 0
	for b.Loop() {
		peak, stop := watchHeap()
		result, err := audit.Run(b.Context(), db, audit.Config{Compat: true}, nil)
		if err != nil {
			b.Fatal(err)
		}
		if err := result.Write(io.Discard, audit.JSON, audit.View{}); err != nil {
			b.Fatal(err)
		}
		stop()
		b.ReportMetric(float64(peak.Load())/(1<<20), "heap-MB")
		rows += 3 * quests
		if err := result.Close(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
}
