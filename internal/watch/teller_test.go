package watch_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// lines are a run's log lines, without their times.
func lines(logs *bytes.Buffer) (all []string) {
	for line := range strings.Lines(logs.String()) {
		_, line, _ = strings.Cut(strings.TrimSpace(line), " ")
		all = append(all, line)
	}
	return all
}

// wantLine looks for one line with all of the parts.
func wantLine(t *testing.T, all []string, parts ...string) string {
	t.Helper()
	for _, line := range all {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			return line
		}
	}
	t.Errorf("no line with %q in\n%s", parts, strings.Join(all, "\n"))
	return ""
}

// told runs a story and returns what was logged.
func told(t *testing.T, s *story) []string {
	t.Helper()
	logs := &bytes.Buffer{}
	_, _ = newMemory(s).run(t, logs) // it ends with its context
	if strings.Contains(logs.String(), "map[") {
		t.Errorf("a map in\n%s", logs)
	}
	return lines(logs)
}

func TestFindingsAreLoggedBySeverity(t *testing.T) {
	s := newStory()
	s.commit(s.assign(1, "ann", "in-progress"))
	s.commit(s.assign(2, "ann", "in-progress"))
	s.baseline()
	s.commit(s.setPair(1, change.Application, "ann", "approved", true))
	s.commit(s.setPair(2, change.Participant, "bob", "joined", true), s.setPair(2, change.Participant, "bob", "joined", true))
	s.clock += 5000
	s.mark(0)
	s.clock += 1000
	s.commit(s.setPair(1, change.Participant, "ann", "joined", true))
	all := told(t, s)
	opened := wantLine(t, all, "level=ERROR", "drift opened", "severity=critical", "rule=missing_participant", "xid=3 ")
	wantLine(t, all, "level=WARN", "drift opened", "severity=warning", "rule=duplicate_participant")
	wantLine(t, all, "level=INFO", "drift opened", "severity=info", "rule=orphan_participant")
	_, finding, _ := strings.Cut(opened, "finding=")
	finding, _, _ = strings.Cut(finding, " ")
	wantLine(t, all, "level=INFO", "drift resolved", "reason=healed", "finding="+finding, "xid=5 ", "lsn="+s.lsn.String()+" ",
		"committed="+event.Stamp(s.clock))
}

func TestStreamEventsAreLogged(t *testing.T) {
	s := newStory()
	s.commit(s.assign(1, "ann", "open"))
	s.baseline()
	s.commitLarge(nil, []string{"application", "participant"})
	tx := s.transaction()
	tx.Message = 1
	s.control(change.Control{
		Kind: change.SchemaChanged, Transaction: &tx, Entities: []string{"quest"}, Columns: []string{"id", "title"}, Missing: []string{"status"},
	})
	s.control(change.Control{Kind: change.Gap, From: 0x10, To: 0x20, Reason: "slot_lost"})
	s.control(change.Control{Kind: change.Gap, To: 0x30, Reason: "stream_behind"})
	all := told(t, s)
	wantLine(t, all, "level=INFO", `msg="stream epoch" reason=start epoch=2 seq=2`)
	wantLine(t, all, "level=WARN", `msg="stream truncated" entities="application (public.applications_application), participant (public.quests_questparticipant)" epoch=2 seq=6`)
	wantLine(t, all, "level=WARN", `msg="stream schema_changed" entities="quest (public.quests_quest)" columns="id, title" missing=status epoch=2 seq=8`)
	wantLine(t, all, "level=ERROR", `msg="stream gap" reason=slot_lost from=0/10 to=0/20 epoch=2 seq=9`)
	wantLine(t, all, "level=ERROR", `msg="stream gap" reason=stream_behind to=0/30 epoch=2 seq=10`)
}

// TestBaselineIsLogged: its own findings, and all that are open.
func TestBaselineIsLogged(t *testing.T) {
	s := newStory()
	s.commit(s.assign(1, "", "open"))
	s.baseline()
	s.commit(s.setPair(1, change.Application, "ann", "approved", true))
	s.clock += 5000
	s.mark(0)
	s.quest(2).exists, s.quest(2).status = true, "open" // unseen by the stream
	s.setPair(2, change.Participant, "bob", "joined", true)
	s.setPair(2, change.Application, "eve", "approved", true)
	s.baseline()
	s.clock += 5000
	s.mark(0)
	all := told(t, s)
	wantLine(t, all, "level=INFO", `msg="baseline judged" quests=1 findings=0 by_rule=none open=1`)
	wantLine(t, all, "level=INFO", `msg="baseline judged" quests=2 findings=4 `+
		`by_rule="missing_participant=1 orphan_participant=1 open_with_participants=1 unassigned=1" open=5`)
}

// TestCaughtUpIsLogged: once a start, with what is open, also where nothing is
// published.
func TestCaughtUpIsLogged(t *testing.T) {
	m := newMemory(faulty())
	for range 2 {
		logs := &bytes.Buffer{}
		_, _ = m.run(t, logs) // it ends with its context
		if n := strings.Count(logs.String(), "caught up"); n != 1 {
			t.Errorf("%d lines in\n%s", n, logs)
		}
		wantLine(t, lines(logs), "level=INFO", `msg="caught up with the stream" seq=9 known=true open=1 by_rule="missing_participant=1"`)
	}
	wantLine(t, told(t, &story{}), "level=INFO", `msg="caught up with the stream" seq=0 known=false open=0 by_rule=none`)
}
