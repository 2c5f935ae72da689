package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/replay"
)

func replayCommand() *cobra.Command {
	var f replayFlags
	cmd := &cobra.Command{
		Use:   "replay",
		Short: "Show a past range of the streams, copy it, or judge it anew",
		Long: `Replay reads a past range of the stream of changes, or with --stream events of what was
found, and shows it: as a timeline, or with --output json a message a line. It writes
nothing of the instance's and needs no database; people's names come from one that is named.

The range is the whole stream, or begins with --from and ends with --to: a commit's time
(2026-11-27T22:00:00Z, "2026-11-27 22:00:00" in UTC as lines show it, -2h, -7d), a position
of the database's log (0/1DAE9F8), a message's sequence (4711), or --from baseline. A time
is that of the commit, or of the event, and exact, however late a message was stored. What
is stored while it runs is not shown.

--quest, --user, --entity, --rule (of events) and --xid leave the rest out. The server
finds a quest's messages among millions at once; for the others all of the range is read.
--speed plays at the pace at which it came, or so many times that; --rate bounds messages a
second. --dry-run only counts.

--to-file writes a file that --from-file reads in place of a stream, checked line by line.
--to-subject publishes the messages below another prefix, where a stream must take them and
never one of an instance's own: questwatch.cdc.3.42 goes to PREFIX.cdc.3.42, with the
Nats-Msg-Id that it has, so that who consumes both can drop what came twice, and with the
header "replayof" (QUESTWATCH_CDC/4711, the stream and the sequence; events also with that
attribute). After Ctrl-C it says how to go on; a file also after a crash, with --continue.
Nothing is lost or doubled then.

--check judges the range by the rules of --config and prints what is found otherwise than
it was found live: by the rules that the instance ran with, nothing; by others, what they
would have found. It begins at the beginning of the stream, or behind the newest checkpoint
before the range that was taken under the same rules. Where the stream has discarded its
beginning and there is no such checkpoint, it begins behind one that was taken under others,
or with the first baseline that is left: findings that began before it are not compared, and
a cause that lies before a baseline is not known ("exact" is false).

An instance is found through its data directory (--data) or NATS server (--nats,
--nats-context). The data directory of one that does not run is only read: it is copied to
TMPDIR, or /var/tmp, for as long as this runs, and nothing in the copy is too old;
--to-subject wants a server that runs.

Exit status: 0 done (with --check: no difference), 1 differences, 2 wrong usage or
configuration or a range that is not in the stream, 3 interrupted, no such quest, a damaged
file, or another failure.`,
		Example: `  questwatch replay --quest 42
  questwatch replay --from -2h --to -1h --entity participant --output json | jq .data
  questwatch replay --stream events --rule missing_participant --from -7d --dry-run
  questwatch replay --from -7d --to-file week.replay
  questwatch replay --from-file week.replay --to-subject copy.week --rate 500/s
  questwatch replay --check --config tuned.yaml --from -7d
  questwatch replay --check --output json | tail -n 1 | jq .differences`,
	}
	f.declare(cmd)
	reports(cmd, ofDatabase|ofInstance, func(c *call, _ []string) error {
		k, err := rangeOf(f.from, f.to)
		if err == nil {
			err = f.fit(cmd)
		}
		if err != nil {
			return usageError{error: err}
		}
		// A reader of ours that goes away must not end us before a copy is removed.
		signal.Ignore(syscall.SIGPIPE)
		if f.check {
			err = c.recheck(k)
		} else {
			err = f.play(c, k)
		}
		if errors.Is(err, syscall.EPIPE) { // it has seen enough
			return statusError(exitFailure)
		}
		return err
	})
	cmd.Flags().Lookup("output").Usage = "`FORMAT`: text, or json: a line for each message or difference; sums are one last line"
	return cmd
}

func rangeOf(from, to string) (k replay.Checking, err error) {
	now := time.Now()
	if k.From, err = replay.ParsePoint(from, now); err != nil {
		return k, fmt.Errorf("--from: %w", err)
	}
	if k.To, err = replay.ParsePoint(to, now); err != nil {
		return k, fmt.Errorf("--to: %w", err)
	}
	if k.To.Baseline {
		return k, errors.New("--to: a range does not end with the baseline")
	}
	return k, replay.Ordered(k.From, k.To)
}

// differencesShown is how many differences a person is shown.
const differencesShown = 100

func (c *call) recheck(k replay.Checking) error {
	out := c.OutOrStdout()
	shown, sums := 0, differenceSums{}
	k.Differs = func(d replay.Difference) (err error) {
		if shown++; c.asJSON() {
			return json.NewEncoder(out).Encode(d)
		}
		if sums.count(&d); shown <= differencesShown {
			_, err = fmt.Fprintln(out, d.String())
		}
		return err
	}
	progress, done := progressBar(c.ErrOrStderr(), "replay")
	k.Progress = func(n, total int64) {
		if progress != nil {
			progress(n, total)
		}
	}
	result, err := app.Recheck(c.Context(), &c.config, k, c.logger)
	done()
	if err == nil {
		err = c.show(result, func() string { return checkedText(result, sums) })
	}
	if err != nil {
		return err
	}
	if result.Differences > 0 {
		return statusError(exitFindings)
	}
	return nil
}

func checkedText(r *replay.Checked, sums differenceSums) string {
	more := ""
	if n := int64(r.Differences) - differencesShown; n > 0 {
		more = fmt.Sprintf("and %d more\n", n)
	}
	return more + sums.String() + r.String()
}
