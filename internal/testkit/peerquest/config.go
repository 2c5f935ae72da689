package peerquest

import "time"

// Config describes a workload. DSN is required.
type Config struct {
	DSN  string
	Seed uint64 // the same seed gives the same decisions, as far as concurrency allows

	Rate    float64 // transactions a second over all workers; 0 means as many as possible
	Workers int     // 4 when 0
	Users   int     // 40 when 0

	AutocommitShare float64       // of the operations, written statement by statement: the application before its fix
	InjectShare     float64       // of the operations, those that go wrong where something can
	PauseScale      float64       // stretches the pauses between the statements of an operation; 1 when 0, none when negative
	Grace           time.Duration // of the checker that is to judge; 3 s when 0
	// Journal says that somebody repairs what they find, and writes it down in questwatch.repair. What was found once it
	// had lasted as long as the grace has to be found, however soon it was repaired then.
	Journal bool
}

const (
	// settle is how long beyond the grace a violation lasts that is not to be taken for a transient one.
	settle = 3 * time.Second
	// healShare is how many of the faults are repaired later by hand.
	healShare = 0.3
	// maxSteps is how many operations a quest lives through at most.
	maxSteps = 16
)

func (c Config) withDefaults() Config {
	if c.Workers == 0 {
		c.Workers = 4
	}
	if c.Users == 0 {
		c.Users = 40
	}
	if c.Grace == 0 {
		c.Grace = 3 * time.Second
	}
	if c.PauseScale == 0 {
		c.PauseScale = 1
	}
	return c
}

// pauses is the time that one operation spends between its statements, in all.
func (c Config) pauses() time.Duration {
	if c.PauseScale < 0 {
		return 0
	}
	return min(time.Duration(c.PauseScale*float64(800*time.Millisecond)), c.Grace*4/10)
}
