package bench

import (
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

func options(t *testing.T) Options {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "questwatch")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/peerquest/questwatch/cmd/questwatch").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return Options{Binary: binary, Rows: 20_000, Rounds: 1, For: time.Second, Rate: 50, Say: t.Logf}
}

// says checks that a result has its keys, and that its table has its words.
func says(t *testing.T, result interface{ Table() string }, keys, words []string) {
	t.Helper()
	data, err := json.Marshal(result)
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range keys {
		if !strings.Contains(string(data), `"`+key+`":`) {
			t.Errorf("no %s in %s", key, data)
		}
	}
	for _, word := range words {
		if !strings.Contains(result.Table(), word) {
			t.Errorf("no %q in\n%s", word, result.Table())
		}
	}
}

func TestDrain(t *testing.T) {
	o := options(t)
	o.Rows = 80_000 // of a smaller backlog most is gone before the clock starts where the machine is busy
	o.Cases = []string{"embedded+checker", "external", "embedded+durable"}
	d, err := RunDrain(t.Context(), o, 5)
	if err != nil {
		t.Fatal(err)
	}
	says(t, d, []string{"rows", "pg_recvlogical_rows_per_s", "raw_reader_rows_per_s", "cases", "case", "rows_per_s", "ratio", "cpu_us_per_row", "max_rss_mb"}, o.Cases)
	if d.Rows != o.Rows || d.Transactions != 5 || d.Receive <= 0 || d.Raw <= 0 || len(d.Cases) != len(o.Cases) {
		t.Errorf("%+v", d)
	}
	for _, c := range d.Cases {
		if c.Rate <= 0 || c.Ratio <= 0 || c.RSS <= 0 || len(c.Processes) == 0 {
			t.Errorf("%+v", c)
		}
	}
}

func TestLatency(t *testing.T) {
	l, err := RunLatency(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	says(t, l, []string{"publish_ms", "detect_ms", "p50", "p99", "max"}, []string{"step at a subscriber", "grace 0"})
	for _, s := range []Spread{l.Commit, l.Publish, l.Detect} {
		if s.P50 <= 0 || s.P50 > s.P99 || s.P99 > s.Max {
			t.Errorf("%+v", s)
		}
	}
}

func TestState(t *testing.T) {
	s, err := RunState(t.Context(), options(t))
	if err != nil {
		t.Fatal(err)
	}
	says(t, s, []string{"quests", "start_s", "max_rss_mb", "checkpoint_mb"}, []string{"4001 quests", "from a checkpoint"})
	if s.Seconds <= 0 || s.RSS <= 0 || s.Whole.Seconds <= 0 || s.Size <= 0 || s.Take <= 0 {
		t.Errorf("%+v", s)
	}
}

func TestMedian(t *testing.T) {
	for want, values := range map[float64][]float64{0: nil, 3: {3}, 2: {3, 1, 2}, 2.5: {4, 1, 3, 2}} {
		if got := median(values); got != want {
			t.Errorf("median of %v is %v, want %v", values, got, want)
		}
	}
}
