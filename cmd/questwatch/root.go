package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/replay"
)

// Exit statuses, the same for all commands.
const (
	exitFine     = 0
	exitFindings = 1 // findings remain
	exitUsage    = 2 // usage or configuration
	exitFailure  = 3 // failed while running
)

// statusError ends the program with a status and no further word.
type statusError int

func (statusError) Error() string { return "" }

// usageError is a command line that makes no sense.
type usageError struct {
	error
	command string // whose help to see; "" is the program's
}

func (e usageError) Unwrap() error { return e.error }

func exitStatus(err error) int {
	var status statusError
	var usage usageError
	var setting *config.Error
	switch {
	case err == nil:
		return exitFine
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage), errors.As(err, &setting), hint.IsSetup(err):
		return exitUsage
	}
	return exitFailure
}

// breaks are those between the lines of an error that is several.
var breaks = regexp.MustCompile(`\s*\n\s*`)

// explain is an error as a person reads it: what failed, then what to do.
func explain(err error) string {
	text := "questwatch: " + strings.Join(breaks.Split(strings.TrimSpace(err.Error()), -1), "\n  ") + "\n"
	text = strings.ReplaceAll(text, context.Canceled.Error(), "interrupted")
	if advice := hint.Of(err); advice != "" {
		text += "  " + advice + "\n"
	}
	var usage usageError
	if errors.As(err, &usage) {
		text += "  see " + cmp.Or(usage.command, "questwatch") + " --help\n"
	}
	return text
}

const about = `Questwatch streams the changes of three Postgres tables (quests, applications,
participants) into NATS JetStream, keeps every quest's state in memory, and says
within seconds of a write when they do not agree.`

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "questwatch",
		Short: "Watch that applications, participants and quests agree",
		Long:  about,
		Example: `  questwatch demo --for 30s                     see it work, on its own Postgres
  questwatch run --dsn postgres://me@db/site    watch a database
  questwatch audit --dsn postgres://me@db/site  check it once, now`,
		Version:       versionLine(),
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.SetVersionTemplate("{{.Version}}\n")
	cmd.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return usageError{wrongFlag(err), c.CommandPath()} })
	cmd.AddCommand(
		runCommand(), auditCommand(), verifyCommand(), demoCommand(), showCommand(), tailCommand(), replayCommand(), incidentCommand(), statusCommand(), trendsCommand(), setupCommand(), repairCommand(), alertCommand(), versionCommand(),
	)
	nameUsage(cmd)
	narrow(cmd)
	return cmd
}

// nameUsage makes usage errors of a command and those below it say whose they are.
func nameUsage(cmd *cobra.Command) {
	if cmd.Args == nil {
		cmd.Args = cobra.NoArgs
	}
	check := cmd.Args
	cmd.Args = func(c *cobra.Command, args []string) error {
		if err := check(c, args); err != nil {
			return usageError{err, c.CommandPath()}
		}
		return nil
	}
	run := cmd.RunE
	cmd.RunE = func(c *cobra.Command, args []string) error { return inCommand(c, run(c, args)) }
	for _, c := range cmd.Commands() {
		nameUsage(c)
	}
}

// inCommand notes in an error of who asks whose command it is.
func inCommand(c *cobra.Command, err error) error {
	if !errors.As(err, new(usageError)) && !asked(err) {
		return err
	}
	return usageError{err, c.CommandPath()}
}

// asked reports whether what was asked for is at fault: an id, a name or a moment.
func asked(err error) bool {
	return errors.As(err, new(*app.AskedError)) || errors.As(err, new(*replay.PointError)) ||
		errors.As(err, new(*replay.IDError)) || errors.As(err, new(*replay.AmbiguousError))
}

// complete offers the values of a flag to the shell.
func complete(cmd *cobra.Command, flag string, values ...string) {
	if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // there is no such flag, so every test finds it
	}
}

// settings are the flags that several commands share, over a configuration.
type settings struct {
	file   string
	config config.Config
	flags  []flag
}

// flag is a command-line flag that overrides a setting when it is given.
type flag struct {
	name  string
	apply func(*config.Config)
}

// text declares a flag for a setting that is a text.
func (s *settings) text(cmd *cobra.Command, name, usage string, field func(*config.Config) *string) {
	value := new(string)
	defaults := config.Default()
	cmd.Flags().StringVar(value, name, *field(&defaults), usage)
	s.flags = append(s.flags, flag{name, func(c *config.Config) { *field(c) = *value }})
}

