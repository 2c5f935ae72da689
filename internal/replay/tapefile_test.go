package replay

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// written plays to a file.
func written(t *testing.T, tape Tape, past Past, from, to Point, path string) []byte {
	t.Helper()
	sink, err := NewFile(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = NewPlayer(tape, past, change.PeerQuest()).Play(t.Context(), &Playing{Kind: KindCDC, From: from, To: to, Progress: func(int64, int64) {}}, sink)
	if err := errors.Join(err, sink.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// goneOn ends a file that was cut off.
func goneOn(t *testing.T, tape Tape, past Past, path string) error {
	t.Helper()
	sink, what, err := ContinueFile(path)
	if err != nil {
		return err
	}
	defer func() { _ = sink.Close() }()
	if what == nil {
		_, err := sink.End(t.Context(), true)
		return err
	}
	what.Progress = func(int64, int64) {}
	_, err = NewPlayer(tape, past, change.PeerQuest()).Play(t.Context(), what, sink)
	return err
}

// readBack is what a file has.
func readBack(t *testing.T, path string) ([]int, error) {
	t.Helper()
	tape, err := OpenTapeFile(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = tape.Close() }()
	sink := &noting{}
	_, err = NewPlayer(tape, nil, change.PeerQuest()).Play(t.Context(), &Playing{Kind: KindCDC, Progress: func(int64, int64) {}}, sink)
	return sink.seqs, err
}

func filled(n int) *memory {
	m := &memory{first: 1}
	for i := range n {
		m.step(change.Millis(1_782_864_000_000 + i*1000))
	}
	return m
}

// Wherever a file was cut off, going on with it gives the same file; whatever byte of it is
// another, is too much or is missing is found.
func TestFileDamagedAtEveryByte(t *testing.T) {
	m, dir := filled(5), t.TempDir()
	whole := written(t, m, m, Point{}, timed(1_782_864_000_000+3_500), filepath.Join(dir, "whole"))
	head := bytes.IndexByte(whole, '\n') + 1
	path := filepath.Join(dir, "other")
	put := func(data []byte) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for n := range len(whole) {
		put(whole[:n])
		if _, err := readBack(t, path); err == nil {
			t.Fatalf("cut off at %d it is read as whole", n)
		}
		if n > head+250 && !bytes.Contains(whole[n-3:min(n+3, len(whole))], []byte("\n")) {
			continue // as in the first line
		}
		err := goneOn(t, m, m, path)
		if n < head {
			if err == nil || hint.Of(err) == "" {
				t.Fatalf("without a head, %d bytes: %v", n, err)
			}
			continue
		}
		if got, _ := os.ReadFile(path); err != nil || !bytes.Equal(got, whole) {
			t.Fatalf("gone on at %d: %v\n%s", n, err, got)
		}
	}
	for n := range len(whole) {
		for _, flip := range []byte{1, 0x20, 0x80} {
			other := bytes.Clone(whole)
			other[n] ^= flip
			put(other)
			if _, err := readBack(t, path); err == nil {
				t.Fatalf("byte %d of line %q is another and nobody notices", n, other[max(0, n-20):min(n+20, len(other))])
			}
		}
	}
	for name, other := range map[string][]byte{
		"twice": append(bytes.Clone(whole), whole...), "one more": append(bytes.Clone(whole), '\n'),
		"zeroes": append(bytes.Clone(whole), make([]byte, 512)...),
	} {
		put(other)
		if seqs, err := readBack(t, path); err == nil {
			t.Errorf("%s: %v", name, seqs)
		}
	}
}

// Two do not write one file, nor is it gone on with from another stream.
func TestFileGoneOnWithByOne(t *testing.T) {
	m, path := filled(9), filepath.Join(t.TempDir(), "file")
	whole := written(t, m, m, Point{}, Point{}, path)
	if err := os.WriteFile(path, whole[:len(whole)/2], 0o600); err != nil {
		t.Fatal(err)
	}
	first, _, err := ContinueFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := goneOn(t, m, m, path); err == nil {
		t.Error("two go on with it")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	other := filled(2)
	other.created = 7
	if err := goneOn(t, other, other, path); err == nil || !strings.Contains(err.Error(), "another stream") {
		t.Errorf("from another stream: %v", err)
	}
	if err := goneOn(t, m, m, path); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(path); !bytes.Equal(got, whole) {
		t.Errorf("it became %s", got)
	}
}

// A part of a file by positions of the log is gone on with as that part.
func TestFileOfAPartOfAFile(t *testing.T) {
	m, dir := filled(9), t.TempDir()
	first := filepath.Join(dir, "first")
	written(t, m, m, Point{}, Point{}, first)
	open := func() *TapeFile {
		tape, err := OpenTapeFile(first)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = tape.Close() })
		return tape
	}
	part := filepath.Join(dir, "part")
	whole := written(t, open(), nil, Point{LSN: 300}, Point{LSN: 600}, part)
	lines := bytes.SplitAfter(whole, []byte("\n"))
	for n := range 4 {
		if err := os.WriteFile(part, bytes.Join(lines[:1+n], nil), 0o600); err != nil {
			t.Fatal(err)
		}
		err := goneOn(t, open(), nil, part)
		if seqs, err2 := readBack(t, part); err != nil || err2 != nil || !slices.Equal(seqs, []int{3, 4, 5, 6}) {
			t.Errorf("gone on after %d: %v, %v, %v", n, seqs, err, err2)
		}
	}
	for _, p := range []Playing{
		{From: Point{Baseline: true, text: "baseline"}}, {From: Point{Seq: 10, text: "10"}}, {To: Point{Seq: 10, text: "10"}},
	} {
		p.Kind = KindCDC
		var refused *PointError
		if _, err := NewPlayer(open(), nil, change.PeerQuest()).Play(t.Context(), &p, &noting{}); !errors.As(err, &refused) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	sink := &noting{failAt: 2}
	p, err := NewPlayer(open(), nil, change.PeerQuest()).Play(t.Context(), &Playing{Kind: KindCDC, From: Point{LSN: 300}, To: Point{LSN: 600}, Progress: func(int64, int64) {}}, sink)
	if err == nil || p.Again != "5" || p.To != "0/258" {
		t.Errorf("go on from %s to %s, %v", p.Again, p.To, err)
	}
}

// Positions of a file in which the log begins anew mean nothing.
func TestFileOfSeveralLogs(t *testing.T) {
	m := &memory{first: 1}
	for i, lsn := range []change.LSN{100, 200, 300, 150, 250} {
		m.placed(uint64(1+i/3), lsn)
	}
	path := filepath.Join(t.TempDir(), "f")
	written(t, m, m, Point{}, Point{}, path)
	for _, p := range []Playing{{From: Point{LSN: 150, text: "it"}}, {To: Point{LSN: 250, text: "it"}}} {
		tape, err := OpenTapeFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = tape.Close() }()
		p.Kind, p.Progress = KindCDC, func(int64, int64) {}
		var refused *PointError
		if _, err := NewPlayer(tape, nil, change.PeerQuest()).Play(t.Context(), &p, &noting{}); !errors.As(err, &refused) || refused.text != "it" {
			t.Errorf("%+v: %v", p, err)
		}
	}
}

// A file says which message is the last that it has, also when it was gone on with after
// the stream had grown.
func TestFileOfAGrowingStream(t *testing.T) {
	m := filled(5)
	path := filepath.Join(t.TempDir(), "f")
	whole := written(t, m, m, Point{}, timed(1_782_864_100_000), path)
	if err := os.WriteFile(path, bytes.Join(bytes.SplitAfter(whole, []byte("\n"))[:3], nil), 0o600); err != nil {
		t.Fatal(err)
	}
	m.step(1_782_864_006_000)
	err := goneOn(t, m, m, path)
	if got, _ := os.ReadFile(path); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("%v\n%s", err, got)
	}
}
