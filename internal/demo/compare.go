package demo

import (
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/replay"
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
	// Replay is what came of judging the whole stream anew.
	Replay *replay.Checked `json:"replay"`
	// Explained counts what looks like a failure in the tables and is none; it was
	// reported as info.
	Explained map[string]int `json:"explained"`
	// Untrue counts what was reported as info and is not so: nobody was called for it.
	Untrue int `json:"untrue"`
	// Told is what each channel of alerts told of failed approvals.
	Told map[string]*Told `json:"told"`
	// Repairs is nil where nothing was repaired automatically.
	*Repairs

	// MissedWhat, FalseWhat, UntrueWhat and Differences say what went wrong, if
	// anything did.
	MissedWhat  []peerquest.Expectation `json:"-"`
	FalseWhat   []sighting              `json:"-"`
	UntrueWhat  []sighting              `json:"-"`
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
func (r *Result) Good() bool {
	return r.Missed == 0 && r.FalseAlarms == 0 && r.Untrue == 0 && r.StateMatches && r.Replay.Differences+r.Replay.Untold == 0 && r.good()
}

// compare holds what was found against what is true.
func compare(truth []peerquest.Expectation, found []sighting) *Result {
	r := &Result{Injected: map[string]int{}, Opened: map[string]int{}, Explained: map[string]int{}}
	var waits []time.Duration
	byKey := map[peerquest.Key][]sighting{}
	for _, f := range found {
		if f.Origin == drift.FromBaseline {
			r.Baseline++
			continue
		}
		waits = append(waits, f.at.Sub(f.Transaction.Time.Time()))
		byKey[keyOf(&f)] = append(byKey[keyOf(&f)], f)
		if f.Severity >= rule.Warning {
			r.Opened[f.Rule.String()]++
		} else {
			r.Explained[f.Rule.String()]++
		}
	}
	expected := map[peerquest.Key][]peerquest.Expectation{}
	for _, e := range truth {
		expected[e.Key()] = append(expected[e.Key()], e)
		if e.Kind == peerquest.Injected {
			r.Injected[e.Rule]++
		}
		if e.Kind != peerquest.Uncertain && !slices.ContainsFunc(byKey[e.Key()], func(f sighting) bool { return answers(&f, &e) }) {
			r.MissedWhat = append(r.MissedWhat, e)
		}
	}
	for key, sightings := range byKey {
		for _, f := range sightings {
			justified := slices.ContainsFunc(expected[key], func(e peerquest.Expectation) bool { return answers(&f, &e) })
			switch {
			case justified:
			case f.Severity >= rule.Warning:
				r.FalseWhat = append(r.FalseWhat, f)
			default:
				r.UntrueWhat = append(r.UntrueWhat, f)
			}
		}
	}
	r.Missed, r.FalseAlarms, r.Untrue, r.Detect = len(r.MissedWhat), len(r.FalseWhat), len(r.UntrueWhat), latency(waits)
	return r
}

func keyOf(f *sighting) peerquest.Key {
	key := peerquest.Key{Rule: f.Rule.String(), QuestID: f.QuestID}
	if f.UserID != nil {
		key.UserID = *f.UserID
	}
	return key
}

// answers reports whether a finding is the one expected: begun by the same
// transaction, for the same cause and mattering as much, as far as that is known.
func answers(f *sighting, e *peerquest.Expectation) bool {
	if e.XID != 0 && e.XID != f.Transaction.ID {
		return false
	}
	return e.Cause == "" || e.Cause == string(f.Cause) && e.Severity == f.Severity.String()
}

func latency(waits []time.Duration) (l Latency) {
	if len(waits) == 0 {
		return l
	}
	slices.Sort(waits)
	at := func(share float64) int64 { return waits[int(share*float64(len(waits)-1))].Milliseconds() }
	return Latency{P50: at(0.5), P99: at(0.99), Max: at(1)}
}
