package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/peerquest/questwatch/internal/app"
	"github.com/peerquest/questwatch/internal/replay"
)

func replayCommand() *cobra.Command {
	var s settings
	var from, to string
	var check bool
	cmd := &cobra.Command{
		Use:   "replay --check",
		Short: "Judge a past range of the stream anew and compare with what was found live",
		Long: `Replay --check reads a past range of the stream of changes, judges it by the rules of
--config, and prints what is found otherwise than it was found live: by the rules that
the instance ran with, nothing; by others, what they would have found. It writes nothing
and needs no database.

The range is the whole stream, or begins with --from and ends with --to: a commit's time
(2026-11-27T22:00:00Z, or -2h), a position of the database's log (0/1DAE9F8), a message's
sequence (4711), or --from baseline. Reading begins at the beginning of the stream, or
behind the newest checkpoint before the range that was made by the same rules. Where the
stream has discarded its beginning and there is no such checkpoint, it begins with the
first baseline that is left: findings that began before it are not compared, and a cause
that lies before it is not known ("exact" is false).

An instance is found through its data directory (--data) or NATS server (--nats,
--nats-context). The data directory of one that does not run is opened, which must be by
its user, and messages older than its limits are then discarded as at any start.

Exit status: 0 no difference, 1 differences, 2 wrong usage or configuration or a range
that is not in the stream, 3 a failure.`,
		Example: `  questwatch replay --check --data /var/lib/questwatch
  questwatch replay --check --config tuned.yaml --from -168h
  questwatch replay --check --output json | tail -n 1 | jq .differences`,
	}
	asJSON := outputFlag(cmd, "a line for each difference and a last line with the sums")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		wantJSON, err := asJSON()
		if err != nil {
			return err
		}
		if !check {
			return usageError{error: errors.New("give --check: replay can judge the past anew, and nothing else yet")}
		}
		k, err := rangeOf(from, to)
		if err != nil {
			return usageError{error: err}
		}
		return s.recheck(cmd, k, wantJSON)
	}
	s.base(cmd)
	s.server(cmd)
	cmd.Flags().BoolVar(&check, "check", false, "compare what is found with what was found live")
	cmd.Flags().StringVar(&from, "from", "", "begin at this `POINT`: a time, -2h, a position of the log, a sequence, or baseline")
	cmd.Flags().StringVar(&to, "to", "", "end at this `POINT`; the end of the stream by default")
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

func (s *settings) recheck(cmd *cobra.Command, k replay.Checking, asJSON bool) error {
	logger, err := s.load(cmd)
	if err != nil {
		return err
	}
	out := cmd.OutOrStdout()
	shown := 0
	k.Differs = func(d replay.Difference) (err error) {
		if shown++; asJSON {
			return json.NewEncoder(out).Encode(d)
		}
		if shown <= differencesShown {
			_, err = fmt.Fprintln(out, d.String())
		}
		return err
	}
	progress, done := progressBar(cmd.ErrOrStderr(), "replay")
	k.Progress = func(n, total int64) {
		if progress != nil {
			progress(n, total)
		}
	}
	result, err := app.Recheck(cmd.Context(), &s.config, k, logger)
	done()
	var point *replay.PointError
	switch {
	case errors.As(err, &point):
		return usageError{error: err}
	case err != nil:
		return err
	}
	if err := printChecked(out, result, asJSON); err != nil {
		return fmt.Errorf("print the result: %w", err)
	}
	if result.Differences > 0 {
		return statusError(exitFindings)
	}
	return nil
}

func printChecked(out io.Writer, r *replay.Checked, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(r)
	}
	if more := int64(r.Differences) - differencesShown; more > 0 {
		fmt.Fprintf(out, "and %d more\n", more)
	}
	_, err := fmt.Fprint(out, r.String())
	return err
}
