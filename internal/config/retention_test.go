package config

import (
	"strings"
	"testing"
	"time"
)

func TestRetentionFitsTogether(t *testing.T) {
	defaults := Default()
	if err := defaults.Finish(); err != nil || len(defaults.Retention()) > 0 {
		t.Errorf("the defaults: %v, %q", err, defaults.Retention())
	}
	for want, set := range map[string]func(*Config){
		"stream.keep_events_for (1h0m0s) is less": func(c *Config) { c.Stream.KeepEvents = time.Hour },
		"watch.keep_checkpoints is 0":             func(c *Config) { c.Watch.KeepCheckpoints = 0 },
		"watch.checkpoint_every is 0":             func(c *Config) { c.Watch.CheckpointEvery = 0 },
		"the state is stored every 2m30s":         func(c *Config) { c.Stream.KeepFor = time.Hour },
	} {
		c := Default()
		set(&c)
		if err := c.Finish(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if got := c.Retention(); len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("%q, want %s", got, want)
		}
		c.Watch.Enabled = false
		if got := c.Retention(); strings.HasPrefix(want, "stream.") != (len(got) == 1) {
			t.Errorf("without a checker: %q", got)
		}
	}
	for key, spoil := range map[string]func(*Config){
		"stream.keep_for: must be":          func(c *Config) { c.Stream.KeepFor = 0 },
		"stream.keep_events_for":            func(c *Config) { c.Stream.KeepEvents = -time.Hour },
		"the grace of unassigned is 2h0m0s": func(c *Config) { c.Stream.KeepFor, c.Rules.Unassigned.Grace = time.Hour, 2*time.Hour },
	} {
		c := Default()
		spoil(&c)
		if err := c.Finish(); err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
