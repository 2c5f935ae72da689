package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/testkit"
)

// deed is something that the application does to a quest with a fault.
type deed struct {
	name string
	// sql is its transactions, by what had gone wrong before.
	sql func(a remedy.Action, q int) []string
	// leaves says for which faults there is still something to repair afterwards.
	leaves []remedy.Action
	// beside says that it can be done while somebody holds the quest's row, by which only
	// others' changes of the row are held up.
	beside func(a remedy.Action) bool
}

var deeds = []deed{
	{
		name: "approve another", leaves: []remedy.Action{remedy.CreateParticipant, remedy.SetInProgress},
		sql: func(a remedy.Action, q int) []string {
			second := 10*q + 2
			set := "assigned_to_id = " + student2
			if a == remedy.CreateParticipant {
				set += ", status = 'in-progress'"
			}
			return []string{approved(second) + joined(q, second, student2) + setQuest(q, set)}
		},
	},
	{name: "kick", sql: func(_ remedy.Action, q int) []string {
		return []string{fmt.Sprintf("UPDATE applications_application SET status = 'kicked' WHERE id = %d;", 10*q+1) +
			setParticipant(10*q+1, "dropped") + setQuest(q, "assigned_to_id = NULL, status = 'open'")}
	}},
	{
		// Who comes and leaves again leaves the rows as a failure does.
		name: "leave", beside: func(a remedy.Action) bool { return a == remedy.CreateParticipant },
		sql: func(a remedy.Action, q int) []string {
			gone := fmt.Sprintf("DELETE FROM quests_questparticipant WHERE quest_id = %d AND user_id = %s;", q, student1)
			if a == remedy.CreateParticipant {
				return []string{joined(q, 10*q+1, student1), gone}
			}
			return []string{gone + setQuest(q, "assigned_to_id = NULL, status = 'open'")}
		},
	},
	{
		// A completed quest gets an assignee, but nobody joins it who is not asked for.
		name: "complete", leaves: []remedy.Action{remedy.AssignEarliest},
		sql: func(_ remedy.Action, q int) []string {
			return []string{setQuest(q, "status = 'completed', completed_at = now()") + setParticipant(10*q+1, "completed")}
		},
	},
	{name: "delete", sql: func(_ remedy.Action, q int) []string {
		return []string{fmt.Sprintf(`DELETE FROM quests_questparticipant WHERE quest_id = %[1]d; DELETE FROM applications_application WHERE quest_id = %[1]d;
			DELETE FROM quests_quest WHERE id = %[1]d;`, q)}
	}},
	{name: "soft delete", sql: func(_ remedy.Action, q int) []string { return []string{setQuest(q, "is_deleted = true")} }},
}

var actions = []remedy.Action{remedy.CreateParticipant, remedy.SetInProgress, remedy.AssignEarliest}

// meeting is one deed that meets one repair.
type meeting struct {
	action remedy.Action
	deed   *deed
	quest  int
}

func (m *meeting) String() string {
	return fmt.Sprintf("%s in quest %d for %s", m.deed.name, m.quest, m.action)
}

func (m *meeting) repaired() bool { return slices.Contains(m.deed.leaves, m.action) }

// meetings has all deeds meet all repairs, on quests of their own.
func meetings(number int) (all []meeting) {
	quest := 1000 + number*len(deeds)*len(actions)
	for _, a := range actions {
		for i := range deeds {
			quest++
			all = append(all, meeting{a, &deeds[i], quest})
		}
	}
	return all
}

// TestRepairsAmongTraffic has what the application does to a quest come between the
// fault and its repair, at every point. What is not wrong any more is not repaired;
// what is, is repaired once; and nothing that somebody did is undone.
func TestRepairsAmongTraffic(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001, repairQuests(4*len(deeds)*len(actions)))
	c := repairing(t, dsn)
	setUpJournal(t, c)
	openGate := gated(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	s := &encounter{running: r, gate: openGate}
	points := []struct {
		name         string
		meet, check  func(*testing.T, *meeting)
		begin, after func() error
	}{
		{name: "before it is found", meet: s.beforeFound, check: s.check},
		{name: "when it was found", meet: s.whenFound, check: s.check, begin: s.pause, after: s.resume},
		{name: "while the lock is waited for", meet: s.whileWaiting, check: s.check},
		{name: "under the lock", meet: s.underLock, check: s.checkUnderLock},
	}
	for i, p := range points {
		all := meetings(i)
		t.Run(p.name, func(t *testing.T) { s.point(t, all, p.begin, p.meet, p.after) })
		if t.Failed() {
			return // the others would wait for what does not come
		}
		r.calm(t)
		for i := range all {
			p.check(t, &all[i])
		}
	}
	if r.verifyState(t) > 0 {
		t.Error("the state is not the database's")
	}
	for _, word := range r.repairWords(t) {
		if strings.HasPrefix(word, "failed") {
			t.Errorf("told %q", word)
		}
	}
}

// encounter is a program whose repairs are met by what people do. Left is what they left
// of each quest.
type encounter struct {
	*running
	gate func(quest int)
	left sync.Map
}

