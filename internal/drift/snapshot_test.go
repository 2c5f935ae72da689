package drift_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/pack"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

type fataler interface{ Fatalf(string, ...any) }

func written(t fataler, tracker *drift.Tracker) []byte {
	var b bytes.Buffer
	if err := tracker.Snapshot().Write(&b); err != nil {
		t.Fatalf("write: %v", err)
	}
	return b.Bytes()
}

func readTracker(data []byte, users *quest.Users) (*drift.Tracker, error) {
	tracker := drift.NewTracker(drift.Config{Namespace: "test", Graces: graces()}, users)
	in := bufio.NewReader(bytes.NewReader(data))
	err := tracker.Read(in)
	if err == nil && in.Buffered() > 0 {
		err = errors.New("something is left")
	}
	return tracker, err
}

// A tracker that was written and read goes on as the other one does, wherever that
// is done, and writes the same again. What was written is what was at that moment.
func TestTrackerWrittenAndRead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := genHappenings().Draw(t, "happenings")
		one := func() *drift.Tracker {
			return drift.NewTracker(drift.Config{Namespace: "test", Graces: graces()}, newUsers())
		}
		tracker, again, ids := one(), one(), map[string]bool{}
		for i, h := range all {
			if rapid.IntRange(0, 3).Draw(t, "written and read") == 0 {
				snapshot := again.Snapshot()
				data := written(t, again)
				var err error
				if again, err = readTracker(data, newUsers()); err != nil {
					t.Fatalf("read: %v", err)
				}
				if second := written(t, again); !bytes.Equal(second, data) {
					t.Fatalf("written again it is\n%q, not\n%q", second, data)
				}
				defer func() {
					var late bytes.Buffer
					if err := snapshot.Write(&late); err != nil || !bytes.Equal(late.Bytes(), data) {
						t.Fatalf("written later it is\n%q, not\n%q; error %v", late.Bytes(), data, err)
					}
				}()
			}
			var want, got []drift.Transition
			if h.quest == 0 {
				want, got = tracker.Mark(nil, h.mark), again.Mark(nil, h.mark)
			} else {
				want, got = tracker.Judge(nil, h.quest, h.row, h.violations(), h.where), again.Judge(nil, h.quest, h.row, h.violations(), h.where)
				if h.where.Origin == drift.FromBaseline {
					tracker.Baselined(h.where, i)
					again.Baselined(h.where, i)
				}
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				t.Fatalf("after happening %d (-never written +written):\n%s", i, diff)
			}
			for _, told := range want {
				ids[told.Finding.ID] = true
			}
			byID(t, again, ids)
			if diff := gocmp.Diff(tracker.Summary(), again.Summary()); diff != "" {
				t.Fatalf("summary after happening %d (-never written +written):\n%s", i, diff)
			}
		}
		if diff := gocmp.Diff(tracker.Open(), again.Open()); diff != "" || tracker.Now() != again.Now() {
			t.Fatalf("open (-never written +written):\n%s", diff)
		}
	})
}

// full is a tracker with all that there can be in it.
func full(t fataler) []byte {
	tracker := drift.NewTracker(drift.Config{Namespace: "test", Graces: graces()}, newUsers())
	where := drift.Where{Epoch: 3, Origin: drift.FromStream, Transaction: change.Transaction{ID: 4, CommitLSN: 5, EndLSN: 6, Time: 7, Message: 1, Messages: 2}}
	tracker.Mark(nil, 1000)
	tracker.Judge(nil, -5, &quest.Quest{ID: -5, Exists: true, Title: "Ünder"}, []rule.Violation{
		{Rule: rule.OpenWithParticipants, Cause: rule.Released, Severity: rule.Info, Participants: []int64{7, -8, 9}},
		{Rule: rule.Unassigned, Cause: rule.AssignmentLost, Severity: rule.Warning, Participants: []int64{7}, Suggested: 2},
		{Rule: rule.MissingParticipant, Cause: rule.ApprovalFailed, Severity: rule.Critical, User: 1, Application: 12, Suggested: 1},
	}, where)
	where.Origin = drift.FromBaseline
	tracker.Judge(nil, 1<<40, &quest.Quest{ID: 1 << 40, Exists: true}, []rule.Violation{
		{Rule: rule.OrphanParticipant, Cause: rule.Unknown, Severity: rule.Critical, User: 3},
		{Rule: rule.DanglingReference, Cause: rule.QuestMissing, Severity: rule.Warning, Applications: []int64{3, 4}},
	}, where)
	tracker.Baselined(where, 2)
	return written(t, tracker)
}

