package demo

import (
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit/peerquest"
)

// Result is what the demo proved.
type Result struct {
	Duration     float64        `json:"duration_s"`
	Transactions int64          `json:"transactions"`
	Changes      int64          `json:"changes"`
	Baseline     int            `json:"baseline"`
	Injected     map[string]int `json:"injected"`
	Opened       map[string]int `json:"opened"`
	Missed       int            `json:"missed"`
	FalseAlarms  int            `json:"false_alarms"`
	Detect       Latency        `json:"detect_after_commit_ms"`
	StateMatches bool           `json:"state_matches_database"`
	// Explained counts what looks like a failure in the tables and is none; it was
	// reported as info.
	Explained map[string]int `json:"explained"`

	// MissedWhat, FalseWhat and Differences say what went wrong, if anything did.
	MissedWhat  []peerquest.Expectation `json:"-"`
	FalseWhat   []peerquest.Finding     `json:"-"`
	Differences []string                `json:"-"`
}

// Latency is how long after a transaction's commit a subscriber held the event,
// the grace included, in milliseconds.
type Latency struct {
	P50 int64 `json:"p50"`
	P99 int64 `json:"p99"`
	Max int64 `json:"max"`
}

// Good reports whether all was found, nothing else was, and the state is right.
func (r *Result) Good() bool { return r.Missed == 0 && r.FalseAlarms == 0 && r.StateMatches }

// compare holds what was found against what is true.
func compare(truth []peerquest.Expectation, found []sighting) *Result {
	r := &Result{Injected: map[string]int{}, Opened: map[string]int{}, Explained: map[string]int{}}
	var waits []time.Duration
	var reported []peerquest.Finding
	for _, f := range found {
		if f.Origin == drift.FromBaseline {
			r.Baseline++
			continue
		}
		waits = append(waits, f.at.Sub(f.Transaction.Time.Time()))
		reported = append(reported, peerquest.Finding{
			Key: keyOf(&f), Cause: string(f.Cause), Severity: f.Severity.String(), XID: f.Transaction.ID,
		})
		if f.Severity >= rule.Warning {
			r.Opened[f.Rule.String()]++
		} else {
			r.Explained[f.Rule.String()]++
		}
	}
	for _, e := range truth {
		if e.Kind == peerquest.Injected {
			r.Injected[e.Rule]++
		}
	}
	o := peerquest.Match(truth, reported)
	r.MissedWhat, r.FalseWhat = append(o.Missed, o.WrongCause...), o.FalseAlarms
	r.Missed, r.FalseAlarms, r.Detect = len(r.MissedWhat), len(r.FalseWhat), latency(waits)
	return r
}

func keyOf(f *sighting) peerquest.Key {
	key := peerquest.Key{Rule: f.Rule.String(), QuestID: f.QuestID}
	if f.UserID != nil {
		key.UserID = *f.UserID
	}
	return key
}

func latency(waits []time.Duration) (l Latency) {
	if len(waits) == 0 {
		return l
	}
	slices.Sort(waits)
	at := func(share float64) int64 { return waits[int(share*float64(len(waits)-1))].Milliseconds() }
	return Latency{P50: at(0.5), P99: at(0.99), Max: at(1)}
}
