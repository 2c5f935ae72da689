package app

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/testkit"
)

// buildProgram builds the real program, without the race detector, whose memory would be no
// measure.
func buildProgram(t *testing.T) (binary string) {
	t.Helper()
	binary = filepath.Join(t.TempDir(), "questwatch")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/peerquest/questwatch/cmd/questwatch").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// program is the real one, in a process of its own.
type program struct {
	cmd   *exec.Cmd
	data  string
	log   string
	url   string
	ended chan struct{}
}

func startProgram(t *testing.T, binary, dsn string, args ...string) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{data: filepath.Join(dir, "data"), log: filepath.Join(dir, "log"), ended: make(chan struct{})}
	log, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	conn, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(binary, append([]string{"run", "--data", p.data, "--http", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0"}, args...)...)
	p.cmd.Env = append(os.Environ(), "QUESTWATCH_POSTGRES_DSN="+dsn, "QUESTWATCH_POSTGRES_SLOT=slot_"+conn.Database, "QUESTWATCH_STREAM_CONFIRM_LAG=300ms", "QUESTWATCH_NATS_SYNC_INTERVAL=1s")
	p.cmd.Stderr = log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // how it ended is in ProcessState
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it may have ended before
		<-p.ended
		if t.Failed() {
			text, _ := os.ReadFile(p.log)
			from := max(0, len(text)-4000)
			if i := regexp.MustCompile(`(?m)^(panic|fatal error|runtime): `).FindIndex(text); i != nil {
				from = i[0] // what it died of is above all that its goroutines did
			}
			t.Logf("the program's log:\n%s", text[from:min(len(text), from+8000)])
		}
	})
	testkit.Eventually(t, 60*time.Second, func() error {
		text, err := os.ReadFile(p.log)
		if m := regexp.MustCompile(`url=(http://\S+)/readyz`).FindSubmatch(text); err == nil && m != nil {
			p.url = string(m[1])
			return nil
		}
		return fmt.Errorf("it does not serve: %s %v", text, err)
	})
	return p
}

// stop ends it in good order.
func (p *program) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if !p.cmd.ProcessState.Success() {
		t.Errorf("the program ended with %v", p.cmd.ProcessState)
	}
}

// passed waits until everything that has been committed is in the stream and
// judged, and so many findings are open.
func (p *program) passed(t *testing.T, dsn string, open int, within time.Duration) {
	t.Helper()
	var now time.Time
	query(t, dsn, "SELECT clock_timestamp()", &now)
	testkit.Eventually(t, within, func() error {
		select {
		case <-p.ended:
			t.Fatalf("the program ended with %v", p.cmd.ProcessState)
		default:
		}
		var s Status
		if err := p.status(&s); err != nil {
			return err
		}
		marked, err := time.Parse(time.RFC3339Nano, s.Marked)
		total := 0
		for _, n := range s.Open {
			total += n
		}
		if err != nil || !s.Ready || marked.Before(now) || total != open {
			return fmt.Errorf("%+v, want time %s and %d findings", s, now, open)
		}
		return nil
	})
}

func (p *program) status(into *Status) error {
	answer, err := http.Get(p.url + "/api/v1/status")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(answer.Body)
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

// peak is the most memory that the process ever had, in MiB.
func (p *program) peak(t *testing.T) int {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[0] == "VmHWM:" {
			kb, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			return kb >> 10
		}
	}
	t.Fatal("no VmHWM")
	return 0
}

