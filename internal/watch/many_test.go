package watch_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit/chronicle"
)

func TestMany(t *testing.T) {
	n, _ := strconv.Atoi(os.Getenv("MANY"))
	from, _ := strconv.Atoi(os.Getenv("FROM"))
	faults := os.Getenv("FAULTS") != ""
	for seed := from; seed < from+n; seed++ {
		rules := defaultRules()
		c := written(&rules)
		c.Workflows, c.Faults, c.EpisodeEvery = 400, faults, 3000
		c.Quests = 10
		_, err := judged(rand.New(rand.NewPCG(uint64(seed), 9)), rules, c, func(told chronicle.Told) {
			if !faults && told.Finding.Severity != "info" && told.Finding.Severity != "" {
				t.Errorf("seed %d: %+v", seed, told)
			}
		})
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}