// database declares the flag of every command that reads the database.
func (s *settings) database(cmd *cobra.Command) {
	s.text(cmd, "dsn", "the database: a `URL` or key=value list; what it leaves out comes from libpq's variables (PGHOST, PGPASSFILE, …)",
		func(c *config.Config) *string { return &c.Postgres.DSN })
}

// base declares the flags of every command.
func (s *settings) base(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.file, "config", "", "read settings from this YAML `FILE`")
	s.text(cmd, "log-level", "log `LEVEL`: debug, info, warn or error", func(c *config.Config) *string { return &c.Log.Level })
	s.text(cmd, "log-format", "log `FORMAT`: text or json", func(c *config.Config) *string { return &c.Log.Format })
	complete(cmd, "log-level", "debug", "info", "warn", "error")
	complete(cmd, "log-format", "text", "json")
}

// load reads file and environment, and lays the given flags over them.
func (s *settings) load(cmd *cobra.Command) (*slog.Logger, error) {
	c, unknown, err := config.Load(s.file, os.Environ())
	if err != nil {
		return nil, err
	}
	for _, f := range s.flags {
		if cmd.Flags().Changed(f.name) {
			f.apply(&c)
		}
	}
	if err := c.Finish(); err != nil {
		return nil, err
	}
	s.config = c
	logger := newLogger(cmd.ErrOrStderr(), &c.Log)
	for _, name := range unknown {
		logger.Warn("this environment variable names no setting", "name", name)
	}
	if cmd.Flags().Changed("dsn") && hasPassword(c.Postgres.DSN) {
		logger.Warn("a password on the command line can be read by every user of this machine; use PGPASSFILE, PGPASSWORD or postgres.dsn_file")
	}
	if server, err := url.Parse(c.NATS.URL); cmd.Flags().Changed("nats") && err == nil && server.User != nil {
		logger.Warn("credentials on the command line can be read by every user of this machine; use nats.creds_file, nats.password_file or NATS_URL")
	}
	if cmd.Flags().Changed("nats-monitoring") && strings.Contains(c.NATS.Monitoring, "@") {
		logger.Warn("credentials on the command line can be read by every user of this machine; set nats.monitoring in the file or by QUESTWATCH_NATS_MONITORING")
	}
	return logger, nil
}

func newLogger(w io.Writer, c *config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked by config
	options := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}

// server declares the flags of every command that reads the streams.
func (s *settings) server(cmd *cobra.Command) {
	s.text(cmd, "data", "the data `DIR` of the embedded NATS server", func(c *config.Config) *string { return &c.Data })
	s.text(cmd, "nats", "an external NATS server's `URL`, in place of the embedded one; NATS_URL works too", func(c *config.Config) *string { return &c.NATS.URL })
	s.text(cmd, "nats-context", "reach the external NATS server as the nats command's context `NAME` says", func(c *config.Config) *string { return &c.NATS.Context })
	s.text(cmd, "namespace", "first part of all stream and subject `NAME`s", func(c *config.Config) *string { return &c.Namespace })
}

// namesDSN reports whether a database is named.
func (s *settings) namesDSN() bool {
	return s.config.Postgres.DSN != "" || os.Getenv("PGHOST") != "" || os.Getenv("PGSERVICE") != "" || os.Getenv("PGDATABASE") != ""
}

// forRepair sees to it that the database for the role that repairs is named. One on the
// command line is meant for that too.
func (c *call) forRepair() error {
	if c.Flags().Changed("dsn") {
		c.config.Repair.DSN = ""
	}
	if c.config.Repair.DSN != "" {
		return nil
	}
	return c.wantsDSN()
}

// wantsDSN refuses to guess a database: libpq's defaults would be somebody's.
func (s *settings) wantsDSN() error {
	if s.namesDSN() {
		return nil
	}
	return usageError{error: fmt.Errorf("no database is named: give --dsn URL, set QUESTWATCH_POSTGRES_DSN, or use libpq's variables")}
}

// onTerminal reports whether a person looks at what is written.
func onTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// widthOf is how many columns a terminal has, 0 where that is not known.
func widthOf(w io.Writer) int {
	if file, ok := w.(*os.File); ok {
		if width, _, err := term.GetSize(int(file.Fd())); err == nil {
			return width
		}
	}
	return 0
}

// colored reports whether colours are welcome there.
func colored(w io.Writer) bool { return onTerminal(w) && os.Getenv("NO_COLOR") == "" }
