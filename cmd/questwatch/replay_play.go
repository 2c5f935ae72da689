package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/replay"
)

// replayFlags are the command's own flags.
type replayFlags struct {
	check       bool
	from, to    string
	stream      string
	speed, rate string
	selection   replay.Selection
	app.Play
}

func (f *replayFlags) declare(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&f.check, "check", false, "judge the range anew, and compare with what was found live")
	flags.StringVar(&f.from, "from", "", "begin at this `POINT`: a time, -2h, -7d, a position of the log, a sequence, or baseline")
	flags.StringVar(&f.to, "to", "", "end at this `POINT`; the end of the stream by default")
	flags.StringVar(&f.stream, "stream", string(replay.KindCDC), "which `STREAM`: cdc (changes) or events (what was found)")
	flags.Int64SliceVar(&f.selection.Quests, "quest", nil, "only messages about the quest with this `ID`; several with commas between")
	flags.StringVar(&f.selection.User, "user", "", "only messages about this `PERSON`: an id, or a name that the database has")
	flags.StringVar(&f.selection.Entity, "entity", "", "only changes of this `ENTITY`: quest, application or participant")
	flags.StringVar(&f.selection.Rule, "rule", "", "only events about findings of this `RULE`")
	flags.Uint64Var(&f.selection.Transaction, "xid", 0, "only changes of the transaction with this `ID`")
	flags.StringVar(&f.speed, "speed", "max", "how fast by commit times: 1x, 10x or max")
	flags.StringVar(&f.rate, "rate", "", "at most so many messages a second, as in `500/s`")
	flags.BoolVar(&f.DryRun, "dry-run", false, "only count what would be replayed")
	flags.StringVar(&f.FromFile, "from-file", "", "read this `FILE`, which --to-file wrote, in place of a stream")
	flags.StringVar(&f.ToFile, "to-file", "", "write a new `FILE`")
	flags.BoolVar(&f.Continue, "continue", false, "with --to-file: go on with a file that was not finished, as it was begun")
	flags.StringVar(&f.ToSubject, "to-subject", "", "publish below this `PREFIX` of subjects, which a stream takes that is no instance's own")
	complete(cmd, "stream", string(replay.KindCDC), string(replay.KindEvents))
	complete(cmd, "entity", "quest", "application", "participant")
	complete(cmd, "speed", "1x", "10x", "max")
}

// playOnly are flags that --check does not know, begun those that a file that is gone on
// with has already.
var (
	begun    = []string{"stream", "from", "to", "quest", "user", "entity", "rule", "xid"}
	playOnly = []string{"quest", "user", "entity", "rule", "xid", "stream", "speed", "rate", "dry-run", "from-file", "to-file", "continue", "to-subject"}
)

// fit refuses flags that do not go together.
func (f *replayFlags) fit(cmd *cobra.Command) error {
	given := func(names ...string) string {
		i := slices.IndexFunc(names, cmd.Flags().Changed)
		if i < 0 {
			return ""
		}
		return names[i]
	}
	two := func(a, b string) error { return fmt.Errorf("--%s and --%s do not go together: give one of them", a, b) }
	if f.check {
		if other := given(playOnly...); other != "" {
			return two("check", other)
		}
		return nil
	}
	if f.Continue {
		if f.ToFile == "" {
			return errors.New("--continue goes on with a file: give --to-file too")
		}
		if other := given(begun...); other != "" {
			return fmt.Errorf("--%s: a file that is gone on with has that from its beginning: leave it out", other)
		}
	}
	where := slices.DeleteFunc([]string{"dry-run", "to-file", "to-subject"}, func(name string) bool { return given(name) == "" })
	switch {
	case len(where) > 1:
		return two(where[0], where[1])
	case f.FromFile != "" && given("stream") != "":
		return two("from-file", "stream")
	case given("user") != "" && f.selection.User == "":
		return errors.New("--user is empty: name somebody, or leave it out")
	case given("to-subject") != "" && f.ToSubject == "", given("to-file") != "" && f.ToFile == "", given("from-file") != "" && f.FromFile == "":
		return errors.New("a file or a prefix is empty")
	}
	var err error
	f.Pace, err = replay.ParsePace(f.speed, f.rate)
	if err == nil && f.FromFile == "" {
		err = f.selection.Check(replay.Kind(f.stream))
	}
	return err
}

func (f *replayFlags) play(c *call, k replay.Checking) (err error) {
	p := &f.Play
	if f.selection.User != "" {
		if f.selection.User, err = app.TailedUser(c.Context(), &c.config, c.wantsDSN(), f.selection.User); err != nil {
			return err
		}
	}
	p.Kind, p.From, p.To, p.Select = replay.Kind(f.stream), k.From, k.To, f.selection
	p.Out, p.JSON, p.Names = c.OutOrStdout(), c.asJSON(), c.namesDSN()
	shown := !p.DryRun && p.ToFile == "" && p.ToSubject == ""
	bar, done := func(int64, int64) {}, func() {}
	p.Color = shown && colored(p.Out)
	if !shown || !onTerminal(p.Out) { // lines and a bar do not share a terminal
		if progress, drawn := progressBar(c.ErrOrStderr(), "replay"); progress != nil {
			bar, done = progress, drawn
		}
	}
	p.Progress = bar
	played, err := app.Replay(c.Context(), &c.config, p, c.logger)
	done()
	switch {
	case errors.Is(err, replay.ErrFinished) || errors.Is(err, os.ErrExist):
		return usageError{error: err}
	case errors.Is(err, context.Canceled) && played != nil:
		return hint.Wrap(fmt.Errorf("interrupted after %s", played), "go on with: %s", f.again(c.Command, played))
	case errors.As(err, new(replay.DamageError)): // going on would meet it again
		return err
	case err != nil && played != nil && played.Messages > 0 && !shown:
		advice := "go on with: " + f.again(c.Command, played)
		if known := hint.Of(err); known != "" {
			advice = known + "\n  " + advice
		}
		return hint.Wrap(err, "%s", advice)
	case err == nil && shown && played.Messages == 0:
		c.logger.Info("nothing is shown: the range has nothing of what was asked for")
		return nil
	case err != nil || shown:
		return err
	}
	return c.show(played, func() string { return played.String() + "\n" })
}

// again is the command line that goes on.
func (f *replayFlags) again(cmd *cobra.Command, played *replay.Played) string {
	line := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(g *pflag.Flag) {
		if g.Name == "from" || g.Name == "to" || g.Name == "continue" || f.ToFile != "" && slices.Contains(begun, g.Name) {
			return
		}
		value := g.Value.String()
		switch g.Value.Type() {
		case "bool":
			line = append(line, "--"+g.Name)
			return
		case "int64Slice":
			value = strings.Trim(value, "[]")
		}
		if (g.Name == "dsn" || g.Name == "nats") && strings.Contains(value, "@") || hasPassword(value) {
			value = "…" // it may hold a password
		}
		line = append(line, "--"+g.Name, quoted(value))
	})
	if f.ToFile != "" {
		return strings.Join(append(line, "--continue"), " ")
	}
	return strings.Join(append(line, "--from", played.Again, "--to", played.To), " ")
}

// quoted is a word as a shell takes it.
func quoted(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-./:,@%+=", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
