package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/testkit/peerquest"
)

// Options says what to show.
type Options struct {
	// For is how long traffic runs; 0 is until the context ends.
	For time.Duration
	// Keep is the data directory to use and to leave; "" is a temporary one.
	Keep string
	// Rate is how many transactions a second to write.
	Rate float64
	Seed uint64
	// Repair has the program repair what it finds.
	Repair bool
	// Out is where the demo is shown; Live says that it is a terminal, Color that
	// colours are welcome there.
	Out         io.Writer
	Live, Color bool
}

// The shape of the traffic.
const (
	workers         = 6
	autocommitShare = 0.5
	injectShare     = 0.12
	database        = "peerquest"
)

// Run shows the demo. When ctx ends, traffic ends, and what was found until then
// is compared all the same.
func Run(ctx context.Context, o Options) (result *Result, err error) {
	d := &demo{options: o}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx); err != nil {
		return nil, err
	}
	return d.run(ctx)
}

// demo is the parts of a running demo.
type demo struct {
	options  Options
	config   config.Config
	logger   *slog.Logger
	closers  []func() error
	app      *app.App
	sim      *peerquest.Simulator
	seen     *seen
	repaired *repaired
	told     *told
	dataPath string
	// finishing says that the traffic has ended; the view tells.
	finishing atomic.Bool
}

func (d *demo) onClose(fn func() error) { d.closers = append(d.closers, fn) }

func (d *demo) close() error {
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		errs = append(errs, d.closers[i]())
	}
	return errors.Join(errs...)
}

// open starts the database and the program.
func (d *demo) open(ctx context.Context) error {
	if err := d.openData(); err != nil {
		return err
	}
	// The end of ctx must end the traffic only: the comparison needs the rest.
	lasting := context.WithoutCancel(ctx)
	d.say("starting a private Postgres…")
	cluster, err := testkit.StartPostgres(lasting, testkit.PostgresOptions{})
	if err != nil {
		return err
	}
	d.onClose(cluster.Close)
	if err := cluster.CreateDatabase(lasting, database); err != nil {
		return err
	}
	dsn := cluster.DSN(database)
	for _, load := range []func(context.Context, string) error{
		testkit.LoadSchema, testkit.LoadAudit001, testkit.DropUniqueParticipant,
	} {
		if err := load(lasting, dsn); err != nil {
			return err
		}
	}
	if d.logger, err = d.openLog(); err != nil {
		return err
	}
	d.config = config.Default()
	d.config.Data, d.config.Postgres.DSN = d.dataPath, dsn
	d.config.NATS.Listen, d.config.HTTP.Listen = "127.0.0.1:0", "127.0.0.1:0"
	if d.options.Repair {
		repairAutomatically(&d.config.Repair)
	}
	if err := d.openTold(&d.config.Alert); err != nil {
		return err
	}
	d.say("starting questwatch…")
	if d.app, err = app.New(lasting, d.config, d.logger); err != nil {
		return err
	}
	d.onClose(d.app.Close)
	d.say("look on with: questwatch tail --data %s --dsn '%s'", d.dataPath, dsn)
	d.sim = peerquest.New(peerquest.Config{
		DSN: dsn, Seed: d.options.Seed, Rate: d.options.Rate, Workers: workers,
		AutocommitShare: autocommitShare, InjectShare: injectShare, Grace: d.grace(), Journal: d.options.Repair,
	})
	return nil
}

func (d *demo) grace() time.Duration { return d.config.Rules.MissingParticipant.Grace }

func (d *demo) openData() (err error) {
	if d.dataPath = d.options.Keep; d.dataPath != "" {
		return keepIn(d.dataPath)
	}
	d.dataPath, err = os.MkdirTemp("", "questwatch-demo-")
	if err == nil {
		d.onClose(func() error { return os.RemoveAll(d.dataPath) })
	}
	return err
}

// keepIn makes a directory to keep, or takes an empty one: what another run left
// there is not this one's, and a person's own files are not ours to mix with.
func keepIn(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return hint.Setup(fmt.Errorf("make the directory to keep: %w", err), "choose another one with --keep")
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return hint.Setup(fmt.Errorf("look into the directory to keep: %w", err), "choose another one with --keep")
	}
	if len(entries) > 0 {
		return hint.Setup(fmt.Errorf("keep the demo in %s: the directory is not empty", path),
			"choose another one with --keep, or remove what is in this one")
	}
	return nil
}

// openLog sends the program's log to a file: the screen shows what it means.
func (d *demo) openLog() (*slog.Logger, error) {
	f, err := os.OpenFile(filepath.Join(d.dataPath, "questwatch.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the demo's log: %w", err)
	}
	d.onClose(f.Close)
	return slog.New(slog.NewTextHandler(f, nil)), nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.options.Out, format+"\n", args...) }

