package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/audit/schedule"
	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/pgsource"
	"github.com/peerquest/questwatch/internal/pgstore"
	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/stream"
	"github.com/peerquest/questwatch/internal/watch"
	"github.com/peerquest/questwatch/internal/web"
)

// App is a running program, or one that is about to run.
type App struct {
	config config.Config
	logger *slog.Logger
	closed []func() error // what Close does, in reverse
	// instance names this process in the stream.
	instance string

	listener  net.Listener
	source    *pgsource.Source
	store     *pgstore.Store
	nats      *embedded.Server // nil with an external server
	bus       *bus.Conn
	sync      externalSync
	stream    *stream.Flow
	guard     *stream.Guard
	glance    glance
	reporting sync.Mutex // held while a report is stored
	alerts    *alert.Alerter
	watch     *watch.Flow                 // nil when it is switched off
	verifier  *verify.Verifier            // as watch
	repairs   *pgstore.Store              // as watch
	repairer  *repair.Repairer            // as watch
	auditor   *schedule.Auditor           // as watch
	wrap      func(watchPorts) watchPorts // in tests, what comes between the checker and its ports
}

// watchPorts are what the checker reads and writes, and who acts on it.
type watchPorts struct {
	cdc      watch.CDC
	events   watch.Events
	findings watch.Findings
	messages watch.Messages
	store    watch.Checkpoints // nil where none are kept
	repairs  repair.Store      // of who repairs what the checker finds
}

// New checks everything, then sets up what is missing.
func New(ctx context.Context, c config.Config, logger *slog.Logger) (*App, error) {
	return newWrapped(ctx, c, logger, nil)
}

