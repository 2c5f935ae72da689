package bench

import (
	"context"
	"errors"
	"time"
)

// State is what it costs to have every quest in memory, and to have it there again.
type State struct {
	Quests int `json:"quests"`
	Rows   int `json:"rows"`
	Rounds int `json:"rounds"`
	// Start goes on from the checkpoint of the stop before it, Whole reads the whole
	// stream.
	Start
	Whole Start `json:"whole_stream"`
	// Size is that of the checkpoint, Take how long it took to write one while the
	// program ran, and Pause for how long that held up the checker.
	Size  float64 `json:"checkpoint_mb"`
	Take  float64 `json:"checkpoint_take_s"`
	Pause float64 `json:"checkpoint_pause_ms"`
}

// Start is from the start of the process until it has read its stream, streams and
// is ready.
type Start struct {
	Seconds float64 `json:"start_s"`
	CPU     float64 `json:"cpu_s"`
	RSS     float64 `json:"max_rss_mb"`
}

// RunState starts the program on a stream that holds Rows/5 approved quests of three
// applications and one participant each.
func RunState(ctx context.Context, o Options) (s *State, err error) {
	quests := o.Rows / approvalRows
	r, err := openApproved(ctx, o, quests)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	s = &State{Quests: quests + 1, Rows: approvalRows*quests + 1, Rounds: o.Rounds}
	var whole, from starts
	var takes, pauses []float64
	for round := range o.Rounds {
		for _, checkpoints := range []bool{false, true} {
			took, u, c, err := r.restart(ctx, checkpoints)
			if err != nil {
				return nil, err
			}
			o.Say("round %d, checkpoints %v: ready after %.2f s, %.2f s of CPU, %d MB", round+1, checkpoints, took.Seconds(), u.cpu.Seconds(), u.maxRSS>>20)
			if !checkpoints {
				whole.add(took, u)
				continue
			}
			from.add(took, u)
			s.Size = float64(c.Bytes) / (1 << 20)
			takes, pauses = append(takes, c.Took), append(pauses, 1000*c.Paused)
		}
	}
	s.Start, s.Whole, s.Take, s.Pause = from.median(), whole.median(), median(takes), median(pauses)
	return s, nil
}

// starts are those of several rounds.
type starts struct{ seconds, cpu, rss []float64 }

func (s *starts) add(took time.Duration, u usage) {
	s.seconds, s.cpu, s.rss = append(s.seconds, took.Seconds()), append(s.cpu, u.cpu.Seconds()), append(s.rss, float64(u.maxRSS)/(1<<20))
}

func (s *starts) median() Start { return Start{median(s.seconds), median(s.cpu), median(s.rss)} }

// restart starts the program and stops it when it is ready, and has taken another
// checkpoint where it keeps any.
func (r *rig) restart(ctx context.Context, checkpoints bool) (took time.Duration, u usage, c checkpoint, err error) {
	s, _, err := r.settings(r.folder(false), false)
	if err != nil {
		return 0, u, c, err
	}
	s.slot, s.checker, s.checkpoints = backlogSlot, true, "0s"
	if checkpoints {
		s.checkpoints = "3s" // soon, and not before it is ready
	}
	start := time.Now()
	p, err := startProgram(ctx, r.options.Binary, s)
	if err != nil {
		return 0, u, c, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.until(ctx, "it is ready", 10*time.Millisecond, func(s state) bool { return s.Ready }); err != nil {
		return 0, u, c, err
	}
	took = time.Since(start)
	if u, err = usageOf(p.cmd.Process.Pid); err != nil || !checkpoints {
		return took, u, c, err
	}
	if err := r.postgres.exec(ctx, touch(r.quests+1)); err != nil {
		return took, u, c, err
	}
	err = p.until(ctx, "it has taken a checkpoint", 50*time.Millisecond, func(s state) bool {
		c = s.Checkpoint
		return c.Took > 0
	})
	return took, u, c, err
}