// run lets traffic flow and compares. The program, the reader of its events and
// the view run beside it.
func (d *demo) run(ctx context.Context) (*Result, error) {
	d.seen, d.repaired = newSeen(), &repaired{given: map[string]string{}}
	beside, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	group, gctx := errgroup.WithContext(beside)
	group.Go(func() error { return d.app.Run(gctx, true) })
	group.Go(func() error {
		return d.app.Bus().ConsumeEvents(gctx, []string{d.app.Bus().EventSubject("drift.>")}, 0,
			func(m bus.Message) error { return d.seen.take(m.Seq, m.Data, time.Now()) })
	})
	group.Go(func() error {
		return d.app.Bus().ConsumeEvents(gctx, []string{d.app.Bus().EventSubject("repair.>")}, 0,
			func(m bus.Message) error { return d.repaired.take(m.Seq, m.Data) })
	})
	view := newView(d)
	group.Go(func() error { return view.run(gctx) })

	start := time.Now()
	err := d.traffic(ctx, gctx)
	took := time.Since(start)
	var differences []string
	var repairs *Repairs
	var replayed *replay.Checked
	if err == nil {
		list, verified := d.differences(gctx)
		if verified == nil && d.options.Repair {
			repairs, verified = d.proveRepairs(gctx)
		}
		if verified == nil {
			replayed, verified = d.judgedAnew(gctx)
		}
		if gctx.Err() == nil { // else the program's own error says why
			differences, err = list, verified
		}
	}
	stop()
	if ended := group.Wait(); err == nil && !errors.Is(ended, context.Canceled) {
		err = ended
	}
	view.end()
	if err != nil {
		return nil, err
	}
	result := compare(d.sim.Truth(), d.seen.all())
	result.Duration = took.Seconds()
	result.Transactions, result.Changes = d.sim.Transactions(), d.sim.Changes()
	result.Differences, result.StateMatches, result.Repairs = differences, len(differences) == 0, repairs
	result.Replay, result.Told = replayed, d.told.channels(d.seen.all())
	return result, nil
}

// traffic waits for the program, runs the simulator, and waits until what it did
// last has been judged.
func (d *demo) traffic(ctx, running context.Context) error {
	finishing := func() { d.finishing.Store(running.Err() == nil) }
	defer context.AfterFunc(ctx, finishing)()
	if err := d.until(running, "the program did not get ready", func() bool { return len(d.app.Reasons()) == 0 }); err != nil {
		return err
	}
	limited, cancel := ctx, context.CancelFunc(func() {})
	if d.options.For > 0 {
		limited, cancel = context.WithTimeout(ctx, d.options.For)
	}
	defer cancel()
	defer context.AfterFunc(limited, finishing)()
	defer context.AfterFunc(running, cancel)() // without the program there is nothing to show
	if err := d.sim.Run(limited); err != nil && !endedBy(limited, err) {
		return err
	}
	if err := d.judged(running); err != nil {
		return err
	}
	if err := d.until(running, "not every failed approval was told", func() bool { return d.told.settled(d.seen.all()) }); err != nil || !d.options.Repair {
		return err
	}
	return d.mended(running)
}

// judged waits until all that was written so far has been judged.
func (d *demo) judged(running context.Context) error {
	due := time.Now().Add(d.grace() + time.Second)
	return d.until(running, "the program did not catch up", func() bool { return d.app.StreamTime().After(due) && d.caughtUp(running) })
}

// endedBy reports whether an error is but the end of ctx: it may come before the
// simulator has made its people.
func endedBy(ctx context.Context, err error) bool {
	return ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}

// caughtUp reports whether every event has come to us.
func (d *demo) caughtUp(ctx context.Context) bool {
	state, err := d.app.Bus().EventsState(ctx)
	if err != nil {
		return false
	}
	for group, upTo := range map[string]func() bus.Seq{"drift.>": d.seen.upTo, "repair.>": d.repaired.upTo} {
		last, err := d.app.Bus().LastEvent(ctx, d.app.Bus().EventSubject(group))
		if !errors.Is(err, bus.ErrNoMessage) && (err != nil || last.Seq > state.Last || upTo() < last.Seq) {
			return false
		}
	}
	return true
}

const patience = time.Minute

// until polls until a condition holds, the program ends, or patience does.
func (d *demo) until(running context.Context, otherwise string, holds func() bool) error {
	deadline := time.Now().Add(patience)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			return fmt.Errorf("%s within %s: %q", otherwise, patience, d.app.Reasons())
		}
		select {
		case <-running.Done():
			return nil // the program's own error says why
		case <-poll.C:
		}
	}
	return nil
}

// differences compares the checker's state with the tables.
func (d *demo) differences(ctx context.Context) (list []string, err error) {
	result, err := d.app.Verify(ctx)
	if err != nil {
		return nil, err
	}
	for _, m := range result.Mismatches {
		list = append(list, m.String())
	}
	for _, id := range result.UndecidedIDs {
		list = append(list, fmt.Sprintf("quest %d could not be compared", id))
	}
	return list, nil
}

// judgedAnew has the whole stream judged by a checker of its own, as replay --check does.
func (d *demo) judgedAnew(ctx context.Context) (*replay.Checked, error) {
	return app.Recheck(ctx, &d.config, replay.Checking{
		Differs:  func(replay.Difference) error { return nil },
		Progress: func(int64, int64) {},
	}, d.logger)
}
