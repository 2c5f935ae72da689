package peerquest

import (
	"context"
	"fmt"
	"math/rand/v2"
)

// Stage plays single operations, for who asks what one of them does or may do: in one transaction each with an
// AutocommitShare of 0, in pieces with one of 1. It is not safe for concurrent use.
type Stage struct {
	sim    *Simulator
	worker *worker
}

// NewStage opens the database and makes the people. No traffic is started.
func NewStage(ctx context.Context, cfg Config) (*Stage, error) {
	s := New(cfg)
	if err := s.open(ctx); err != nil {
		return nil, err
	}
	if err := s.prepare(ctx); err != nil {
		s.pool.Close()
		return nil, err
	}
	return &Stage{sim: s, worker: &worker{sim: s, rng: rand.New(rand.NewPCG(cfg.Seed, 1)), faults: map[int]int{}}}, nil
}

// Close ends the connections.
func (s *Stage) Close() { s.sim.pool.Close() }

// Play creates an open quest with some applications and does to it what the operations say, one after the other. It
// returns the first error, with the operation's name. Each operation must make sense after those before it.
func (s *Stage) Play(ctx context.Context, operations ...string) error {
	q, err := s.worker.create(ctx)
	if err != nil {
		return fmt.Errorf("create: %w", err)
	}
	for _, name := range operations {
		do := s.worker.named(name)
		if do == nil {
			return fmt.Errorf("there is no operation %q", name)
		}
		if err := do(ctx, q); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (w *worker) named(name string) operation {
	return map[string]operation{
		"apply": w.apply, "apply again": w.applyAgain, "approve": w.approve, "approve two": w.approveTwo,
		"roll back": w.approveRolledBack, "reject": w.reject, "kick": w.kick, "leave": w.leave, "join": w.join,
		"unassign": w.unassign, "complete": w.complete, "edit": w.edit, "soft delete": w.softDelete, "hard delete": w.hardDelete,
		"lose participant": w.loseParticipant, "lose status": w.loseStatus, "lose assignment": w.loseAssignment,
		"remove endpoint": w.removeEndpoint, "approve after kick": w.approveAfterKick,
	}[name]
}