func newWrapped(ctx context.Context, c config.Config, logger *slog.Logger, wrap func(watchPorts) watchPorts) (*App, error) {
	a := &App{config: c, logger: logger, wrap: wrap}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

func (a *App) open(ctx context.Context) error {
	for _, warning := range a.config.Retention() {
		a.logger.Warn(warning)
	}
	if err := a.listen(); err != nil {
		return err
	}
	setup, err := a.openPostgres(ctx)
	if err != nil {
		return err
	}
	if err := a.openBus(ctx); err != nil {
		return err
	}
	if err := a.source.Set(ctx, setup); err != nil {
		return err
	}
	a.build()
	return a.openAlerts(ctx)
}

// onClose registers what takes down something that was just acquired.
func (a *App) onClose(what string, fn func() error) {
	a.closed = append(a.closed, func() error {
		if err := fn(); err != nil {
			return fmt.Errorf("close %s: %w", what, err)
		}
		return nil
	})
}

// Close takes down what New made.
func (a *App) Close() error {
	var errs []error
	for len(a.closed) > 0 {
		last := len(a.closed) - 1
		errs = append(errs, a.closed[last]())
		a.closed = a.closed[:last]
	}
	return errors.Join(errs...)
}

func (a *App) listen() (err error) {
	if a.config.HTTP.Listen == "" {
		return nil
	}
	a.listener, err = net.Listen("tcp", a.config.HTTP.Listen)
	if err != nil {
		return hint.Wrap(fmt.Errorf("listen for HTTP: %w", err), "stop what listens there, or choose another address with --http HOST:PORT (--http \"\" for none)")
	}
	a.onClose("HTTP listener", func() error {
		if err := a.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return nil
}

func (a *App) openPostgres(ctx context.Context) (setup pgsource.Setup, err error) {
	p := a.config.Postgres
	a.source, err = pgsource.New(pgsource.Config{
		DSN: p.DSN, Slot: p.Slot, Publication: p.Publication, Schema: Schema(&a.config.Tables),
		AllColumns: p.Columns == config.AllColumns, Setup: p.Setup, SenderTimeout: p.SenderTimeout, Logger: a.logger,
	})
	if err != nil {
		return nil, err
	}
	if _, setup, err = a.source.Check(ctx); err != nil {
		return nil, err
	}
	a.store, err = openStore(ctx, &a.config, p.DSN, true)
	if err != nil {
		return nil, err
	}
	a.onClose("database connections", a.closeStores)
	return setup, a.openRepairs(ctx)
}

// storePatience bounds the end of the database's connections. A pool waits for
// each one's cancel request, a quarter of a minute where the network swallows it.
const storePatience = 3 * time.Second

// closeStores leaves connections that cannot be ended in good order to the end of
// the process.
func (a *App) closeStores() error {
	var ending sync.WaitGroup
	ending.Go(a.store.Close)
	if a.repairs != nil {
		ending.Go(a.repairs.Close)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		ending.Wait()
	}()
	select {
	case <-done:
	case <-time.After(storePatience):
		a.logger.Warn("database connections do not end; leaving them", "after", storePatience.String())
	}
	return nil
}

// OpenStore opens the database for ordinary reading and writing.
func OpenStore(ctx context.Context, c *config.Config) (*pgstore.Store, error) {
	return openStore(ctx, c, c.Postgres.DSN, false)
}

// OpenForRepair opens the database with the role that repairs.
func OpenForRepair(ctx context.Context, c *config.Config) (*pgstore.Store, error) {
	return openStore(ctx, c, cmp.Or(c.Repair.DSN, c.Postgres.DSN), false)
}

// SetupSQL is the script that makes the journal of repairs.
func SetupSQL(c *config.Config) string {
	schema := Schema(&c.Tables)
	return pgstore.SetupSQL(&schema)
}

// openStore can do without people's names, which only log lines need.
func openStore(ctx context.Context, c *config.Config, dsn string, namesOptional bool) (*pgstore.Store, error) {
	sc := pgstore.Default()
	sc.Schema, sc.Statuses = Schema(&c.Tables), Statuses(&c.Statuses)
	sc.NamesOptional, sc.LockTimeout = namesOptional, c.Repair.LockTimeout
	return pgstore.Open(ctx, dsn, sc)
}

// build makes the flows; nothing runs yet.
func (a *App) build() {
	rules := Rules(&a.config)
	cdc := cdcPort{a.bus, a.always()}
	host, _ := os.Hostname()
	a.instance = fmt.Sprintf("%s:%d:%s", host, os.Getpid(), rand.Text()[:6])
	a.stream = stream.New(stream.Config{
		DB: a.source.Database(), Instance: a.instance,
		Subject: a.bus.StepSubject, Control: a.bus.ControlSubject(),
		MaxRows: a.config.Stream.MaxRows, MaxBytes: a.config.Stream.MaxBytes, MaxPayload: a.bus.MaxPayload(),
		ConfirmLag: a.confirmLag, TailLag: a.tailLag(), BaselineLag: a.baselineLag(),
		MarkFor: rules.Drift.LongestGrace() + markAfterGrace,
		Takes:   a.takes, Asked: a.config.Watch.Enabled,
	}, postgresPort{a.source, a.store, a.repairs, Schema(&a.config.Tables), a.config.Postgres.Columns == config.AllColumns, &seen{}}, clockPort{a.store}, cdc, notesPort{a.bus}, a.logger)
	a.guard = a.newGuard()
	if !a.config.Watch.Enabled {
		return
	}
	p := watchPorts{cdc, eventsPort{a.bus}, findingsPort{a.bus.Findings()}, cdc, a.checkpointStore(), a.repairs}
	if a.wrap != nil {
		p = a.wrap(p)
	}
	a.watch = watch.New(rules, p.cdc, p.events, p.findings, a.store, a.logger)
	a.watch.Keep(watch.Keeping{
		Store: p.store, Stream: p.messages, Baseline: a.stream.Need,
		// Two of the rare ones of a quiet time must fit into what the stream keeps.
		Every: a.config.CheckpointEvery(),
		Bytes: max(a.config.Stream.KeepBytes, 0) / 4,
	})
	a.verifier = a.newVerifier(&rules)
	a.auditor = a.newAuditor(&rules)
	a.repairer = a.newRepairer(&rules, p.repairs)
}

// Run streams and watches until ctx ends. With wait it stands by while another
// instance streams.
func (a *App) Run(ctx context.Context, wait bool) error {
	epochs := make(chan uint64, 1)
	group, ctx := errgroup.WithContext(ctx)
	if a.listener != nil {
		group.Go(func() error { return web.Serve(ctx, a.listener, a, a.metrics()) })
		a.logger.Info("serving HTTP", "url", "http://"+a.listener.Addr().String()+"/readyz")
	}
	group.Go(func() error {
		err := a.stream.Run(ctx, wait, func(epoch uint64) { replace(epochs, epoch) })
		return a.lastWords(ctx, err)
	})
	if a.watch != nil {
		group.Go(func() error { return a.lastWords(ctx, a.watchWhileActive(ctx, epochs)) })
	}
	group.Go(func() error { return a.guard.Run(ctx) })
	group.Go(func() error { return a.followSync(ctx) })
	group.Go(func() error { return a.answerStatus(ctx) })
	group.Go(func() error { return a.alertWhileActive(ctx) })
	if a.nats != nil {
		group.Go(func() error { return a.nats.Keep(ctx) })
	}
	err := group.Wait()
	if errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// watchWhileActive watches while this instance is the one that streams: a
// standby must not publish what the active one finds.
func (a *App) watchWhileActive(ctx context.Context, epochs <-chan uint64) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case epoch := <-epochs:
			err := a.watchAndRepair(ctx, watch.Writer{Epoch: epoch, Instance: a.instance})
			if !errors.Is(err, watch.ErrDeposed) {
				return err
			}
			a.logger.Info("another instance has taken over; standing by")
		}
	}
}

// watchAndRepair ends when watching does: the state is kept up to date until then.
func (a *App) watchAndRepair(ctx context.Context, self watch.Writer) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return a.watch.Run(ctx, self) })
	group.Go(func() error { return a.verifier.Run(ctx) })
	group.Go(func() error { return a.repairAutomatically(ctx) })
	group.Go(func() error { return a.answer(ctx) })
	group.Go(func() error { return a.answerRepairs(ctx) })
	group.Go(func() error { return a.auditor.Run(ctx) })
	group.Go(func() error { return a.answerAudits(ctx) })
	group.Go(func() error { return a.newTrends().Run(ctx) })
	return group.Wait()
}

// replace leaves a value for the receiver in place of one that it did not take.
// There is one sender.
func replace(to chan uint64, value uint64) {
	select {
	case <-to:
	default:
	}
	to <- value
}

// Bus is the connection to JetStream.
func (a *App) Bus() *bus.Conn { return a.bus }
