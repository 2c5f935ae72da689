package chronicle_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit/chronicle"
)

const grace, jitter = 3000, 20

func config(faults bool) chronicle.Config {
	return chronicle.Config{
		Workflows: 2000, Quests: 40, Lifetime: 12, Faults: faults, EpisodeEvery: 10_000, Jitter: jitter, Limit: grace - jitter - 1,
		Grace: func(string) chronicle.Millis { return grace },
		Rules: []string{
			chronicle.MissingParticipant, chronicle.OrphanParticipant, chronicle.OpenWithParticipants, chronicle.Unassigned,
			chronicle.DuplicateParticipant, chronicle.AssigneeNotParticipant, chronicle.IdleInProgress, chronicle.ApprovedButDropped,
			chronicle.ActiveAfterCompletion, chronicle.DanglingReference,
		},
	}
}

func play(t *testing.T, c chronicle.Config, hear func(*chronicle.Message, []chronicle.Told)) chronicle.Tally {
	t.Helper()
	tally, err := chronicle.Play(rand.New(rand.NewPCG(5, 6)), c, func(m *chronicle.Message, told []chronicle.Told) error {
		hear(m, told)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tally
}

func TestSameDiceSameChronicle(t *testing.T) {
	for _, faults := range []bool{false, true} {
		var texts [2][]string
		for i := range texts {
			play(t, config(faults), func(m *chronicle.Message, told []chronicle.Told) {
				plain := *m
				plain.Changes = nil // pointers
				text := fmt.Sprintf("%+v", plain)
				for _, c := range m.Changes {
					text += fmt.Sprintf(" %c %v %v", c.Op, c.Before, c.After)
				}
				lines := make([]string, len(told))
				for j := range told {
					lines[j] = fmt.Sprint(told[j])
				}
				slices.Sort(lines)
				texts[i] = append(texts[i], text+fmt.Sprint(lines))
			})
		}
		if !slices.Equal(texts[0], texts[1]) {
			t.Errorf("faults %v: two chronicles", faults)
		}
	}
}

// A mark says that what committed before it is above, as long as the clock does not step back.
func TestMarksAreHonest(t *testing.T) {
	newest, marks := chronicle.Millis(0), 0
	c := config(true)
	c.EpisodeEvery = 0
	play(t, c, func(m *chronicle.Message, _ []chronicle.Told) {
		switch {
		case m.Kind == chronicle.Progress:
			newest, marks = max(newest, m.Time), marks+1
		case m.Kind == chronicle.Step && !m.Snapshot && m.Transaction.Time < newest-jitter:
			t.Errorf("transaction %d of %d comes after the mark of %d", m.Transaction.ID, m.Transaction.Time, newest)
		}
	})
	if marks < 100 {
		t.Errorf("%d marks", marks)
	}
}

// Positions strictly increase along a stream.
func TestPositionsIncrease(t *testing.T) {
	var last [3]uint64
	play(t, config(true), func(m *chronicle.Message, _ []chronicle.Told) {
		if m.Kind != chronicle.Step && m.Kind != chronicle.TxEnd && m.Kind != chronicle.Truncate && m.Kind != chronicle.Report {
			return
		}
		at := [3]uint64{m.Epoch, m.Transaction.CommitLSN, uint64(m.Transaction.Message)}
		if slices.Compare(at[:], last[:]) <= 0 {
			t.Fatalf("%v follows %v", at, last)
		}
		last = at
	})
}

func TestCorrectBehaviourCallsNobody(t *testing.T) {
	told := 0
	tally := play(t, config(false), func(_ *chronicle.Message, all []chronicle.Told) {
		for _, x := range all {
			told++
			if s := x.Finding.Severity; s == "warning" || s == "critical" {
				t.Errorf("told: %+v", x)
			}
		}
	})
	if told == 0 || tally.Begun != 2000 {
		t.Errorf("%d told, %d workflows", told, tally.Begun)
	}
}
