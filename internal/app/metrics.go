package app

import (
	"net/http"
	"runtime/debug"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/stream"
)

// metrics is the handler of GET /metrics: what the flows count, and what the program's
// status says at the moment of the request.
func (a *App) metrics() http.Handler {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build(), present{a})
	a.stream.Measure(r)
	a.alerts.Measure(r)
	if a.watch != nil {
		a.watch.Measure(r)
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{})
}

// build says which program this is.
func build() prometheus.Collector {
	version, goVersion := "unknown", "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		version, goVersion = info.Main.Version, info.GoVersion
	}
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "questwatch_build_info", Help: "Which program this is."}, []string{"version", "goversion"})
	g.WithLabelValues(version, goVersion).Set(1)
	return g
}

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("questwatch_"+name, help, labels, nil)
}

// What present collects. What is not known is left out.
var (
	descReady = desc("ready", "1 if the program is ready, as /readyz says.")
	descState = desc("stream_state", "1 for the state that the stream is in.", "state")

	descBehind   = desc("stream_lag_seconds", "How long ago everything had been committed that is streamed.")
	descLag      = desc("stream_lag_bytes", "Postgres's log that the slot has not confirmed yet.")
	descKept     = desc("slot_wal_kept_bytes", "Postgres's log that the slot keeps.")
	descSafe     = desc("slot_wal_safe_bytes", "Postgres's log that may still be written before the slot is lost; absent without a limit.")
	descUnacked  = desc("stream_unacknowledged_seconds", "How long the oldest message has waited for its acknowledgement.")
	descAlarm    = desc("alarm", "1 for each alarm that is raised.", "reason", "severity")
	descCaughtUp = desc("checker_caught_up", "1 if the checker has read the stream to where it ended at its start.")
	descKnown    = desc("checker_known", "1 if the checker's state rests on a whole baseline.")
	descRead     = desc("checker_read_sequence", "The newest message of the stream that the checker has taken.")
	descClock    = desc("checker_stream_time_seconds", "Stream time, since 1970.")
	descOpen     = desc("findings_open", "Findings that are open now.", "rule")
	descRefused  = desc("reports_refused_total", "Reports of failed approvals that were not believed.")

	descCheckpointTime  = desc("checkpoint_message_time_seconds", "When the message behind which the newest checkpoint stands was stored, since 1970.")
	descCheckpointBytes = desc("checkpoint_bytes", "Size of the newest checkpoint.")
	descVerifyTime      = desc("verify_time_seconds", "When state and database were last compared, since 1970.")
	descVerifyWrong     = desc("verify_mismatched_quests", "Quests that differed in the last comparison of state and database in which any did; 0 since all were equal.")
	descQuests          = desc("quests", "Quests that the last comparison of state and database saw.")
)

// What it collects of the channels of alerts.
var (
	descAlertFailing = desc("alert_failing_seconds", "For how long a channel has taken nothing of what was sent to it; 0 while it does.", "channel")
	descAlertWaiting = desc("alert_waiting_events", "Events that wait until a channel can be told of them, of those that were read.", "channel")
)

// What it collects of repairs.
var (
	descRepairs        = desc("repairs_total", "What became of automatic repairs.", "result")
	descRepairsWaiting = desc("repairs_waiting", "Findings in line to be repaired automatically, and those whose end the stream has yet to show.")
	descRepairsStopped = desc("repairs_stopped", "1 while automatic repairs are paused or halted.")
)

// present collects what the program is doing now.
type present struct{ app *App }

// Describe leaves it to Collect: what there is to say differs.
func (p present) Describe(chan<- *prometheus.Desc) {}

func (p present) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	yes := func(d *prometheus.Desc, value bool, labels ...string) {
		n := 0.0
		if value {
			n = 1
		}
		gauge(d, n, labels...)
	}
	a := p.app
	s := a.stream.Status()
	yes(descReady, len(a.Reasons()) == 0)
	for _, name := range stream.States() {
		yes(descState, s.State == name, name)
	}
	if s.Streaming() {
		gauge(descBehind, s.Behind.Seconds())
	}
	gauge(descUnacked, s.Waiting.Seconds())
	if u, known := a.guard.Usage(); known {
		gauge(descLag, float64(u.Unconfirmed))
		gauge(descKept, float64(u.Kept))
		if u.Safe >= 0 {
			gauge(descSafe, float64(u.Safe))
		}
	}
	for _, one := range a.guard.Alarms() {
		gauge(descAlarm, 1, one.Reason, one.Severity)
	}
	for _, c := range a.alerts.Status() {
		failing := 0.0
		if !c.Failing.IsZero() {
			failing = time.Since(c.Failing).Seconds()
		}
		gauge(descAlertFailing, failing, c.Channel)
		gauge(descAlertWaiting, float64(c.Waiting), c.Channel)
	}
	if a.watch != nil {
		p.checker(out, gauge, yes)
	}
}

func (p present) checker(out chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string), yes func(*prometheus.Desc, bool, ...string)) {
	w := p.app.watch.Status()
	yes(descCaughtUp, w.CaughtUp)
	yes(descKnown, w.Known)
	gauge(descRead, float64(w.Read))
	if w.Now != 0 {
		gauge(descClock, seconds(w.Now.Time()))
	}
	for _, r := range rule.All {
		gauge(descOpen, float64(w.Open[r]), r.String())
	}
	out <- prometheus.MustNewConstMetric(descRefused, prometheus.CounterValue, float64(w.Refused.Reports))
	if c := w.Checkpoint; c.Seq != 0 {
		gauge(descCheckpointTime, seconds(c.Stored))
		gauge(descCheckpointBytes, float64(c.Bytes))
	}
	p.audits(out, gauge)
	r := p.app.repairer.Status()
	for result, n := range map[string]int64{"applied": r.Applied, "skipped": r.Skipped, "failed": r.Failed} {
		out <- prometheus.MustNewConstMetric(descRepairs, prometheus.CounterValue, float64(n), result)
	}
	gauge(descRepairsWaiting, float64(r.Waiting))
	yes(descRepairsStopped, r.Brake != nil)
	if v := p.app.verifier.Status(); !v.At.IsZero() {
		gauge(descVerifyTime, seconds(v.At))
		gauge(descVerifyWrong, float64(v.Mismatched))
		if v.Result != nil {
			gauge(descQuests, float64(v.Result.Quests))
		}
	}
}

// What it collects of audits by timetable.
var (
	descAuditTime  = desc("audit_time_seconds", "When the newest audit began, since 1970; absent before the first.")
	descAuditNext  = desc("audit_next_time_seconds", "When the next audit is planned, since 1970; absent for never.")
	descAuditWrong = desc("audit_mismatched_findings", "What the newest audit and the checker judged otherwise.")
	descAuditFound = desc("audit_findings", "Findings of the newest audit.", "rule")
	descAudits     = desc("audits_total", "Audits that were made, or failed.", "result")
)

func (p present) audits(out chan<- prometheus.Metric, gauge func(*prometheus.Desc, float64, ...string)) {
	s := p.app.auditor.Status()
	for result, n := range map[string]int{"done": s.Done, "failed": s.Failed} {
		out <- prometheus.MustNewConstMetric(descAudits, prometheus.CounterValue, float64(n), result)
	}
	if !s.Next.IsZero() {
		gauge(descAuditNext, seconds(s.Next))
	}
	if s.Last == nil {
		return
	}
	gauge(descAuditTime, seconds(s.Last.Began.Time()))
	gauge(descAuditWrong, float64(s.Last.Mismatched))
	for _, r := range rule.All {
		gauge(descAuditFound, float64(s.Last.ByRule[r]), r.String())
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
