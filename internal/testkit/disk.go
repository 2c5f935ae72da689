package testkit

import (
	"os"
	"path/filepath"
)

// SmallDisk is a folder on a disk of its own with so many bytes, to be filled. Only root may mount one: ok is false
// where we may not.
func SmallDisk(tb TB, size string) (dir string, ok bool) {
	tb.Helper()
	dir, err := os.MkdirTemp("", "questwatch-disk-")
	if err != nil {
		tb.Fatalf("make folder for a disk: %v", err)
	}
	if err := mountMemory(dir, size); err != nil {
		tb.Logf("no disk of our own: %v", err)
		if err := os.Remove(dir); err != nil {
			tb.Fatalf("remove folder: %v", err)
		}
		return "", false
	}
	tb.Cleanup(func() {
		if err := unmount(dir); err != nil {
			tb.Logf("unmount %s: %v", dir, err)
		}
		if err := os.Remove(dir); err != nil {
			tb.Logf("remove %s: %v", dir, err)
		}
	})
	return dir, true
}

// FillDisk writes a file into dir until its disk is full; the function it returns makes room again.
func FillDisk(tb TB, dir string) (free func()) {
	tb.Helper()
	path := filepath.Join(dir, "filler")
	f, err := os.Create(path)
	if err != nil {
		tb.Fatalf("fill disk: %v", err)
	}
	defer f.Close()
	for piece := 1 << 20; piece >= 1<<12; {
		if _, err := f.Write(make([]byte, piece)); err != nil {
			piece /= 2
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			tb.Fatalf("free disk: %v", err)
		}
	}
}
