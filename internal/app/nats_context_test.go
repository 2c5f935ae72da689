package app

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/stream"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestMarkless(t *testing.T) {
	began := time.Date(2026, 11, 28, 3, 0, 0, 0, time.UTC)
	for want, s := range map[string]*stream.Status{
		"no progress mark yet, 20s after it began to stream": {Since: began},
		"no progress mark for 12s":                           {Since: began, MarkedAt: began.Add(8 * time.Second)},
	} {
		if got := markless(s, began.Add(20*time.Second)); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestContextOfTheNATSCommand(t *testing.T) {
	home := t.TempDir()
	t.Setenv("XDG_CONFIG_HOME", home)
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dir := filepath.Join(home, "nats", "context")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "here.json"), []byte(`{"url":"`+server.URL()+`"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	dsn := testkit.Database(t)
	c := settings(t, dsn)
	c.NATS.Context = "here"
	r := start(t, c, dsn)
	r.ready(t)
	if r.nats != nil {
		t.Error("the embedded server was started")
	}
	if _, _, err := credentials(&config.NATS{Context: "nowhere"}); !hint.IsSetup(err) {
		t.Errorf("an unknown context: %v", err)
	}
}
