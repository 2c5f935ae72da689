package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/peerquest/questwatch/internal/hint"
)

// PostgresBinEnv names the folder of initdb and postgres when it is not one of the usual ones.
const PostgresBinEnv = "TESTKIT_PG_BIN"

// ErrNoPostgres means that the server's programs are not installed.
var ErrNoPostgres = errors.New("initdb and postgres not found")

// FindPostgres returns the folder that holds initdb and postgres: the one PostgresBinEnv names, else the newest
// of Debian's, else the one on PATH.
func FindPostgres() (string, error) {
	if dir := os.Getenv(PostgresBinEnv); dir != "" {
		return checkPostgresBin(dir)
	}
	best, bestVersion := "", -1
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is well formed, and there is no other error
	for _, dir := range dirs {
		version, err := strconv.Atoi(filepath.Base(filepath.Dir(dir)))
		if err != nil || version <= bestVersion {
			continue
		}
		if _, err := checkPostgresBin(dir); err == nil {
			best, bestVersion = dir, version
		}
	}
	if best != "" {
		return best, nil
	}
	// pg_ctl and friends are links on some systems; the real folder holds the others too.
	if path, err := exec.LookPath("initdb"); err == nil {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			path = real
		}
		return checkPostgresBin(filepath.Dir(path))
	}
	return "", missingPostgres("")
}

func checkPostgresBin(dir string) (string, error) {
	for _, name := range []string{"initdb", "postgres"} {
		if _, err := exec.LookPath(filepath.Join(dir, name)); err != nil {
			return "", missingPostgres(dir)
		}
	}
	return dir, nil
}

func missingPostgres(dir string) error {
	err := fmt.Errorf("find Postgres: %w", ErrNoPostgres)
	if dir != "" {
		err = fmt.Errorf("find Postgres in %s: %w", dir, ErrNoPostgres)
	}
	return hint.Wrap(err, "install it with `apt-get install postgresql`, or run ./scripts/demo, which does; "+
		"if it is installed, name the folder of its programs in %s", PostgresBinEnv)
}
