package quest_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/quest"
)

// TestRecentAgainstModel: whatever was touched since a count is told, or its
// transaction is below the floor.
func TestRecentAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r quest.Recent
		var before, forgotten uint64 // the newest transaction, and that of the last Forget
		all := []bool{false}         // by transaction: whether it touched one quest, which its number tells
		if r.Floor() != math.MaxUint64 {
			t.Fatal("the zero value knows what came before it")
		}
		for range rapid.IntRange(1, 5).Draw(t, "rounds") {
			many := rapid.SampledFrom([]int{0, 1, 10, 10, 100, 100, 100, 100, 40_000}).Draw(t, "touches")
			for range many {
				before++
				r.Touch(before, int64(before%7))
				all = append(all, true)
			}
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				r.Forget()
				forgotten = before
				if r.Settled() || r.Floor() != math.MaxUint64 {
					t.Fatal("a baseline's transactions are taken for known")
				}
			case 1:
				r.Settle(before + 1)
			case 2:
				before++
				r.TouchAll(before)
				all = append(all, false)
				if r.Floor() <= before {
					t.Fatalf("%d touched all, and the floor is %d", before, r.Floor())
				}
			}
			told := make([]bool, len(all))
			r.Each(func(xid uint64, quest int64) {
				if told[xid] || !all[xid] || xid <= forgotten || quest != int64(xid%7) {
					t.Fatalf("told of %d, quest %d", xid, quest)
				}
				told[xid] = true
			})
			for xid := forgotten + 1; xid <= before; xid++ {
				if all[xid] && !told[xid] && xid >= r.Floor() {
					t.Fatalf("%d is neither told nor below the floor %d", xid, r.Floor())
				}
			}
		}
	})
}