// point has all meetings of a point take place, several at once.
func (s *encounter) point(t *testing.T, all []meeting, begin func() error, meet func(*testing.T, *meeting), after func() error) {
	if begin != nil {
		if err := begin(); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("meet", func(t *testing.T) {
		for i := range all {
			t.Run(all[i].String(), func(t *testing.T) {
				t.Parallel()
				meet(t, &all[i])
			})
		}
	})
	if after != nil {
		s.settle(t)
		if err := after(); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *encounter) pause() error {
	return s.repairs.Stop(context.Background(), s.config.Namespace, remedy.Brake{Actor: "ada", Reason: "lunch"})
}

func (s *encounter) resume() error {
	return s.repairs.Resume(context.Background(), s.config.Namespace, "ada")
}

// do carries out a deed.
func (s *encounter) do(t *testing.T, m *meeting) {
	exec1(t, s.dsn, m.deed.sql(m.action, m.quest)...)
	s.left.Store(m.quest, shape(t, s.dsn, m.quest))
}

func (s *encounter) beforeFound(t *testing.T, m *meeting) {
	s.gate(m.quest)
	exec1(t, s.dsn, faulty(m.action, m.quest))
	s.do(t, m)
}

// whenFound is for while repairs are paused.
func (s *encounter) whenFound(t *testing.T, m *meeting) {
	s.gate(m.quest)
	exec1(t, s.dsn, faulty(m.action, m.quest))
	s.waitOpen(t, ruleOf(m.action), m.quest)
	s.do(t, m)
	if n := repairsOf(t, s.dsn, m); n > 0 {
		t.Errorf("%d repairs during a pause", n)
	}
}

// whileWaiting holds the quest's row until the repair waits for it.
func (s *encounter) whileWaiting(t *testing.T, m *meeting) {
	s.gate(m.quest)
	exec1(t, s.dsn, faulty(m.action, m.quest))
	conn := connection(t, s.dsn)
	// A foreign key's lock is let through, an update is not.
	do(t, conn, "BEGIN", fmt.Sprintf("SELECT FROM quests_quest WHERE id = %d FOR NO KEY UPDATE", m.quest))
	blocked(t, s.dsn, conn.PgConn().PID())
	steps := m.deed.sql(m.action, m.quest)
	if m.deed.beside != nil && m.deed.beside(m.action) {
		exec1(t, s.dsn, steps...)
		s.left.Store(m.quest, shape(t, s.dsn, m.quest))
		do(t, conn, "COMMIT")
		return
	}
	do(t, conn, steps...)
	var left string
	if err := conn.QueryRow(t.Context(), shapeOf(m.quest)).Scan(&left); err != nil {
		t.Fatal(err)
	}
	s.left.Store(m.quest, short(left))
	do(t, conn, "COMMIT")
}

// underLock holds the repair up when it has written, until the deed waits for it.
func (s *encounter) underLock(t *testing.T, m *meeting) {
	exec1(t, s.dsn, faulty(m.action, m.quest))
	atGate(t, s.dsn, m.quest)
	conn := connection(t, s.dsn)
	done := make(chan error, 1)
	go func() {
		_, err := conn.Exec(context.WithoutCancel(t.Context()), m.deed.sql(m.action, m.quest)[0])
		done <- err
	}()
	testkit.Eventually(t, 30*time.Second, func() error {
		var waits bool
		query(t, s.dsn, fmt.Sprintf("SELECT cardinality(pg_blocking_pids(%d)) > 0", conn.PgConn().PID()), &waits)
		if !waits {
			return errors.New("it does not wait for the repair")
		}
		return nil
	})
	s.gate(m.quest)
	// The repair was first: to join twice is refused, and so is to delete a quest that has
	// a participant by then.
	late := m.action == remedy.CreateParticipant && (m.deed.name == "leave" || m.deed.name == "delete")
	if err := <-done; (err != nil) != late {
		t.Errorf("after the repair: %v", err)
	}
	exec1(t, s.dsn, m.deed.sql(m.action, m.quest)[1:]...)
}

// check looks at what came of a deed that was done before the repair had its lock.
func (s *encounter) check(t *testing.T, m *meeting) {
	want := 0
	if m.repaired() {
		want = 1
	}
	if n := repairsOf(t, s.dsn, m); n != want {
		t.Errorf("%s: %d repairs, want %d", m, n, want)
	}
	left, _ := s.left.Load(m.quest)
	if is := shape(t, s.dsn, m.quest); want == 0 && is != left {
		t.Errorf("%s left\n  %s, now it is\n  %s", m, left, is)
	}
	s.checkAssignee(t, m)
}

// checkUnderLock looks at what came of a deed that waited for the repair.
func (s *encounter) checkUnderLock(t *testing.T, m *meeting) {
	if n := repairsOf(t, s.dsn, m); n != 1 {
		t.Errorf("%s: %d repairs, want 1", m, n)
	}
	s.checkAssignee(t, m)
}

// checkAssignee: who was approved meanwhile keeps the quest.
func (s *encounter) checkAssignee(t *testing.T, m *meeting) {
	if is := shape(t, s.dsn, m.quest); m.deed.name == "approve another" && !strings.Contains(is, ",2,f") {
		t.Errorf("%s: student2 has lost the quest: %s", m, is)
	}
}

// repairsOf counts the repairs of a meeting's quest.
func repairsOf(t *testing.T, dsn string, m *meeting) (n int) {
	t.Helper()
	query(t, dsn, fmt.Sprintf("SELECT count(*) FROM questwatch.repair WHERE quest = %d", m.quest), &n)
	return n
}

// connection is a session of its own.
func connection(t *testing.T, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func do(t *testing.T, conn *pgx.Conn, statements ...string) {
	t.Helper()
	for _, sql := range statements {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
	}
}
