package watch

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/peerquest/questwatch/internal/drift"
)

// tally counts what a flow has told since the program began. What an earlier process
// told is not in it.
type tally struct {
	events, opened, resolved, failed *prometheus.CounterVec
	approvals                        prometheus.Counter
	detection                        prometheus.Histogram
}

func newTally() *tally {
	vector := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "questwatch_" + name, Help: help}, labels)
	}
	return &tally{
		events:   vector("events_published_total", "Events that the checker published.", "group", "what"),
		opened:   vector("findings_opened_total", "Findings that were opened.", "rule", "cause", "severity", "origin"),
		resolved: vector("findings_resolved_total", "Findings that were resolved.", "rule", "reason"),
		failed:   vector("approvals_failed_total", "Approvals that failed.", "reason"),
		approvals: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "questwatch_approvals_total", Help: "Applications that became approved, those whose approval failed included.",
		}),
		detection: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "questwatch_detection_seconds",
			Help: "Time from the end of a finding's grace, by the database's clock, to the publication of its event, by this machine's. " +
				"What was found while the stream was read anew is left out.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2, 5, 10, 30, 60, 300},
		}),
	}
}

// Measure registers the flow's metrics.
func (f *Flow) Measure(r prometheus.Registerer) {
	t := f.tally
	r.MustRegister(t.events, t.opened, t.resolved, t.failed, t.approvals, t.detection)
}

// told counts an event that was published. live says that the stream has been read to
// its end before.
func (t *tally) told(f *Found, live bool) {
	t.events.WithLabelValues(f.Event.Group, f.Event.What).Inc()
	if f.Event.Group == "approval" && f.Event.What == "failed" {
		t.failed.WithLabelValues(f.Event.Detail).Inc()
	}
	tr := f.Transition
	if tr == nil {
		return
	}
	v := &tr.Finding.Violation
	if tr.What == drift.Resolved {
		t.resolved.WithLabelValues(v.Rule.String(), string(tr.Reason)).Inc()
		return
	}
	t.opened.WithLabelValues(v.Rule.String(), string(v.Cause), v.Severity.String(), string(tr.Finding.Where.Origin)).Inc()
	if live && tr.Finding.Where.Origin == drift.FromStream {
		t.detection.Observe(max(0, time.Since(tr.Finding.Due.Time())).Seconds())
	}
}
