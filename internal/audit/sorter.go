package audit

import (
	"bufio"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
)

// key orders what a sorter holds.
type key [4]int64

func (k key) compare(other key) int { return slices.Compare(k[:], other[:]) }

type entry struct {
	key     key
	seq     int64 // keeps equal keys in the order of their arrival
	payload []byte
}

func compareEntries(a, b entry) int {
	if c := a.key.compare(b.key); c != 0 {
		return c
	}
	return int(a.seq - b.seq)
}

// sorter gives back in order what it was given, with bounded memory: beyond a
// limit, sorted runs go to a temporary file without a name, which is gone with
// the process whatever ends it.
type sorter struct {
	limit   int
	entries []entry
	bytes   int
	count   int64
	file    *os.File
	written int64
	runs    []run
}

// run is a sorted stretch of the file.
type run struct{ at, size int64 }

const (
	defaultSpill  = 4 << 20
	entryOverhead = 80
)

func newSorter(limit int) *sorter {
	if limit <= 0 {
		limit = defaultSpill
	}
	return &sorter{limit: limit}
}

// add takes a payload, which must not change any more.
func (s *sorter) add(k key, payload []byte) error {
	s.entries = append(s.entries, entry{key: k, seq: s.count, payload: payload})
	s.count++
	s.bytes += len(payload) + entryOverhead
	if s.bytes < s.limit {
		return nil
	}
	return s.spill()
}

func (s *sorter) spill() error {
	if s.file == nil {
		f, err := os.CreateTemp("", "questwatch-audit-")
		if err != nil {
			return fmt.Errorf("make temporary file: %w", err)
		}
		s.file = f
		if err := os.Remove(f.Name()); err != nil {
			return fmt.Errorf("unlink temporary file: %w", err)
		}
	}
	slices.SortFunc(s.entries, compareEntries)
	w := bufio.NewWriterSize(io.NewOffsetWriter(s.file, s.written), 64<<10)
	var size int64
	var head []byte
	for i := range s.entries {
		e := &s.entries[i]
		head = head[:0]
		for _, part := range e.key {
			head = binary.AppendVarint(head, part)
		}
		head = binary.AppendVarint(head, e.seq)
		head = binary.AppendUvarint(head, uint64(len(e.payload)))
		// A bufio.Writer keeps its first error for Flush.
		n, _ := w.Write(head)
		m, _ := w.Write(e.payload)
		size += int64(n + m)
		e.payload = nil
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write temporary file: %w", err)
	}
	s.runs = append(s.runs, run{at: s.written, size: size})
	s.written += size
	s.entries, s.bytes = s.entries[:0], 0
	return nil
}

// each calls fn for all payloads in order. It may be called again. A payload is
// valid during the call.
func (s *sorter) each(fn func(payload []byte) error) error {
	slices.SortFunc(s.entries, compareEntries)
	m := merge{}
	if len(s.entries) > 0 {
		m = append(m, &memoryRun{rest: s.entries})
	}
	for _, r := range s.runs {
		m = append(m, &fileRun{r: bufio.NewReaderSize(io.NewSectionReader(s.file, r.at, r.size), 16<<10)})
	}
	for i := 0; i < len(m); {
		ok, err := m[i].advance()
		if err != nil {
			return err
		}
		if !ok {
			m = slices.Delete(m, i, i+1)
			continue
		}
		i++
	}
	heap.Init(&m)
	for len(m) > 0 {
		if err := fn(m[0].head().payload); err != nil {
			return err
		}
		ok, err := m[0].advance()
		if err != nil {
			return err
		}
		if ok {
			heap.Fix(&m, 0)
		} else {
			heap.Pop(&m)
		}
	}
	return nil
}

func (s *sorter) close() error {
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}

// source is a sorted run that is read entry by entry.
type source interface {
	advance() (bool, error)
	head() *entry
}

type memoryRun struct {
	rest    []entry
	started bool
}

func (r *memoryRun) head() *entry { return &r.rest[0] }

func (r *memoryRun) advance() (bool, error) {
	if r.started {
		r.rest = r.rest[1:]
	}
	r.started = true
	return len(r.rest) > 0, nil
}

type fileRun struct {
	r       *bufio.Reader
	current entry
}

func (r *fileRun) head() *entry { return &r.current }

func (r *fileRun) advance() (bool, error) {
	for i := range r.current.key {
		n, err := binary.ReadVarint(r.r)
		if i == 0 && errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read temporary file: %w", err)
		}
		r.current.key[i] = n
	}
	seq, err := binary.ReadVarint(r.r)
	if err != nil {
		return false, fmt.Errorf("read temporary file: %w", err)
	}
	size, err := binary.ReadUvarint(r.r)
	if err != nil {
		return false, fmt.Errorf("read temporary file: %w", err)
	}
	r.current.seq = seq
	r.current.payload = slices.Grow(r.current.payload[:0], int(size))[:size]
	if _, err := io.ReadFull(r.r, r.current.payload); err != nil {
		return false, fmt.Errorf("read temporary file: %w", err)
	}
	return true, nil
}

// merge is a heap of runs, the one with the smallest head on top.
type merge []source

func (m merge) Len() int           { return len(m) }
func (m merge) Less(i, j int) bool { return compareEntries(*m[i].head(), *m[j].head()) < 0 }
func (m merge) Swap(i, j int)      { m[i], m[j] = m[j], m[i] }
func (m *merge) Push(x any)        { *m = append(*m, x.(source)) }
func (m *merge) Pop() any {
	last := (*m)[len(*m)-1]
	*m = (*m)[:len(*m)-1]
	return last
}

// joinParts makes one payload of two; splitParts takes it apart.
func joinParts(first, second []byte) []byte {
	out := binary.AppendUvarint(make([]byte, 0, len(first)+len(second)+5), uint64(len(first)))
	return append(append(out, first...), second...)
}

func splitParts(payload []byte) (first, second []byte, err error) {
	size, n := binary.Uvarint(payload)
	if n <= 0 || size > uint64(len(payload)-n) {
		return nil, nil, errors.New("payload is cut off")
	}
	return payload[n : n+int(size)], payload[n+int(size):], nil
}
