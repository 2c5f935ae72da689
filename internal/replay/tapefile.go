package replay

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// A file of messages is JSON, a line each: a head that says what they are, the messages, and
// an end. Each line begins with a checksum of all up to its own end, so that a line that is
// damaged, missing or in another's place is found, and which.

// FileVersion is that of the form.
const FileVersion = 1

// FileError is a line of a file that is not as it was written.
type FileError struct {
	Path string
	Line int
	Why  string
}

func (e *FileError) Error() string { return fmt.Sprintf("%s, line %d: %s", e.Path, e.Line, e.Why) }

// fileHead is the first line.
type fileHead struct {
	Version int           `json:"questwatch_replay"`
	Kind    Kind          `json:"stream_kind"`
	Stream  string        `json:"stream"`
	Created change.Millis `json:"stream_created_ms"`
	Select  Selection     `json:"select"`
	First   change.Seq    `json:"first"`
	Last    change.Seq    `json:"last"`
	From    change.Millis `json:"from_ms,omitempty"`
	To      change.Millis `json:"to_ms,omitempty"`
	// FromLSN and ToLSN are there where a part of another file was asked for by them.
	FromLSN change.LSN `json:"from_lsn,omitempty"`
	ToLSN   change.LSN `json:"to_lsn,omitempty"`
}

// fileMessage is a line of a message.
type fileMessage struct {
	Sequence change.Seq      `json:"sequence"`
	Subject  string          `json:"subject"`
	ID       string          `json:"id,omitempty"`
	Data     json.RawMessage `json:"data"`
}

// fileEnd is the last line.
type fileEnd struct {
	End      bool   `json:"end"`
	Messages uint64 `json:"messages"`
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	sumOpens  = `{"crc":"`
	sumCloses = `",`
	sumLength = len(sumOpens) + 8 + len(sumCloses)
	// lineMost bounds a line: a message is 8 MiB at most unless a server says otherwise.
	lineMost = 128 << 20
)

// appendSummed appends a line, an object of JSON, with the sum that follows on another.
func appendSummed(dst []byte, sum uint32, object []byte) ([]byte, uint32) {
	rest := object[1:]
	sum = crc32.Update(sum, castagnoli, rest)
	dst = append(dst, sumOpens...)
	for shift := 28; shift >= 0; shift -= 4 {
		dst = append(dst, "0123456789abcdef"[sum>>shift&15])
	}
	dst = append(append(dst, sumCloses...), rest...)
	return append(dst, '\n'), sum
}

// fileLines reads lines and checks them.
type fileLines struct {
	path string
	in   *bufio.Reader
	line int
	sum  uint32
	at   int64 // bytes of the lines that were good
	buf  []byte
}

// errCut says that the file ends before its end.
var errCut = errors.New("it was not finished, or cut off")

// next is the next line's object without its sum; io.EOF at the end of the file.
func (l *fileLines) next() ([]byte, error) {
	l.line++
	l.buf = l.buf[:0]
	for {
		part, err := l.in.ReadSlice('\n')
		l.buf = append(l.buf, part...)
		switch {
		case len(l.buf) > lineMost:
			return nil, l.wrong("it is longer than any message")
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, io.EOF) && len(l.buf) > 0:
			return nil, fmt.Errorf("%w: %w", l.wrong("the file ends in the middle of it"), errCut)
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case err != nil:
			return nil, fmt.Errorf("read %s: %w", l.path, err)
		}
		break
	}
	text := l.buf[:len(l.buf)-1]
	if len(text) < sumLength || string(text[:len(sumOpens)]) != sumOpens || string(text[sumLength-len(sumCloses):sumLength]) != sumCloses {
		return nil, l.wrong("it is no line of a replay's file")
	}
	sum := crc32.Update(l.sum, castagnoli, text[sumLength:])
	if string(text[len(sumOpens):sumLength-len(sumCloses)]) != fmt.Sprintf("%08x", sum) {
		return nil, l.wrong("its checksum is not right: it, or one before it, is damaged or missing")
	}
	l.sum = sum
	l.at += int64(len(l.buf))
	text[sumLength-1] = '{'
	return text[sumLength-1:], nil
}

