package watch_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

type fataler interface{ Fatalf(string, ...any) }

// writeCheckpoint is a checker's checkpoint, or false where it stands in the middle
// of something.
func writeCheckpoint(t fataler, c *watch.Checker) ([]byte, bool) {
	p, ok := c.Snapshot()
	if !ok {
		return nil, false
	}
	var b bytes.Buffer
	if err := p.Write(&b, watch.Header{Namespace: "test", Quests: p.Quests()}); err != nil {
		t.Fatalf("write: %v", err)
	}
	return b.Bytes(), true
}

func readCheckpoint(data []byte) (*watch.Checker, error) {
	p, err := watch.OpenCheckpoint(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	return p.Checker(testRules())
}

// betweens reports for each message whether the reader stands between two
// transactions behind it, and outside of any baseline.
func betweens(t fataler, records []change.Record) (all []bool) {
	var d change.Decoder
	baseline, inside := false, false
	for _, r := range records {
		if !change.IsControl(r.Data) {
			var s change.Step
			if err := d.Step(r.Data, &s); err != nil {
				t.Fatalf("%v", err)
			}
			inside = !s.Source.Snapshot && s.Transaction.Message != s.Transaction.Messages
		} else if c, err := d.Control(r.Data); err != nil {
			t.Fatalf("%v", err)
		} else if c.Kind == change.BaselineBegin || c.Kind == change.BaselineEnd {
			baseline = c.Kind == change.BaselineBegin
		} else if c.Kind == change.TxEnd {
			inside = false
		} else if c.Transaction != nil {
			inside = c.Transaction.Message != c.Transaction.Messages
		}
		all = append(all, !baseline && !inside)
	}
	return all
}

// TestCheckpointsChangeNothing cuts a stream wherever a checkpoint is to be had: what
// was written and read goes on as if it had never been, and what is written of it is
// what is written of the other. In the middle of a transaction or of a baseline there
// is none, anywhere else there is one.
func TestCheckpointsChangeNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := genStory(t)
		if diff := cmp.Diff(d.events, readCut(t, d.records, rapid.SampledFrom([]int{1, 5}).Draw(t, "cut every"))); diff != "" {
			t.Fatalf("events (-uncut +cut):\n%s", diff)
		}
	})
}

// TestCheckpointsOfWholeStreams does the same with streams that have everything in
// them.
func TestCheckpointsOfWholeStreams(t *testing.T) {
	checkStreams(t, func(t *rapid.T) {
		records := genRecords(t)
		if diff := cmp.Diff(readWhole(t, records), readCut(t, records, rapid.SampledFrom([]int{1, 40}).Draw(t, "cut every"))); diff != "" {
			t.Fatalf("events (-uncut +cut):\n%s", diff)
		}
	})
}

// readCut reads a stream with checkpoints behind every so many messages.
func readCut(t *rapid.T, records []change.Record, every int) (events []string) {
	uncut, cut := watch.NewChecker(testRules()), watch.NewChecker(testRules())
	allowed := betweens(t, records)
	for i, r := range records {
		found := took(t, cut, r)
		for j := range found {
			events = append(events, encode(t, &found[j]))
		}
		took(t, uncut, r)
		if _, ok := cut.Snapshot(); ok != allowed[i] {
			t.Fatalf("behind message %d, %s, a checkpoint is to be had: %v", r.Seq, r.Data, ok)
		}
		if !allowed[i] || every > 1 && rapid.IntRange(0, every-1).Draw(t, "cut") != 0 {
			continue
		}
		data, _ := writeCheckpoint(t, cut)
		if same, _ := writeCheckpoint(t, uncut); !bytes.Equal(data, same) {
			t.Fatalf("behind message %d it is\n%q, uncut\n%q", r.Seq, data, same)
		}
		var err error
		if cut, err = readCheckpoint(data); err != nil {
			t.Fatalf("behind message %d: %v", r.Seq, err)
		}
	}
	if cut.Passed() != uncut.Passed() {
		t.Fatalf("passed %v, uncut %v", cut.Passed(), uncut.Passed())
	}
	if cut.Writer() != uncut.Writer() || cut.Known() != uncut.Known() || cut.Now() != uncut.Now() {
		t.Fatalf("%+v %v %v, uncut %+v %v %v", cut.Writer(), cut.Known(), cut.Now(), uncut.Writer(), uncut.Known(), uncut.Now())
	}
	return events
}

// small is a checkpoint with something of everything.
func small(t fataler) []byte {
	s := faulty()
	s.commit(s.setPair(2, change.Application, "cid", "approved", true), s.assign(2, "eve", "open"))
	c := watch.NewChecker(testRules())
	for _, r := range s.records {
		if _, err := c.Take(r); err != nil {
			t.Fatalf("%v", err)
		}
	}
	data, ok := writeCheckpoint(t, c)
	if !ok {
		t.Fatalf("no checkpoint")
	}
	return data
}

func TestDamagedCheckpoint(t *testing.T) {
	data := small(t)
	if _, err := readCheckpoint(data); err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := readCheckpoint(data[:n]); !errors.Is(err, watch.ErrUnusable) {
			t.Errorf("cut short after %d of %d bytes: %v", n, len(data), err)
		}
		for _, spoil := range []byte{1, 0x80, 0xff} {
			spoilt := slices.Clone(data)
			spoilt[n] ^= spoil
			if _, err := readCheckpoint(spoilt); !errors.Is(err, watch.ErrUnusable) {
				t.Errorf("byte %d changed by %x: %v", n, spoil, err)
			}
		}
	}
	if _, err := readCheckpoint(append(slices.Clone(data), 0)); !errors.Is(err, watch.ErrUnusable) {
		t.Errorf("with something behind it: %v", err)
	}
	if _, err := readCheckpoint(append(slices.Clone(data), data...)); !errors.Is(err, watch.ErrUnusable) {
		t.Errorf("twice: %v", err)
	}
}

