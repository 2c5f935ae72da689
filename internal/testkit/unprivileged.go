package testkit

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/peerquest/questwatch/internal/hint"
)

// serverUser is the account that runs Postgres, which refuses to run as root: nil means as ourselves.
func serverUser() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	var firstErr error
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			if firstErr == nil {
				firstErr = err
			}
			continue
		}
		uid, err := strconv.ParseUint(u.Uid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read user id of %s: %w", name, err)
		}
		gid, err := strconv.ParseUint(u.Gid, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read group id of %s: %w", name, err)
		}
		return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
	}
	return nil, fmt.Errorf("find an unprivileged user to run Postgres: %w", firstErr)
}

// handOver gives dir to the server's user and opens the way to it. Only folders below the system's temporary
// folder are opened (tests' own are 0700); anywhere else that is for the folder's owner to decide.
func handOver(dir string, cred *syscall.Credential) error {
	if cred == nil {
		return nil
	}
	if err := os.Chown(dir, int(cred.Uid), int(cred.Gid)); err != nil {
		return fmt.Errorf("hand over %s: %w", dir, err)
	}
	tmp := filepath.Clean(os.TempDir())
	for parent := filepath.Dir(dir); parent != "/" && parent != "."; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return fmt.Errorf("look at %s: %w", parent, err)
		}
		if info.Mode().Perm()&0o001 != 0 {
			continue
		}
		if !strings.HasPrefix(parent, tmp+string(filepath.Separator)) {
			err := fmt.Errorf("reach %s: %s is closed to the user that runs Postgres", dir, parent)
			return hint.Wrap(err, "choose a folder that other users can reach, or none for a temporary one")
		}
		if err := os.Chmod(parent, info.Mode().Perm()|0o011); err != nil {
			return fmt.Errorf("open %s: %w", parent, err)
		}
	}
	return nil
}