func (l *fileLines) wrong(why string) error { return &FileError{l.path, l.line, why} }

func (l *fileLines) decode(object []byte, into any) error {
	if err := json.Unmarshal(object, into); err != nil {
		return l.wrong("it cannot be read: " + err.Error())
	}
	return nil
}

// head reads the first line.
func (l *fileLines) head() (h fileHead, err error) {
	object, err := l.next()
	if errors.Is(err, io.EOF) {
		return h, fmt.Errorf("%w: %w", l.wrong("the file is empty"), errCut)
	}
	if err == nil {
		err = l.decode(object, &h)
	}
	if err == nil && h.Version != FileVersion {
		err = l.wrong(fmt.Sprintf("the file is of form %d, this program reads %d", h.Version, FileVersion))
	}
	return h, err
}

var endOpens = []byte(`{"end":`)

// message reads a message, or nil at the file's last line.
func (l *fileLines) message(m *fileMessage) (more bool, err error) {
	object, err := l.next()
	if errors.Is(err, io.EOF) {
		return false, fmt.Errorf("%w: %w", l.wrong("the file ends without its last line"), errCut)
	}
	if err != nil {
		return false, err
	}
	if bytes.HasPrefix(object, endOpens) {
		var end fileEnd
		if err := l.decode(object, &end); err != nil {
			return false, err
		}
		if said := uint64(l.line - 2); end.Messages != said {
			return false, l.wrong(fmt.Sprintf("it says %d messages, there are %d", end.Messages, said))
		}
		if _, err := l.in.Peek(1); err == nil {
			l.line++
			return false, l.wrong("something follows the file's end")
		}
		return false, nil
	}
	*m = fileMessage{}
	return true, l.decode(object, m)
}

// TapeFile is a file of messages as a tape.
type TapeFile struct {
	file  *os.File
	lines *fileLines
	head  fileHead
}

// OpenTapeFile opens a file of messages to be played once.
func OpenTapeFile(path string) (*TapeFile, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t := &TapeFile{file: file, lines: &fileLines{path: path, in: bufio.NewReaderSize(file, 1<<16)}}
	if t.head, err = t.lines.head(); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return t, nil
}

// Kind is which stream the messages are of.
func (t *TapeFile) Kind() Kind { return t.head.Kind }

// Close closes the file.
func (t *TapeFile) Close() error { return t.file.Close() }

// Extent is the range that the file was made of.
func (t *TapeFile) Extent(context.Context) (Extent, error) {
	return Extent{Stream: t.head.Stream, Created: t.head.Created, First: t.head.First, Last: t.head.Last}, nil
}

// Knows is true: what a file has is not known before it is read.
func (t *TapeFile) Knows(context.Context, int64) (bool, error) { return true, nil }

// Read gives all messages up to the last one asked for, and so checks the whole file where
// no earlier one is.
func (t *TapeFile) Read(_ context.Context, s *Stretch, fn func(*Message) error) error {
	var m fileMessage
	for last := change.Seq(0); ; last = m.Sequence {
		more, err := t.lines.message(&m)
		if err != nil {
			return t.damaged(err, last)
		}
		if !more || m.Sequence > s.Last {
			return nil
		}
		if err := fn(&Message{m.Sequence, m.Subject, m.ID, m.Data}); err != nil {
			return err
		}
		if m.Sequence == s.Last && s.Last < t.head.Last { // what follows may be damaged
			return nil
		}
	}
}

// damaged says what can be done about a file of which the messages up to one are right.
func (t *TapeFile) damaged(err error, last change.Seq) error {
	advice := "write it anew, or read a copy that is whole"
	if errors.Is(err, errCut) {
		advice = "if writing it was interrupted, replay --to-file " + t.lines.path + " --continue finishes it"
	}
	if last != 0 {
		advice += fmt.Sprintf("; --to %d reads what is there before", last)
	}
	return hint.Wrap(Damaged(err), "%s", advice)
}

var _ Tape = (*TapeFile)(nil)
