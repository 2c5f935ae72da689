package bench

import (
	"context"
	"errors"
	"time"
)

// State is what it costs to have every quest in memory.
type State struct {
	Quests int `json:"quests"`
	Rows   int `json:"rows"`
	Rounds int `json:"rounds"`
	// Start is from the start of the process until it has read its stream, streams
	// and is ready.
	Start float64 `json:"start_s"`
	CPU   float64 `json:"cpu_s"`
	RSS   float64 `json:"max_rss_mb"`
}

// RunState starts the program on a stream that holds Rows/5 approved quests.
func RunState(ctx context.Context, o Options) (s *State, err error) {
	quests := o.Rows / approvalRows
	r, err := openRig(ctx, o, quests, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	s = &State{Quests: quests + 1, Rows: 4*quests + 1, Rounds: o.Rounds}
	var starts, cpus, sizes []float64
	for round := range o.Rounds {
		took, u, err := r.restart(ctx)
		if err != nil {
			return nil, err
		}
		o.Say("round %d: ready after %.2f s, %.2f s of CPU, %d MB", round+1, took.Seconds(), u.cpu.Seconds(), u.maxRSS>>20)
		starts, cpus, sizes = append(starts, took.Seconds()), append(cpus, u.cpu.Seconds()), append(sizes, float64(u.maxRSS)/(1<<20))
	}
	s.Start, s.CPU, s.RSS = median(starts), median(cpus), median(sizes)
	return s, nil
}

// restart starts the program and stops it when it is ready.
func (r *rig) restart(ctx context.Context) (took time.Duration, u usage, err error) {
	s, _, err := r.settings(r.folder(false), false)
	if err != nil {
		return 0, u, err
	}
	s.slot, s.checker = backlogSlot, true
	start := time.Now()
	p, err := startProgram(ctx, r.options.Binary, s)
	if err != nil {
		return 0, u, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.until(ctx, "it is ready", 10*time.Millisecond, func(s state) bool { return s.Ready }); err != nil {
		return 0, u, err
	}
	took = time.Since(start)
	u, err = usageOf(p.cmd.Process.Pid)
	return took, u, err
}
