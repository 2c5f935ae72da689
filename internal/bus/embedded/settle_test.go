package embedded

import (
	"os"
	"path/filepath"
	"testing"
)

// What is there is synced, nothing is no fault, and links lead nowhere.
func TestSettle(t *testing.T) {
	dir := t.TempDir()
	if err := settle(filepath.Join(dir, "none")); err != nil {
		t.Error(err)
	}
	deep := filepath.Join(dir, "a", "b")
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(deep, "1.blk"), []byte("x"), 0o400); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(dir, "nowhere"), filepath.Join(deep, "link")); err != nil {
		t.Fatal(err)
	}
	if err := settle(dir); err != nil {
		t.Error(err)
	}
	if err := settle(filepath.Join(deep, "1.blk", "x")); err == nil {
		t.Error("what cannot be read is passed over")
	}
}
