package embedded

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/nats-io/nats.go"

	"github.com/peerquest/questwatch/internal/hint"
)

const (
	ownerFile  = "nats-owner.json"
	ownerUser  = "questwatch"
	readerUser = "anonymous"
	// ownerInbox keeps replies to the owner where readers cannot subscribe.
	ownerInbox = "_OWNER"
)

type credentials struct {
	User     string `json:"user"`
	Password string `json:"password"`
	URL      string `json:"url,omitempty"`
}

// Owner reads from a data directory how its server's owner connects. It does
// not check whether a server is running.
func Owner(dir string) (user, password, url string, err error) {
	c, err := readCredentials(dir)
	if errors.Is(err, fs.ErrNotExist) {
		err = hint.Failed(fmt.Sprintf("read owner credentials in %q", dir), err, "no server has run with this data directory as this user: start one, or name another directory")
	}
	return c.User, c.Password, c.URL, err
}

// OwnerOptions is Owner in the form that nats.Connect takes.
func OwnerOptions(dir string) (url string, opts []nats.Option, err error) {
	user, password, url, err := Owner(dir)
	if err != nil {
		return "", nil, err
	}
	return url, ownerOptions(user, password), nil
}

func ownerOptions(user, password string) []nats.Option {
	return []nats.Option{nats.UserInfo(user, password), nats.CustomInboxPrefix(ownerInbox)}
}

func readCredentials(dir string) (credentials, error) {
	var c credentials
	data, err := os.ReadFile(filepath.Join(dir, ownerFile))
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("decode %s: %w", ownerFile, err)
	}
	if c.User == "" || c.Password == "" {
		return c, fmt.Errorf("decode %s: user or password is empty", ownerFile)
	}
	return c, nil
}

// ensureCredentials returns the directory's credentials, making them the
// first time.
func ensureCredentials(dir string) (credentials, error) {
	c, err := readCredentials(dir)
	if err == nil {
		return c, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return c, hint.Failed("read owner credentials", err, "remove "+filepath.Join(dir, ownerFile)+" to have new ones made")
	}
	c = credentials{User: ownerUser, Password: rand.Text()}
	return c, writeCredentials(dir, c)
}

// writeCredentials replaces the file in one step, so that a reader or a crash
// never sees half of it.
func writeCredentials(dir string, c credentials) error {
	data, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("encode owner credentials: %w", err)
	}
	f, err := os.CreateTemp(dir, ownerFile+".*") // mode 0600
	if err != nil {
		return fmt.Errorf("write owner credentials: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(data, '\n'))
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, ownerFile))
	}
	if err != nil {
		return fmt.Errorf("write owner credentials: %w", err)
	}
	return nil
}
