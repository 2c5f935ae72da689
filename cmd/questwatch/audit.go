package main

import (
	"errors"
	"fmt"
	"io"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/replay"
)

type auditFlags struct {
	*call
	compat, format, failOn *string
	at, report             string
	point                  replay.Point
	detailed               bool
	cfg                    audit.Config
}

func auditCommand() *cobra.Command {
	f := &auditFlags{}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Check every quest of the database once, and repair on request",
		Long: `Audit reads the whole database in one snapshot, checks every quest against the rules
and reports what does not hold. It needs no NATS.

With --fix it repairs, one transaction a quest, and prints the SQL that takes the repairs
back; where there is a journal (questwatch setup) they are written down there too. A
snapshot has no history: an approved applicant without a participant may be a failed
approval or a person who left, so these are left alone without --include-unknown.
--compat django audits and repairs exactly as PeerQuest's own audit command did: it knows
five of the rules, and none of their settings.

With --at it audits what the database was at a past moment, from the stream of an instance
(--data, --nats) and without touching the database: at a commit's time
(2026-11-27T22:00:00Z, or -2h), a position of the database's log (0/1DAE9F8) or a message's
sequence; what committed then counts. The history of the rows is known there, and with it
the causes; people are known by their ids, in --user too. Where the stream has discarded
what is needed, it says the earliest possible time.

A running instance audits by a timetable (audit.schedule, Mondays at six UTC unless set):
see audit list and audit show; audit now has it make one at once.

Exit status: 0 nothing remains, 1 findings remain (see --fail-on), 2 wrong usage or
configuration, 3 a failure, such as a quest that could not be repaired.`,
		Example: `  questwatch audit --dsn postgres://questwatch@localhost/peerquest
  questwatch audit --user student2 --detailed
  questwatch audit --at -2h --data /var/lib/questwatch --detailed
  questwatch audit --fix --dry-run
  questwatch audit --fix --include-unknown --report audit.html
  questwatch audit --compat django --output json | tail -n 1 | jq .stats`,
	}
	cmd.AddCommand(auditNowCommand(), auditListCommand(), auditShowCommand())
	f.call = newCall(cmd, ofDatabase|ofInstance)
	flags := cmd.Flags()
	flags.StringVar(&f.at, "at", "", "audit the past: what the database was at this `POINT`, from the stream")
	flags.StringVar(&f.cfg.User, "user", "", "audit one user, by `NAME`; with --at by id")
	flags.BoolVar(&f.detailed, "detailed", false, "list every finding with what was expected and what is there")
	flags.BoolVar(&f.cfg.Fix, "fix", false, "repair what may be repaired")
	flags.BoolVar(&f.cfg.DryRun, "dry-run", false, "with --fix: say what would be repaired, and write nothing")
	flags.BoolVar(&f.cfg.IncludeUnknown, "include-unknown", false, "with --fix: repair missing participants too, people who left among them")
	f.compat = choose(cmd, "compat", "reproduce another audit `COMMAND`: django", "", "django")
	f.format = choose(cmd, "output", "`FORMAT`: text, json or html (default: by the name of --report, else text)", "", "text", "json", "html")
	flags.StringVar(&f.report, "report", "", "write the report to this `FILE` (.txt, .html, .json), and a summary to standard output")
	f.failOn = choose(cmd, "fail-on", "lowest `SEVERITY` that makes the exit status 1: info, warning, critical or never", "warning", "info", "warning", "critical", "never")
	actorFlags(cmd, &f.cfg.Actor, &f.cfg.Reason)
	return f.runs(func(*call, []string) error { return f.run() })
}

func (f *auditFlags) run() error {
	out, err := f.parse(f.Flags().Changed)
	if err != nil {
		return usageError{error: err}
	}
	out.Stdout, out.Stderr = f.OutOrStdout(), f.ErrOrStderr()
	if f.at != "" {
		return f.runPast(out)
	}
	open, named := app.OpenStore, f.wantsDSN
	if f.cfg.Fix && !f.cfg.DryRun {
		open, named = app.OpenForRepair, f.forRepair
	}
	if err := named(); err != nil {
		return err
	}
	return f.audit(&out, func() (audit.Database, func(), error) {
		db, err := open(f.Context(), &f.config)
		if err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	})
}

