package embedded

import (
	"fmt"
	"os"
	"path/filepath"
)

// removeProbes removes the files with which the server tries at its start whether
// it may write. A kill in that moment leaves one behind, and the server would for
// ever take it for the folder of an account that it cannot find, and call itself
// unhealthy.
func removeProbes(dir string) error {
	paths, _ := filepath.Glob(filepath.Join(dir, "jetstream", "_test_*")) // the only error is that of a bad pattern
	for _, path := range paths {
		info, err := os.Lstat(path)
		if err == nil && info.Mode().IsRegular() {
			err = os.Remove(path)
		}
		if err != nil {
			return fmt.Errorf("remove what a killed server left behind: %w", err)
		}
	}
	return nil
}
