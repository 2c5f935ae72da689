package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// rig is what the runs share.
type rig struct {
	options  Options
	postgres *postgres
	dir      string
	quests   int
	end      string
	closers  []func() error
}

// openRig starts the database and keeps, for the embedded server and if wanted
// for an external one, a data folder that has the baseline.
func openRig(ctx context.Context, o Options, quests int, both bool) (*rig, error) {
	return openRigWith(ctx, o, quests, both, func(context.Context, *postgres) error { return nil })
}

// openApproved does so, with the embedded server only, when all quests are approved.
func openApproved(ctx context.Context, o Options, quests int) (*rig, error) {
	return openRigWith(ctx, o, quests, false, func(ctx context.Context, p *postgres) error { return p.approveAll(ctx, quests) })
}

func openRigWith(ctx context.Context, o Options, quests int, both bool, prepare func(context.Context, *postgres) error) (_ *rig, err error) {
	r := &rig{options: o, quests: quests}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	if r.dir, err = os.MkdirTemp("", "questwatch-bench-"); err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	r.closers = append(r.closers, func() error { return os.RemoveAll(r.dir) })
	if r.postgres, err = startPostgres(ctx); err != nil {
		return nil, err
	}
	r.closers = append(r.closers, r.postgres.Close)
	o.Say("filling the database: %d quests, %d applications", quests+1, 3*quests)
	if err := r.postgres.fill(ctx, quests); err != nil {
		return nil, err
	}
	if err := prepare(ctx, r.postgres); err != nil {
		return nil, err
	}
	o.Say("taking the baselines")
	err = r.template(ctx, false)
	if err == nil && both {
		err = r.template(ctx, true)
	}
	if err != nil {
		return nil, fmt.Errorf("take a baseline: %w", err)
	}
	return r, nil
}

func (r *rig) close() error {
	var errs []error
	for _, fn := range slices.Backward(r.closers) {
		errs = append(errs, fn())
	}
	return errors.Join(errs...)
}

func (r *rig) setups() []setup {
	if len(r.options.Cases) == 0 {
		return setups
	}
	return slices.DeleteFunc(slices.Clone(setups), func(s setup) bool { return !slices.Contains(r.options.Cases, s.name) })
}

func (r *rig) folder(external bool) string {
	if external {
		return filepath.Join(r.dir, "external")
	}
	return filepath.Join(r.dir, "embedded")
}

// template runs the program until it has its baseline. The first one's slot is
// where all runs go on from.
func (r *rig) template(ctx context.Context, external bool) (err error) {
	slot := "template_embedded"
	if external {
		slot = "template_external"
	}
	s, nats, err := r.settings(r.folder(external), external)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeNATS(nats)) }()
	s.slot = slot
	p, err := startProgram(ctx, r.options.Binary, s)
	if err != nil {
		return err
	}
	err = p.until(ctx, "it has a baseline", 50*time.Millisecond, func(s state) bool { return s.State == "streaming" && s.Ready })
	if err = errors.Join(err, p.stop()); err != nil {
		return errors.Join(err, r.log(s.data))
	}
	if !external {
		return r.postgres.copySlot(ctx, slot, backlogSlot)
	}
	return nil
}

// log is an error with what the program logged last.
func (r *rig) log(data string) error {
	text, err := os.ReadFile(data + ".log")
	if err != nil {
		return err
	}
	return fmt.Errorf("the program's log: %s", text[max(0, len(text)-2000):])
}

// settings are those for a folder, with its NATS server running if it is external.
func (r *rig) settings(dir string, external bool) (s settings, n *testkit.NATS, err error) {
	s = settings{dsn: r.postgres.dsn, data: filepath.Join(dir, "data")}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return s, nil, fmt.Errorf("make a folder: %w", err)
	}
	if external {
		store := filepath.Join(dir, "nats")
		if err := os.MkdirAll(store, 0o700); err != nil {
			return s, nil, fmt.Errorf("make a folder: %w", err)
		}
		if n, err = testkit.StartNATS(testkit.NATSOptions{Dir: store}); err != nil {
			return s, nil, err
		}
		s.nats = n.URL()
	}
	return s, n, nil
}

// closeNATS stops an external server in good order; nil is none.
func closeNATS(n *testkit.NATS) error {
	if n == nil {
		return nil
	}
	return errors.Join(n.Stop(), n.Close())
}

// yardstick drains a copy of the backlog by other means.
func (r *rig) yardstick(ctx context.Context, drain func(ctx context.Context, slot, end string) (time.Duration, error)) (took time.Duration, err error) {
	if err := r.postgres.copySlot(ctx, backlogSlot, "yardstick"); err != nil {
		return 0, err
	}
	took, err = drain(ctx, "yardstick", r.end)
	return took, errors.Join(err, r.postgres.dropSlot(context.WithoutCancel(ctx), "yardstick"))
}

func copyTree(from, to string) error {
	if out, err := exec.Command("cp", "-r", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("copy %s: %w: %s", from, err, out)
	}
	return nil
}

// closing closes something after an error.
func closing(err error, fn func() error) error { return errors.Join(err, fn()) }
