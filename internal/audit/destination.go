package audit

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"github.com/peerquest/questwatch/internal/hint"
)

// Destination is a file that a report goes to. A regular file is replaced whole
// or not at all, a link's target in place of the link; a device or a pipe is
// written to as it is.
type Destination struct {
	asked string // as the operator named it, for errors
	path  string // behind all links
	// direct is what is not a regular file. It is held open, as a pipe's reader
	// leaves when its writer does.
	direct *os.File
	// stream is our own standard output (1) or error (2). To open one again would
	// write over what it has already got.
	stream int
}

const elsewhere = "name a file in a directory that exists and that you may write to, or leave out --report"

// OpenDestination finds out whether a report can be written there, so that
// nothing is repaired that could not be reported. Opening a pipe waits for its
// reader.
func OpenDestination(path string) (*Destination, error) {
	d := &Destination{asked: path}
	if err := d.open(); err != nil {
		return nil, hint.Setup(d.trouble(err), elsewhere)
	}
	return d, nil
}

var (
	descriptor   = regexp.MustCompile(`^(/dev|/proc/self)/fd/\d+$`)
	errDirectory = errors.New("it is a directory")
)

func (d *Destination) open() (err error) {
	if d.path, err = follow(d.asked); err != nil {
		return err
	}
	switch filepath.Base(d.path) {
	case "1", "2":
		if descriptor.MatchString(d.path) {
			d.stream = int(filepath.Base(d.path)[0] - '0')
			return nil
		}
	}
	info, err := os.Stat(d.path)
	switch {
	case err == nil && info.IsDir():
		return errDirectory
	case err == nil && (!info.Mode().IsRegular() || descriptor.MatchString(d.path)):
		d.direct, err = os.OpenFile(d.path, os.O_WRONLY|os.O_APPEND, 0)
		return err
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	tmp, err := d.temporary()
	if err != nil {
		return err
	}
	return errors.Join(tmp.Close(), os.Remove(tmp.Name()))
}

// follow is a path behind its links, which need not lead to anything. It stops at
// a descriptor: what that is open on has no name of its own, or had one.
func follow(path string) (string, error) {
	const enough = 40 // as Linux has it
	for range enough {
		if descriptor.MatchString(path) {
			return path, nil
		}
		to, err := os.Readlink(path)
		if err != nil {
			return path, nil // no link: a file, or nothing yet
		}
		if !filepath.IsAbs(to) {
			dir, err := filepath.EvalSymlinks(filepath.Dir(path))
			if err != nil {
				return "", err
			}
			to = filepath.Join(dir, to)
		}
		path = to
	}
	return "", errors.New("too many links")
}

// trouble is an error with the name that was asked for. The one it has may be a
// temporary file's, which nobody knows.
func (d *Destination) trouble(err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		err = path.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return fmt.Errorf("write report %s: %w", d.asked, err)
}

// write hands out a writer, and puts what was written in place.
func (d *Destination) write(to *Output, report func(io.Writer) error) (err error) {
	switch {
	case d.stream == 1:
		return report(to.Stdout)
	case d.stream == 2:
		return report(to.Stderr)
	case d.direct != nil:
		err = report(d.direct)
	default:
		err = d.replace(report)
	}
	if err != nil {
		return hint.Wrap(d.trouble(err), "run the audit again with another --report")
	}
	return nil
}

func (d *Destination) replace(report func(io.Writer) error) (err error) {
	tmp, err := d.temporary()
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			// The first error is the one to report; the file is only in the way.
			_ = tmp.Close()
			_ = os.Remove(tmp.Name())
		}
	}()
	if err = report(tmp); err != nil {
		return err
	}
	if err = tmp.Chmod(0o644); err != nil {
		return err
	}
	if err = tmp.Sync(); err != nil {
		return err
	}
	if err = tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), d.path)
}

func (d *Destination) temporary() (*os.File, error) {
	return os.CreateTemp(filepath.Dir(d.path), "."+filepath.Base(d.path)+"-*")
}

// Close gives up what OpenDestination holds. It may be called again, and a nil
// Destination has nothing.
func (d *Destination) Close() error {
	if d == nil || d.direct == nil {
		return nil
	}
	file := d.direct
	d.direct = nil
	if err := file.Close(); err != nil {
		return d.trouble(err)
	}
	return nil
}
