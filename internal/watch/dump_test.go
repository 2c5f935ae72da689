package watch_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit/chronicle"
)

func TestDump(t *testing.T) {
	seed, _ := strconv.Atoi(os.Getenv("FROM"))
	a, _ := strconv.Atoi(os.Getenv("A"))
	b, _ := strconv.Atoi(os.Getenv("B"))
	rules := defaultRules()
	c := written(&rules)
	c.Workflows, c.Faults, c.EpisodeEvery = 400, os.Getenv("FAULTS") != "", 3000
	c.Quests = 10
	n := 0
	q, _ := strconv.Atoi(os.Getenv("Q"))
	_, _ = chronicle.Play(rand.New(rand.NewPCG(uint64(seed), 9)), c, func(m *chronicle.Message, want []chronicle.Told) error {
		n++
		if n >= a && n <= b || q > 0 && m.Quest == int64(q) {
			fmt.Println(n, m.Kind, m.Epoch, m.Time, m.Transaction, m.Quest, m.Reason)
			for _, c := range m.Changes {
				fmt.Println("   ", string(c.Op), c.Entity, c.Before, c.After)
			}
			for _, w := range want {
				fmt.Println("   >", w)
			}
		}
		return nil
	})
}