// Trouble in reading is no damage.
func TestUnreadableCheckpoint(t *testing.T) {
	data := small(t)
	for n := range data {
		p, err := watch.OpenCheckpoint(io.MultiReader(bytes.NewReader(data[:n]), iotest.ErrReader(errDown)))
		if err == nil {
			_, err = p.Checker(testRules())
		}
		if !errors.Is(err, errDown) || errors.Is(err, watch.ErrUnusable) {
			t.Fatalf("trouble behind %d bytes: %v", n, err)
		}
	}
}

func TestCheckpointsOfOtherVersions(t *testing.T) {
	data := small(t)
	version := data[len("QWCHECK\x00"):]
	for _, v := range []uint32{0, 2} {
		binary.BigEndian.PutUint32(version, v)
		if _, err := readCheckpoint(data); !errors.Is(err, watch.ErrUnusable) || !strings.Contains(err.Error(), fmt.Sprintf("of version %d", v)) {
			t.Errorf("version %d: %v", v, err)
		}
	}
}

func TestDepends(t *testing.T) {
	base := testRules()
	want, err := base.Depends()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		part   string
		change func(r *watch.Rules)
	}{
		"nothing":  {"", func(*watch.Rules) {}},
		"column":   {"tables", func(r *watch.Rules) { r.Schema.Quest.Status = "state" }},
		"word":     {"statuses", func(r *watch.Rules) { r.Statuses.Quest = map[string]quest.Status{"offen": quest.Open} }},
		"name":     {"rules", func(r *watch.Rules) { r.Drift.Namespace = "other" }},
		"grace":    {"rules", func(r *watch.Rules) { r.Drift.Graces = map[rule.Rule]time.Duration{rule.Unassigned: 7} }},
		"deleted":  {"rules", func(r *watch.Rules) { r.Drift.Deleted = true }},
		"judged":   {"rules", func(r *watch.Rules) { r.Policy.Deleted = true }},
		"off":      {"rules", func(r *watch.Rules) { r.Policy.Off(rule.Unassigned) }},
		"way":      {"rules", func(r *watch.Rules) { r.Ways.Resume = rule.AnyWay }},
		"severity": {"rules", func(r *watch.Rules) { _ = r.Policy.SetSeverity(rule.Unassigned, rule.Released, rule.Critical) }},
	} {
		r := testRules()
		c.change(&r)
		got, err := r.Depends()
		if err != nil {
			t.Fatal(err)
		}
		for part := range want {
			if (got[part] != want[part]) != (part == c.part) {
				t.Errorf("%s: %q is %q, was %q", name, part, got[part], want[part])
			}
		}
	}
	checkFields(t, watch.Rules{}, "Schema Statuses Drift Policy Ways Repair") // Repair shapes no state
	checkFields(t, rule.Policy{}, "Deleted off severities")
}

// What a checker knows is in its checkpoint. Whoever adds a field adds it there, and
// raises the version, or here because it need not be.
func TestCheckpointKnowsAllFields(t *testing.T) {
	checkFields(t, watch.Checker{}, "rules state tracker decoder step seen writer known blind reading baselines inside passed recent "+
		"large refused changes violations turns transitions found")
	// Reading, inside and large: not then. Rules: given. Baselines, recent and refused: since the start. The rest is
	// scratch.
	checkFields(t, watch.Writer{}, "Epoch Instance")
}

func checkFields(t *testing.T, of any, want string) {
	t.Helper()
	var names []string
	for i := range reflect.TypeOf(of).NumField() {
		names = append(names, reflect.TypeOf(of).Field(i).Name)
	}
	if got := strings.Join(names, " "); got != want {
		t.Errorf("%T has the fields %q, its checkpoint knows %q", of, got, want)
	}
}

// FuzzCheckpoint reads anything.
func FuzzCheckpoint(f *testing.F) {
	f.Add(small(f))
	f.Add([]byte("QWCHECK\x00\x00\x00\x00\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, data []byte) { fuzz(t, data) })
}

// FuzzCheckpointInside reads anything in frames whose checksums are right.
func FuzzCheckpointInside(f *testing.F) {
	data := small(f)
	inside, err := io.ReadAll(watch.NewFrameReader(bytes.NewReader(data[12:])))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(inside)
	f.Fuzz(func(t *testing.T, inside []byte) {
		out := bytes.NewBuffer([]byte("QWCHECK\x00\x00\x00\x00\x01"))
		w := watch.NewFrameWriter(out)
		if _, err := w.Write(inside); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		fuzz(t, out.Bytes())
	})
}

// fuzz reads a checkpoint that may be anything: it is refused, or it is a checker
// that can be written and read again, and takes no more memory than it should.
func fuzz(t *testing.T, data []byte) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := readCheckpoint(data)
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20+100*uint64(len(data)) {
		t.Errorf("took %d bytes for %d", n, len(data))
	}
	if err != nil {
		if !errors.Is(err, watch.ErrUnusable) {
			t.Errorf("error %v", err)
		}
		return
	}
	once, ok := writeCheckpoint(t, c)
	if !ok {
		t.Fatal("cannot be written")
	}
	again, err := readCheckpoint(once)
	if err != nil {
		t.Fatal(err)
	}
	if twice, _ := writeCheckpoint(t, again); !bytes.Equal(once, twice) {
		t.Errorf("written\n%q and again\n%q", once, twice)
	}
}
