package replay_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/replay"
)

// tellAndJudge is the past of a story with one finding, which is resolved.
func tellAndJudge(t *testing.T) *past {
	t.Helper()
	s, _, _ := readStory(t, "testdata/approval_failed.txt")
	return judged(s)
}

func TestFindByIDOrItsBeginning(t *testing.T) {
	p := tellAndJudge(t)
	id := p.last("missing_participant")
	for _, given := range []string{id, id[:6], id[:19], id + ".opened", id + ".resolved", strings.ToUpper(id), " " + id[:8] + "\n"} {
		e, err := p.reader(5).Finding(t.Context(), given)
		if err != nil || e.Finding.Finding != id || e.State != replay.Resolved {
			t.Errorf("%q: %+v, %v", given, e, err)
		}
	}
}

func TestFindRefusesWhatIsNoID(t *testing.T) {
	p := tellAndJudge(t)
	for _, given := range []string{"", "abcde", "0123456789abcdef01234", "missing", "abcdef*", "abcdef.>", "../abcdef", "a0610b8460.closed"} {
		var wrong *replay.IDError
		if _, err := p.reader(5).Finding(t.Context(), given); !errors.As(err, &wrong) {
			t.Errorf("%q: %v", given, err)
		}
	}
	for _, given := range []string{"ffffff", "ffffffffffffffffffff"} {
		if _, err := p.reader(5).Finding(t.Context(), given); !errors.Is(err, replay.ErrUnknown) {
			t.Errorf("%q: %v", given, err)
		}
	}
}

func TestFindNamesWhatAnIDMayMean(t *testing.T) {
	p := tellAndJudge(t)
	one := p.events[0]
	for i := range 15 {
		other := one
		other.Seq = change.Seq(len(p.events) + 1)
		other.ID = fmt.Sprintf("%s%012x.opened", "abcdef00", i)
		other.Subject = fmt.Sprint("test.events.drift.opened.unassigned.", i)
		p.events = append(p.events, other)
	}
	p.open["abcdefffffffffffffff"] = nil
	_, err := p.reader(5).Finding(t.Context(), "abcdef")
	var many *replay.AmbiguousError
	if !errors.As(err, &many) || len(many.Candidates) != 10 || many.More != 6 || many.Error() != `16 findings begin with "abcdef"` {
		t.Fatalf("error %v", err)
	}
	if want := (replay.Candidate{ID: "abcdef00000000000003", Rule: "unassigned", Quest: "3"}); many.Candidates[3] != want {
		t.Errorf("candidate %+v, want %+v", many.Candidates[3], want)
	}
	if advice := hint.Of(err); !strings.Contains(advice, "abcdef00000000000003  unassigned, quest 3\n") || !strings.Contains(advice, "and 6 more") {
		t.Errorf("advice %q", advice)
	}
}

// A finding may be older than the events are kept.
func TestFindWhatOnlyTheBucketKnows(t *testing.T) {
	s, _, _ := readStory(t, "testdata/departed.txt")
	p := judged(s)
	id := p.last("missing_participant")
	p.events = nil
	for _, given := range []string{id, id[:7]} {
		e, err := p.reader(5).Finding(t.Context(), given)
		if err != nil {
			t.Fatal(err)
		}
		if e.State != replay.Open || len(e.Transactions) != 3 || !e.Transactions[2].Began || e.History.BeganGone {
			t.Errorf("evidence %+v", e)
		}
	}
}

// The newest events are searched first, in windows that grow.
func TestSearchGoesThroughAllEvents(t *testing.T) {
	p := tellAndJudge(t)
	id := p.last("missing_participant")
	filler := p.events[0]
	for i := range 130_000 {
		filler.Seq, filler.ID = change.Seq(len(p.events)+1), fmt.Sprintf("%020x.opened", i)
		p.events = append(p.events, filler)
	}
	if e, err := p.reader(5).Finding(t.Context(), id); err != nil || e.Finding.Finding != id {
		t.Errorf("oldest: %v", err)
	}
	if _, err := p.reader(5).Finding(t.Context(), strings.Repeat("f", 20)); !errors.Is(err, replay.ErrUnknown) {
		t.Errorf("none: %v", err)
	}
}

func TestUnreadableDataIsAnError(t *testing.T) {
	p := tellAndJudge(t)
	id := p.last("missing_participant")
	for _, data := range []string{"", "{}", `{"quest_id":42`, strings.Replace(string(p.story.records[2].Data), `"id":7`, `"id":"x"`, 1)} {
		was := p.story.records[2].Data
		p.story.records[2].Data = []byte(data)
		if _, err := p.reader(5).Finding(t.Context(), id); !errors.Is(err, change.ErrMalformed) {
			t.Errorf("%q: %v", data, err)
		}
		p.story.records[2].Data = was
	}
	for i := range p.events {
		p.events[i].Data = []byte(`{"data":{"rule":"nonsense"}}`)
	}
	if _, err := p.reader(5).Finding(t.Context(), id); err == nil {
		t.Error("no error for an event that says nothing")
	}
}

// The same streams give the same answer, byte by byte.
func TestAnswerIsDeterministic(t *testing.T) {
	for _, file := range []string{"gap", "large_whole_quest", "json"} {
		first := ""
		for range 5 {
			s, _, _ := readStory(t, "testdata/"+file+".txt")
			got := shown(t, s)
			if first == "" {
				first = got
			}
			if got != first {
				t.Fatalf("%s: another answer:\n%s\nbefore:\n%s", file, got, first)
			}
		}
	}
}

// Events of a stream that was there before say nothing of this one.
func TestIncidentsOfAnotherStream(t *testing.T) {
	s, _, _ := readStory(t, "testdata/incidents.txt")
	p := judged(s)
	e, err := p.reader(5).Finding(t.Context(), p.last("missing_participant"))
	if err != nil || len(e.Incidents) != 1 {
		t.Fatalf("%d incidents, %v", len(e.Incidents), err)
	}
	for i := range p.events {
		if strings.Contains(p.events[i].Subject, ".truncated.") {
			p.events[i].At = storedAt.Add(-time.Hour)
		}
	}
	s.created = storedAt.Add(-time.Minute)
	e, err = p.reader(5).Finding(t.Context(), p.last("missing_participant"))
	if err != nil || len(e.Incidents) != 0 || len(e.Transactions) == 0 {
		t.Errorf("%d incidents, %d transactions, %v", len(e.Incidents), len(e.Transactions), err)
	}
}

// A quest with very many steps needs no more memory than is asked for.
func TestManySteps(t *testing.T) {
	var b strings.Builder
	b.WriteString("person ann 8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c\nbaseline 00:00:00\n  quest 42\n  application 7 applicant=ann\n")
	b.WriteString("tx 00:00:01\n  application 7 status=approved\nmark 00:00:10\n")
	const n = 2000
	for i := range n {
		fmt.Fprintf(&b, "tx 00:01:00\n  quest 42 assigned=%s\n", []string{"ann", "null"}[i%2])
	}
	b.WriteString("tx 00:02:00\n  participant 3 user=ann\nmark 00:02:10\nshow missing_participant limit=7")
	s := storyOf(t, b.String())
	p := judged(s)
	e, err := p.reader(7).Finding(t.Context(), p.last("missing_participant"))
	if err != nil {
		t.Fatal(err)
	}
	if len(e.Transactions) != 7 || e.LeftOut != n+3-7 || !e.Transactions[0].Began || !e.Transactions[6].Ended {
		t.Errorf("%d transactions, %d left out", len(e.Transactions), e.LeftOut)
	}
}
