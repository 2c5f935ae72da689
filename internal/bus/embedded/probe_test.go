package embedded_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/peerquest/questwatch/internal/bus/embedded"
)

func TestHealthyAfterKillInWriteProbe(t *testing.T) {
	dir := t.TempDir()
	if err := start(t, embedded.Config{Dir: dir}).Stop(); err != nil {
		t.Fatal(err)
	}
	probe := filepath.Join(dir, "jetstream", "_test_3109640133")
	if err := os.WriteFile(probe, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := start(t, embedded.Config{Dir: dir}).Healthy(); err != nil {
		t.Error(err)
	}
}