// runPast audits a moment of the stream.
func (f *auditFlags) runPast(out audit.Output) error {
	return f.audit(&out, func() (audit.Database, func(), error) {
		progress, done := progressBar(f.ErrOrStderr(), "read the stream")
		if progress == nil {
			progress = func(int64, int64) {}
		}
		db, err := app.OpenPastDatabase(f.Context(), &f.config, f.point, progress, f.logger)
		done()
		if point := new(replay.PointError); errors.As(err, &point) {
			err = usageError{error: fmt.Errorf("--at: %w", err)}
		}
		if err != nil {
			return nil, nil, err
		}
		at, _ := db.Moment()
		out.View.At, out.View.Past = at.Time(), true
		return db, func() {}, nil
	})
}

// audit runs on what open gives, and delivers what comes of it.
func (f *auditFlags) audit(out *audit.Output, open func() (audit.Database, func(), error)) (err error) {
	f.cfg.Rules, f.cfg.Namespace = app.Rules(&f.config).Policy, f.config.Namespace
	if f.report != "" {
		if out.File, err = audit.OpenDestination(f.report); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, out.File.Close()) }()
	}
	if f.cfg.Fix && !f.cfg.DryRun {
		// A reader that goes away must not end us before we said how to undo.
		signal.Ignore(syscall.SIGPIPE)
	}
	db, closed, err := open()
	if err != nil {
		return err
	}
	defer closed()
	progress, done := progressBar(f.ErrOrStderr(), "audit")
	result, err := audit.Run(f.Context(), db, f.cfg, progress)
	done()
	if err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	defer func() {
		if e := result.Close(); e != nil && err == nil {
			err = e
		}
	}()
	if err := result.Deliver(*out); err != nil {
		return err
	}
	return conclude(result)
}

// conclude turns how the audit ended into how the program ends. Findings that
// remain have been reported; what failed is said again.
func conclude(result *audit.Result) error {
	err := result.Err()
	var unsuccessful *audit.Unsuccessful
	if errors.As(err, &unsuccessful) && unsuccessful.Status == exitFindings {
		return statusError(exitFindings)
	}
	return err
}

// parse reads the flags; given says which were.
func (f *auditFlags) parse(given func(flag string) bool) (out audit.Output, err error) {
	if given("user") && f.cfg.User == "" {
		// An unset variable of a script must not widen a repair to everybody.
		return out, &audit.UsageError{Reason: "--user is empty: name somebody, or leave it out to audit everybody"}
	}
	if f.cfg.Compat = *f.compat != ""; f.cfg.Compat {
		for _, flag := range []string{"fail-on", "include-unknown"} {
			if given(flag) {
				return out, &audit.UsageError{Reason: "--compat django does as the original did, which knows no --" + flag + ": leave one of them out"}
			}
		}
	}
	if given("at") {
		if f.point, err = pastMoment(f.at); err != nil {
			return out, err
		}
		for _, flag := range []string{"compat", "fix", "dry-run", "include-unknown", "dsn"} {
			if given(flag) {
				return out, &audit.UsageError{Reason: "--at looks at the past in the stream, and --" + flag + " is about the database: leave one of them out"}
			}
		}
	}
	if f.cfg.FailOn, err = audit.ParseFailOn(*f.failOn); err != nil {
		return out, err
	}
	out.Format = audit.Format(*f.format)
	if out.Format == "" && filepath.Ext(f.report) != "" && audit.FormatOf(f.report) == "" {
		return out, &audit.UsageError{Reason: fmt.Sprintf("--report %q: of which format? Known are .txt, .html and .json; or say --output", f.report)}
	}
	out.View = audit.View{Detailed: f.detailed, At: time.Now()}
	return out, f.cfg.Check()
}

// progressBar draws on a terminal only.
func progressBar(w io.Writer, what string) (audit.Progress, func()) {
	if !onTerminal(w) {
		return nil, func() {}
	}
	bar := audit.NewBar(w, what)
	return bar.Progress, bar.Done
}
