package replay_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

var update = flag.Bool("update", false, "write the golden files anew")

// storedAt is when events of a story are stored.
var storedAt = time.Date(2026, 6, 1, 13, 0, 0, 0, time.UTC)

// past holds what a story's stream has come to: the streams in memory, the events
// as the real checker makes them.
type past struct {
	story  *story
	events []replay.Stored
	open   map[string][]byte
}

// judged lets the checker read a story.
func judged(s *story) *past {
	p := &past{story: s, open: map[string][]byte{}}
	checker := watch.NewChecker(watch.Rules{
		Schema: change.PeerQuest(), Statuses: quest.PeerQuest(), Drift: drift.Config{Namespace: "test", Graces: s.graces},
	})
	for _, r := range s.records {
		found, err := checker.Take(r)
		s.check(err)
		for i := range found {
			p.store(&found[i])
		}
	}
	return p
}

func (p *past) store(f *watch.Found) {
	data, err := f.Event.Encode("test")
	p.story.check(err)
	p.events = append(p.events, replay.Stored{
		Ref:  replay.Ref{Seq: change.Seq(len(p.events) + 1), Subject: f.Event.Subject("test"), ID: f.Event.ID},
		Data: data, At: storedAt,
	})
	if f.Transition == nil {
		return
	}
	id := f.Transition.Finding.ID
	delete(p.open, id)
	if f.Transition.What == drift.Opened {
		p.open[id], err = json.Marshal(event.FindingOf(&f.Transition.Finding))
		p.story.check(err)
	}
}

// last is the id of the last finding of a rule.
func (p *past) last(rule string) string {
	for _, e := range slices.Backward(p.events) {
		if id, opened := strings.CutSuffix(e.ID, ".opened"); opened && strings.Contains(e.Subject, ".opened."+rule+".") {
			return id
		}
	}
	p.story.t.Fatalf("no finding of %s among %d events", rule, len(p.events))
	return ""
}

func (p *past) reader(limit int) *replay.Reader {
	return replay.New(replay.Config{Schema: change.PeerQuest(), Limit: limit}, stream{p}, events{p}, findings{p}, names{p}, slog.New(slog.DiscardHandler))
}

type (
	stream   struct{ *past }
	events   struct{ *past }
	findings struct{ *past }
	names    struct{ *past }
)

func (s stream) Bounds(context.Context) (replay.Bounds, error) {
	b := replay.Bounds{First: s.story.first, Last: change.Seq(len(s.story.records)), Created: s.story.created}
	b.Oldest = s.story.records[b.First-1]
	return b, nil
}

func (s stream) Steps(_ context.Context, quest int64, from, to change.Seq, fn func(change.Record) error) error {
	for _, r := range s.story.records[from-1 : to] {
		if r.Subject == strconv.FormatInt(quest, 10) {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s stream) Control(_ context.Context, from change.Seq) (change.Record, error) {
	for _, r := range s.story.records[from-1:] {
		if change.IsControl(r.Data) {
			return r, nil
		}
	}
	return change.Record{}, replay.ErrNone
}

func (e events) Bounds(context.Context) (first, last change.Seq, err error) {
	return 1, change.Seq(len(e.events)), nil
}

func (e events) Refs(_ context.Context, filters []string, from, to change.Seq, fn func(replay.Ref) error) error {
	for _, stored := range e.events {
		fits := slices.ContainsFunc(filters, func(f string) bool {
			return strings.HasPrefix(stored.Subject+".", "test.events."+strings.TrimSuffix(f, ">"))
		})
		if fits && stored.Seq >= from && stored.Seq <= to {
			if err := fn(stored.Ref); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e events) Event(_ context.Context, seq change.Seq) (replay.Stored, error) {
	return e.events[seq-1], nil
}

func (f findings) Get(_ context.Context, id string) ([]byte, error) {
	if data, ok := f.open[id]; ok {
		return data, nil
	}
	return nil, replay.ErrNone
}

func (f findings) Keys(context.Context) ([]string, error) { return sortedKeys(f.open), nil }

func (n names) Usernames(_ context.Context, ids []string) (map[string]string, error) {
	found := map[string]string{}
	for _, id := range ids {
		if name := n.story.names[id]; name != "" {
			found[id] = name
		}
	}
	return found, nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

func clone(m map[string]string) map[string]string { return maps.Clone(m) }

// TestGolden compares what is shown with the files in testdata. A new case is a new
// file; -update writes what is shown into all of them.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil {
		t.Fatal(err)
	}
	missing := map[string]bool{}
	for _, o := range rule.Outcomes {
		missing[fmt.Sprintf(": %s (%s), ", o.Rule, o.Cause)] = true
	}
	for _, path := range files {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			s, input, want := readStory(t, path)
			got := shown(t, s)
			if *update {
				if err := os.WriteFile(path, []byte(input+"\n---\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				want = got
			}
			if got != want {
				t.Errorf("shown:\n%s\nwant:\n%s", got, want)
			}
			for outcome := range missing {
				if strings.Contains(got, outcome) {
					delete(missing, outcome)
				}
			}
		})
	}
	for outcome := range missing {
		t.Errorf("no case shows%s", outcome)
	}
}

// shown is what the story's show line asks for.
func shown(t *testing.T, s *story) string {
	t.Helper()
	p := judged(s)
	limit, asJSON := replay.DefaultLimit, false
	for _, option := range s.show[1:] {
		if n, ok := strings.CutPrefix(option, "limit="); ok {
			var err error
			limit, err = strconv.Atoi(n)
			s.check(err)
		} else if asJSON = option == "json"; !asJSON {
			t.Fatalf("what is %q?", option)
		}
	}
	e, err := p.reader(limit).Finding(t.Context(), p.last(s.show[0]))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if asJSON {
		err = e.WriteJSON(&out)
	} else {
		err = e.WriteText(&out)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !asJSON {
		return out.String()
	}
	if n := bytes.Count(out.Bytes(), []byte("\n")); n != 1 {
		t.Errorf("%d lines of JSON", n)
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out.Bytes(), "", "  "); err != nil {
		t.Fatal(err)
	}
	return pretty.String()
}