// Cut short it is damaged; with any byte changed it is damaged, or it says
// something else, and nothing panics.
func TestDamagedFindings(t *testing.T) {
	data := full(t)
	if _, err := readTracker(data, newUsers()); err != nil {
		t.Fatal(err)
	}
	for n := range data {
		if _, err := readTracker(data[:n], newUsers()); !errors.Is(err, pack.ErrDamaged) {
			t.Errorf("cut short after %d bytes: error %v", n, err)
		}
		for bit := range 8 {
			spoilt := slices.Clone(data)
			spoilt[n] ^= 1 << bit
			tracker, err := readTracker(spoilt, newUsers())
			if err == nil && bytes.Equal(written(t, tracker), data) {
				t.Errorf("byte %d, bit %d: nobody noticed", n, bit)
			}
		}
	}
	if _, err := readTracker(data, quest.NewUsers()); !errors.Is(err, pack.ErrDamaged) {
		t.Errorf("with people that nobody knows: error %v", err)
	}
}

// FuzzRead: whatever is read is refused, or is a tracker that can be written.
func FuzzRead(f *testing.F) {
	f.Add(full(f))
	f.Add(written(f, drift.NewTracker(drift.Config{}, newUsers())))
	f.Fuzz(func(t *testing.T, data []byte) {
		tracker, err := readTracker(data, newUsers())
		if err != nil {
			return
		}
		once := written(t, tracker)
		again, err := readTracker(once, newUsers())
		if err != nil || !bytes.Equal(written(t, again), once) {
			t.Errorf("%q was read as one that is not written as it is read: %v", data, err)
		}
		tracker.Mark(nil, 1<<60)
	})
}

// What a tracker knows is in its snapshot. Whoever adds a field adds it there, or
// here, with the reason why it need not be.
func TestSnapshotKnowsAllFields(t *testing.T) {
	for _, c := range []struct {
		of    any
		known string
	}{
		{drift.Tracker{}, "config users now quests waiting byID summary known"}, // config, users: given; byID: of quests; known: scratch
		{drift.Finding{}, "ID Quest Title User Violation Suggested Where Since Due"},
		{rule.Violation{}, "Rule Cause Severity User Application Applications Participants Suggested"},
		{drift.Where{}, "Epoch Transaction Origin"},
		{change.Transaction{}, "ID CommitLSN EndLSN Time Message Messages"},
		{drift.Summary{}, "Where At Quests ByRule BySeverity"}, // the two counts are made when it is due
	} {
		var names []string
		for i := range reflect.TypeOf(c.of).NumField() {
			names = append(names, reflect.TypeOf(c.of).Field(i).Name)
		}
		if got := strings.Join(names, " "); got != c.known {
			t.Errorf("%T has the fields %q, the snapshot knows %q", c.of, got, c.known)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			tracker := drift.NewTracker(drift.Config{Namespace: "test"}, newUsers())
			for i := range int64(n) {
				tracker.Judge(nil, i, &quest.Quest{ID: i, Exists: true, Title: "A title"}, []rule.Violation{
					{Rule: rule.MissingParticipant, Cause: rule.ApprovalFailed, Severity: rule.Critical, User: 1, Application: 12, Suggested: 1},
				}, drift.Where{Origin: drift.FromStream})
			}
			tracker.Mark(nil, 1<<40)
			b.ReportAllocs()
			var p *drift.Snapshot
			for b.Loop() {
				p = tracker.Snapshot()
			}
			b.StopTimer()
			var out bytes.Buffer
			if err := p.Write(&out); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(out.Len())/float64(n), "B/finding")
		})
	}
}
