package config

import (
	"errors"
	"fmt"
	"time"
)

// checkpointsWithin is how many checkpoints are stored at least in the time for which the
// stream is kept: one must stand behind a message that is still there, whatever happens to
// the newest.
const checkpointsWithin = 24

// mostCheckpoints can be kept: each has the state of all quests.
const mostCheckpoints = 1000

// CheckpointEvery is how often the checker's state is stored in fact; 0 for never.
func (c *Config) CheckpointEvery() time.Duration {
	return min(c.Watch.CheckpointEvery, c.Stream.KeepFor/checkpointsWithin)
}

// checkRetention refuses what cannot be kept, and what would be gone before it is judged.
func (c *Config) checkRetention() error {
	for _, kept := range []struct {
		key   string
		value time.Duration
	}{
		{"stream.keep_for", c.Stream.KeepFor},
		{"stream.keep_events_for", c.Stream.KeepEvents},
	} {
		if kept.value <= 0 {
			return &Error{Where: kept.key, Err: errors.New("must be above 0")}
		}
	}
	rules, err := c.Rules.List()
	if err != nil {
		return err
	}
	for _, r := range rules {
		if r.Enabled && r.Grace >= c.Stream.KeepFor {
			return &Error{Where: "stream.keep_for", Err: fmt.Errorf(
				"is %s, and the grace of %s is %s: what began it would be gone before it is judged; keep more, or wait less", c.Stream.KeepFor, r.Rule, r.Grace)}
		}
	}
	return nil
}

// Retention says what of the settings of how long things are kept does not fit together,
// and what follows from it.
func (c *Config) Retention() (warnings []string) {
	if c.Stream.KeepEvents < c.Stream.KeepFor {
		warnings = append(warnings, fmt.Sprintf("stream.keep_events_for (%s) is less than stream.keep_for (%s): changes are kept of which nobody knows what was found in them, "+
			"and replay --check reports those events as new", c.Stream.KeepEvents, c.Stream.KeepFor))
	}
	if !c.Watch.Enabled {
		return warnings
	}
	switch every := c.CheckpointEvery(); {
	case c.Watch.CheckpointEvery == 0:
		warnings = append(warnings, fmt.Sprintf("watch.checkpoint_every is 0: when the stream has discarded its beginning, after %s or %d bytes, a start needs a new baseline, "+
			"and the past before it cannot be judged or audited", c.Stream.KeepFor, c.Stream.KeepBytes))
	case c.Watch.KeepCheckpoints == 0:
		warnings = append(warnings, fmt.Sprintf("watch.keep_checkpoints is 0: when the stream has discarded its beginning, after %s or %d bytes, "+
			"only the last minutes can be judged or audited", c.Stream.KeepFor, c.Stream.KeepBytes))
	case every < c.Watch.CheckpointEvery:
		warnings = append(warnings, fmt.Sprintf("watch.checkpoint_every (%s) is long for stream.keep_for (%s): the state is stored every %s, so that what follows it is still there",
			c.Watch.CheckpointEvery, c.Stream.KeepFor, every))
	}
	return warnings
}
