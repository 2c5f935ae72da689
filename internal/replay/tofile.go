package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// FileSink writes messages to a file that TapeFile reads. It never writes over one that is
// there; a file that was not finished can be gone on with.
type FileSink struct {
	path  string
	file  *os.File
	out   *bufio.Writer
	sum   uint32
	count uint64
	line  []byte
	data  bytes.Buffer
	// taken is the last message that is in the file or on its way.
	taken change.Seq
	// head is that of the file that is gone on with, or nil.
	head *fileHead
}

// NewFile names a file that must not be there yet. Begin makes it.
func NewFile(path string) (*FileSink, error) {
	if _, err := os.Lstat(path); err == nil {
		return nil, there(path)
	}
	return &FileSink{path: path}, nil
}

func there(path string) error {
	return hint.Wrap(fmt.Errorf("%s: %w", path, os.ErrExist), "give another name; or go on with one that was not finished: --continue")
}

func (f *FileSink) create() error {
	file, err := os.OpenFile(f.path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return there(f.path)
	}
	if err != nil {
		return err
	}
	f.file, f.out = file, bufio.NewWriterSize(file, 1<<16)
	return f.lock()
}

// lock keeps others from going on with the file meanwhile. It ends with the process.
func (f *FileSink) lock() error {
	err := syscall.Flock(int(f.file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return fmt.Errorf("%s: another process is writing it", f.path)
	}
	return nil // where files cannot be locked nobody else is noticed
}

// ErrFinished says that nothing is missing of a file.
var ErrFinished = errors.New("the file is finished")

// ContinueFile goes on with a file that was not finished. What is to be played is what it
// was made of, from where it ends; nil where nothing is missing but the end. A last line
// that was cut off is given up.
func ContinueFile(path string) (*FileSink, *Playing, error) {
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, nil, err
	}
	f := &FileSink{path: path, file: file, out: bufio.NewWriterSize(file, 1<<16)}
	var what *Playing
	if err = f.lock(); err == nil {
		what, err = f.recover()
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return f, what, nil
}

// recover reads the file to where it was broken off.
func (f *FileSink) recover() (*Playing, error) {
	lines := &fileLines{path: f.path, in: bufio.NewReaderSize(f.file, 1<<16)}
	head, err := lines.head()
	if errors.Is(err, errCut) {
		return nil, hint.Wrap(err, "nothing had been written to it: remove it, and begin anew")
	}
	if err != nil {
		return nil, err
	}
	good, err := f.skip(lines)
	switch {
	case err == nil:
		return nil, fmt.Errorf("%w: %s", ErrFinished, f.path)
	case !errors.Is(err, errCut):
		return nil, err
	}
	if err := f.file.Truncate(good); err != nil {
		return nil, err
	}
	if _, err := f.file.Seek(good, io.SeekStart); err != nil {
		return nil, err
	}
	f.head = &head
	return f.rest(), nil
}

// skip reads the messages that are there, and says how many bytes are good. Without an error
// nothing is missing.
func (f *FileSink) skip(lines *fileLines) (good int64, err error) {
	var m fileMessage
	for more := true; more; {
		good, f.sum = lines.at, lines.sum
		if more, err = lines.message(&m); err != nil {
			break
		}
		if more {
			f.taken = m.Sequence
			f.count++
		}
	}
	return good, err
}

// rest is what is missing of what the file was made of, nil where it is the end alone.
func (f *FileSink) rest() *Playing {
	head := f.head
	if f.taken >= head.Last {
		return nil
	}
	from := Point{Seq: max(head.First, f.taken+1), Time: head.From, LSN: head.FromLSN}
	if f.taken == 0 && head.First == 0 {
		from.Seq = 0
	}
	if from.Given() {
		from.text = fmt.Sprint(from.Seq)
	}
	to := Point{Seq: head.Last, Time: head.To, LSN: head.ToLSN, text: fmt.Sprint(head.Last)}
	return &Playing{Kind: head.Kind, From: from, To: to, Of: &Extent{Stream: head.Stream, Created: head.Created}, Select: head.Select}
}

// Begin writes what the messages are.
func (f *FileSink) Begin(o *Origin) error {
	if f.head != nil {
		return nil
	}
	if err := f.create(); err != nil {
		return err
	}
	head, err := json.Marshal(fileHead{FileVersion, o.Kind, o.Stream, o.Created, o.Select, o.First, o.Last, o.From, o.To, o.FromLSN, o.ToLSN})
	if err != nil {
		return fmt.Errorf("encode the file's head: %w", err)
	}
	if err := f.write(head); err != nil {
		return err
	}
	// A file that has it can be gone on with, whatever happens.
	if err := f.out.Flush(); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	return nil
}

// Take writes a message.
func (f *FileSink) Take(_ context.Context, i *Item) error {
	f.data.Reset()
	if err := appendLine(&f.data, i); err != nil {
		return err
	}
	if err := f.write(f.data.Bytes()); err != nil {
		return err
	}
	f.taken = i.Seq
	f.count++
	return nil
}

// appendLine writes a message as an object of JSON.
func appendLine(out *bytes.Buffer, i *Item) error {
	text := strconv.AppendUint(append(out.AvailableBuffer(), `{"sequence":`...), uint64(i.Seq), 10)
	text = change.AppendString(append(text, `,"subject":`...), i.Subject)
	if i.ID != "" {
		text = change.AppendString(append(text, `,"id":`...), i.ID)
	}
	out.Write(append(text, `,"data":`...))
	if i.Step != nil && !bytes.ContainsAny(i.Data, "\r\n") { // which is JSON for certain
		out.Write(i.Data)
	} else if err := json.Compact(out, i.Data); err != nil { // it has no line's end then
		return fmt.Errorf("message %d: %w", i.Seq, err)
	}
	return out.WriteByte('}')
}

func (f *FileSink) write(object []byte) error {
	var sum uint32
	f.line, sum = appendSummed(f.line[:0], f.sum, object)
	if _, err := f.out.Write(f.line); err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	f.sum = sum
	return nil
}

// End writes the last line where all was played, and has the file on the disk.
func (f *FileSink) End(_ context.Context, whole bool) (change.Seq, error) {
	var err error
	if whole {
		var end []byte
		if end, err = json.Marshal(fileEnd{true, f.count}); err == nil {
			err = f.write(end)
		}
	}
	err = errors.Join(err, f.out.Flush(), f.file.Sync())
	if err != nil {
		return 0, fmt.Errorf("write %s: %w", f.path, err)
	}
	return f.taken, nil
}

// Close closes the file.
func (f *FileSink) Close() error {
	if f.file == nil {
		return nil
	}
	return f.file.Close()
}
