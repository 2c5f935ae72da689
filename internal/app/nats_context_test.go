package app

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

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