// sized is how many rows the large transactions have: 200,000, or what
// QUESTWATCH_TEST_ROWS says.
func sized(t *testing.T) int {
	t.Helper()
	text := os.Getenv("QUESTWATCH_TEST_ROWS")
	if text == "" {
		return 200_000
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1000 {
		t.Fatalf("QUESTWATCH_TEST_ROWS is %q: want a number from 1000 on", text)
	}
	return n
}

// fillTables fills the tables with quests of five rows each that violate nothing.
func fillTables(t *testing.T, dsn string, rows int) (quests int) {
	t.Helper()
	quests = rows / 5
	const user = `('00000000-0000-4000-8000-' || lpad((%s %% 5000)::text, 12, '0'))::uuid`
	first, second := fmt.Sprintf(user, "n"), fmt.Sprintf(user, "(n + 1)")
	exec1(t, dsn, "SET session_replication_role = replica; "+fmt.Sprintf(`
		INSERT INTO quests_quest (id, title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at, updated_at, requirements,
			resources, slug, is_deleted, creator_id, category_id, assigned_to_id)
			SELECT n, 'The quest with the number ' || n, '', 'i', 'in-progress', 1, 0, 0, now(), now(), '', '', 'q' || n, false, gen_random_uuid(), 1, %[2]s
			FROM generate_series(1, %[1]d) n;
		INSERT INTO applications_application (quest_id, applicant_id, status, applied_at, reviewed_at)
			SELECT n, u, 'approved', now(), now() FROM generate_series(1, %[1]d) n CROSS JOIN LATERAL (VALUES (%[2]s), (%[3]s)) v(u);
		INSERT INTO quests_questparticipant (quest_id, user_id, status, joined_at, progress_notes)
			SELECT n, u, 'joined', now(), '' FROM generate_series(1, %[1]d) n CROSS JOIN LATERAL (VALUES (%[2]s), (%[3]s)) v(u);
		ANALYZE`, quests, first, second))
	return quests
}

// One transaction that writes every row of the tables, a million in the full
// size, takes no more memory than is promised.
func TestHugeTransactionWithinMemory(t *testing.T) {
	binary := buildProgram(t)
	for _, server := range []string{"embedded", "external"} {
		t.Run(server, func(t *testing.T) {
			var args []string
			if server == "external" {
				args = []string{"--nats", testkit.NewNATS(t, testkit.NATSOptions{}).URL()}
			}
			hugeTransaction(t, binary, memoryFor[server], args...)
		})
	}
}

func hugeTransaction(t *testing.T, binary string, promised memory, args ...string) {
	t.Helper()
	dsn := testkit.Database(t)
	rows := sized(t)
	fillTables(t, dsn, rows)
	p := startProgram(t, binary, dsn, args...)
	p.passed(t, dsn, 0, 3*time.Minute)
	after := p.peak(t)
	began := time.Now()
	exec1(t, dsn, `SET session_replication_role = replica; BEGIN; UPDATE quests_quest SET title = title || '!'; UPDATE applications_application SET reviewed_at = clock_timestamp();
		UPDATE quests_questparticipant SET status = 'in_progress'; UPDATE quests_quest SET status = 'open' WHERE id = 7; COMMIT`)
	committed := time.Now()
	p.passed(t, dsn, 1, 5*time.Minute)
	peak := p.peak(t)
	t.Logf("%d rows: written in %s, streamed and judged in %s; at most %d MiB, %d after the baseline",
		rows, committed.Sub(began).Round(time.Millisecond), time.Since(committed).Round(time.Millisecond), peak, after)
	if limit := promised.idle + (promised.million-promised.idle)*rows/1_000_000; peak > limit {
		t.Errorf("the process had %d MiB, and %d are promised", peak, limit)
	}
	p.stop(t)
}

// memory is how much a process may have, in MiB: apart from the rows of a
// transaction, and with a million of them.
type memory struct{ idle, million int }

// memoryFor goes by where the NATS server is. The embedded one keeps an index of
// the subjects that it has written lately, and a few blocks. A checker so slow
// that it has to read from the server has it keep the blocks too, for ten seconds,
// which nothing can change; it should not be.
var memoryFor = map[string]memory{"embedded": {140, 256}, "external": {70, 160}}

// What is rolled back leaves nothing: no message, no memory, and marks go on.
func TestHugeRollback(t *testing.T) {
	dsn := testkit.Database(t)
	rows := sized(t) / 2
	fillTables(t, dsn, 5000)
	p := startProgram(t, buildProgram(t), dsn)
	p.passed(t, dsn, 0, time.Minute)
	before := p.peak(t)
	var last Status
	if err := p.status(&last); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if _, err := conn.Exec(t.Context(), `SET session_replication_role = replica`); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), fmt.Sprintf(`BEGIN; INSERT INTO applications_application (quest_id, applicant_id, status, applied_at)
		SELECT n %% 5000, gen_random_uuid(), 'approved', now() FROM generate_series(1, %d) n`, rows)); err != nil {
		t.Fatal(err)
	}
	exec1(t, dsn, `UPDATE quests_quest SET status = 'open' WHERE id = 7`)
	p.passed(t, dsn, 1, time.Minute) // while the other still runs
	if _, err := conn.Exec(t.Context(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	exec1(t, dsn, `UPDATE quests_quest SET status = 'in-progress' WHERE id = 7`)
	p.passed(t, dsn, 0, time.Minute)
	var now Status
	if err := p.status(&now); err != nil {
		t.Fatal(err)
	}
	if n := now.Read - last.Read; n > 2+1000 { // two steps, and marks
		t.Errorf("%d messages were written", n)
	}
	if peak := p.peak(t); peak > before+30 {
		t.Errorf("the process went from %d to %d MiB", before, peak)
	}
	p.stop(t)
}
