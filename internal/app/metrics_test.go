package app

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"github.com/peerquest/questwatch/internal/testkit"
)

// scrape is what GET /metrics says, by series.
func (r *running) scrape(t *testing.T) map[string]float64 {
	t.Helper()
	response, err := http.Get("http://" + r.listener.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %v\n%s", response.Status, err, text)
	}
	problems, err := promlint.New(strings.NewReader(string(text))).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("the names are not as they should be: %v, %v", problems, err)
	}
	all := map[string]float64{}
	for _, m := range regexp.MustCompile(`(?m)^(questwatch_\S+(?:\{.*\})?) (\S+)$`).FindAllStringSubmatch(string(text), -1) {
		if all[m[1]], err = strconv.ParseFloat(m[2], 64); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// wantSeries waits until series have these values.
func (r *running) wantSeries(t *testing.T, want map[string]float64) {
	t.Helper()
	testkit.Eventually(t, 20*time.Second, func() error {
		all := r.scrape(t)
		for series, value := range want {
			if got, there := all[series]; got != value || !there {
				return fmt.Errorf("%s is %g (%t), want %g; all: %v", series, got, there, value, all)
			}
		}
		return nil
	})
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	r.found(t, "missing_participant", 1, false) // which the baseline shows
	exec1(t, dsn, `BEGIN; INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		VALUES ('approved', now(), '22222222-2222-4222-8222-222222222222', 10); UPDATE quests_quest SET title = 'x' WHERE id = 10; COMMIT`)
	r.found(t, "missing_participant", 10, false)
	r.wantSeries(t, map[string]float64{
		`questwatch_ready`:                                                 1,
		`questwatch_stream_state{state="streaming"}`:                       1,
		`questwatch_stream_state{state="standby"}`:                         0,
		`questwatch_stream_transactions_total`:                             1,
		`questwatch_stream_rows_total`:                                     11 + 11 + 8 + 2,
		`questwatch_checker_caught_up`:                                     1,
		`questwatch_checker_known`:                                         1,
		`questwatch_approvals_total`:                                       1,
		`questwatch_approvals_failed_total{reason="silent"}`:               1,
		`questwatch_findings_open{rule="missing_participant"}`:             4,
		`questwatch_findings_open{rule="orphan_participant"}`:              0,
		`questwatch_events_published_total{group="drift",what="baseline"}`: 1,
		`questwatch_findings_opened_total{cause="approval_failed",origin="stream",rule="missing_participant",severity="critical"}`: 1,
		`questwatch_findings_opened_total{cause="unknown",origin="baseline",rule="missing_participant",severity="warning"}`:        3,
		`questwatch_repairs_total{result="applied"}`: 0,
		`questwatch_repairs_stopped`:                 0,
		`questwatch_detection_seconds_count`:         1,
	})
	exec1(t, dsn, `DELETE FROM applications_application WHERE quest_id = 10 AND status = 'approved' AND applicant_id = '22222222-2222-4222-8222-222222222222'`)
	r.wantSeries(t, map[string]float64{
		`questwatch_findings_open{rule="missing_participant"}`:                           3,
		`questwatch_findings_resolved_total{reason="healed",rule="missing_participant"}`: 1,
	})
	testkit.Eventually(t, 20*time.Second, func() error { // the guard looks now and then
		all := r.scrape(t)
		for _, series := range []string{
			"questwatch_slot_wal_kept_bytes", "questwatch_stream_lag_seconds", "questwatch_checkpoint_bytes", "questwatch_checker_stream_time_seconds",
		} {
			if _, there := all[series]; !there {
				return fmt.Errorf("there is no %s: %v", series, all)
			}
		}
		return nil
	})
}

// TestMonitoringAsksForWhatThereIs holds the alerts and the dashboard against the names
// of what is served.
func TestMonitoringAsksForWhatThereIs(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, alerting(t, settings(t, dsn), webhookAt(listen(t, httptest.NewServer))), dsn)
	r.ready(t)
	if _, err := r.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	exec1(t, dsn, `INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
		VALUES ('approved', now(), '22222222-2222-4222-8222-222222222222', 10)`)
	r.found(t, "missing_participant", 10, false)
	if _, err := r.auditor.Request(t.Context()); err != nil {
		t.Fatal(err)
	}
	// These are there at times only: with a limit in Postgres, and an alarm.
	seen := map[string]bool{"questwatch_slot_wal_safe_bytes": true, "questwatch_alarm": true}
	testkit.Eventually(t, 20*time.Second, func() error {
		for series := range r.scrape(t) {
			name, _, _ := strings.Cut(series, "{")
			seen[name] = true
		}
		// Nothing is resolved here.
		seen["questwatch_findings_resolved_total"] = true
		for _, file := range []string{"alerts.yaml", "grafana.json"} {
			text, err := os.ReadFile("../../deploy/prometheus/" + file)
			if err != nil {
				return err
			}
			for _, name := range regexp.MustCompile(`questwatch_\w+`).FindAllString(string(text), -1) {
				if !seen[name] {
					return fmt.Errorf("%s asks for %s, which is not served", file, name)
				}
			}
		}
		return nil
	})
}
