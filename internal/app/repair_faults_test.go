package app

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/testkit"
)

// deadlyRepairs kills the process between the steps of a repair.
type deadlyRepairs struct {
	repair.Store
	d *deadly
}

func (p deadlyRepairs) Carry(
	ctx context.Context, o *remedy.Order, confirm func(context.Context, change.LSN) error,
	decide func(*remedy.Case) (remedy.Action, []remedy.Write, error),
) (*remedy.Entry, error) {
	p.d.here("repair ordered")
	entry, err := p.Store.Carry(ctx, o, func(ctx context.Context, at change.LSN) error {
		p.d.here("repair locked")
		err := confirm(ctx, at)
		p.d.here("repair confirmed")
		return err
	}, func(c *remedy.Case) (remedy.Action, []remedy.Write, error) {
		action, writes, err := decide(c)
		p.d.here("repair decided")
		return action, writes, err
	})
	p.d.here("repair committed")
	return entry, err
}

// Whatever step of a repair the program is killed at, nothing is half done, and what is
// wrong is repaired once.
func TestRepairsKilledBetweenTheirSteps(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"repair ordered", "repair locked", "repair confirmed", "repair decided", "repair committed", "written"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001, repairQuests(3))
			c := repairing(t, dsn)
			setUpJournal(t, c)
			gate := gated(t, dsn)
			if at != "written" {
				gate(0)
			}
			p := spawnWith(t, c, killEnv+"="+at+":2")
			p.says(t, "caught up with the stream")
			p.says(t, "msg=streaming")
			for i, a := range actions {
				exec1(t, dsn, faulty(a, 1001+i))
			}
			if at == "written" { // its writes and its row in the journal are, and nothing is committed
				waitHeld(t, dsn, 1002)
				p.kill()
				gate(0)
			}
			<-p.ended
			r := start(t, c, dsn)
			r.ready(t)
			r.calm(t)
			repairedOnce(t, dsn, 1001, 1002, 1003)
			r.verify(t)
		})
	}
}

// waitHeld waits until a repair holds a quest's lock.
func waitHeld(t *testing.T, dsn string, quest int) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		var free bool
		query(t, dsn, fmt.Sprintf("SELECT EXISTS (SELECT FROM (SELECT FROM quests_quest WHERE id = %d FOR KEY SHARE SKIP LOCKED) q)", quest), &free)
		if free {
			return errors.New("no repair holds the quest's lock")
		}
		return nil
	})
}

// repairedOnce checks that the journal has one repair of each quest, and no other.
func repairedOnce(t *testing.T, dsn string, quests ...int) {
	t.Helper()
	journal := journalOf(t, dsn)
	for _, q := range quests {
		if n := len(slices.DeleteFunc(slices.Clone(journal), func(e string) bool { return !strings.Contains(e, fmt.Sprintf(" %d ", q)) })); n != 1 {
			t.Errorf("quest %d was repaired %d times", q, n)
		}
	}
	if len(journal) != len(quests) {
		t.Errorf("the journal has %q", journal)
	}
}

// Two programs that know nothing of each other repair the same database: each quest is
// repaired by one of them.
func TestTwoProgramsRepairEachQuestOnce(t *testing.T) {
	t.Parallel()
	const n = 12
	dsn := testkit.Database(t, testkit.LoadAudit001, repairQuests(n))
	first := repairing(t, dsn)
	setUpJournal(t, first)
	second := repairing(t, dsn)
	second.Namespace, second.Postgres.Slot = "other", first.Postgres.Slot+"_other"
	programs := []*running{start(t, first, dsn), start(t, second, dsn)}
	for _, r := range programs {
		r.ready(t)
	}
	var all []string
	var quests []int
	for i := range n {
		all, quests = append(all, faulty(actions[i%len(actions)], 1001+i)), append(quests, 1001+i)
	}
	exec1(t, dsn, strings.Join(all, ""))
	for _, r := range programs {
		r.calm(t)
	}
	repairedOnce(t, dsn, quests...)
	for _, r := range programs {
		if r.verifyState(t) > 0 {
			t.Error("the state is not the database's")
		}
		for _, word := range r.repairWords(t) {
			if strings.HasPrefix(word, "failed") {
				t.Errorf("told %q", word)
			}
		}
	}
}

// Ten thousand quests go wrong at once: the first is not repaired before somebody has
// looked. The halt outlasts the process.
func TestBreakerUnderABulkDrift(t *testing.T) {
	t.Parallel()
	const n = 10_000
	dsn := testkit.Database(t, testkit.LoadAudit001, repairQuests(n))
	c := repairing(t, dsn)
	c.Repair.PerMinute, c.Repair.PerRule = 60, 30
	c.Repair.Breaker = config.Default().Repair.Breaker
	r := start(t, c, dsn)
	r.readyWithin(t, time.Minute)
	exec1(t, dsn, "UPDATE applications_application SET status = 'approved' WHERE id % 10 = 1 AND quest_id > 1000")
	halted := func() error {
		if b := r.RepairStatus().Brake; b == nil || !b.Halted {
			return errors.New("automatic repairs are not halted")
		}
		return nil
	}
	testkit.Eventually(t, time.Minute, halted)
	r.stop(t)
	r = start(t, c, dsn)
	r.readyWithin(t, time.Minute)
	testkit.Eventually(t, 10*time.Second, halted)
	r.settle(t)
	if journal := journalOf(t, dsn); len(journal) > 0 {
		t.Errorf("%d were repaired", len(journal))
	}
	if n := count(r.repairWords(t), "halted breaker _ breaker"); n != 1 {
		t.Errorf("halted was told %d times", n)
	}
	if err := r.repairs.Resume(t.Context(), c.Namespace, "ada"); err != nil {
		t.Fatal(err)
	}
	testkit.Eventually(t, 20*time.Second, func() error {
		if n := len(journalOf(t, dsn)); n < c.Repair.PerRule {
			return fmt.Errorf("%d repairs", n)
		}
		return nil
	})
	if n := len(journalOf(t, dsn)); n > 2*c.Repair.PerRule {
		t.Errorf("%d repairs within seconds, %d a minute are allowed", n, c.Repair.PerRule)
	}
}

// Somebody undoes each repair: by a trigger of another transaction, or of the same one.
// Neither makes a loop, and both are told.
func TestRepairsThatAreUndoneAreNotRepeated(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001, repairQuests(2))
	c := repairing(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	exec1(t, dsn, `CREATE FUNCTION reopen() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.status := OLD.status; RETURN NEW; END $$`,
		`CREATE TRIGGER reopen BEFORE UPDATE ON quests_quest FOR EACH ROW WHEN (OLD.id = 1002) EXECUTE FUNCTION reopen()`)
	exec1(t, dsn, faulty(remedy.SetInProgress, 1001), faulty(remedy.SetInProgress, 1002))
	testkit.Eventually(t, 20*time.Second, func() error {
		if len(journalOf(t, dsn)) == 0 {
			return errors.New("nothing is repaired")
		}
		return nil
	})
	r.calm(t)
	exec1(t, dsn, setQuest(1001, "status = 'open'"))
	r.calm(t)
	repairedOnce(t, dsn, 1001)
	words := r.repairWords(t)
	for _, want := range []string{"failed open_with_participants 1001 repeated", "failed open_with_participants 1002 no_effect"} {
		if n := count(words, want); n != 1 {
			t.Errorf("%q was told %d times; all: %q", want, n, words)
		}
	}
}

// A pause holds across restarts, and for nobody who asks.
func TestPauseAcrossARestart(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001, repairQuests(2))
	c := repairing(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	if err := r.repairs.Stop(t.Context(), c.Namespace, remedy.Brake{Actor: "ada", Reason: "lunch"}); err != nil {
		t.Fatal(err)
	}
	exec1(t, dsn, faulty(remedy.CreateParticipant, 1001), faulty(remedy.AssignEarliest, 1002))
	r.waitOpen(t, "missing_participant", 1001)
	r.stop(t)
	r = start(t, c, dsn)
	r.ready(t)
	r.waitOpen(t, "unassigned", 1002)
	r.settle(t)
	if journal := journalOf(t, dsn); len(journal) > 0 {
		t.Errorf("during a pause: %q", journal)
	}
	asked(t, &c, repair.Request{Wish: repair.Wish{Rule: "unassigned"}, Actor: "bob"}, repair.Applied, repair.Applied, repair.Applied)
	if err := r.repairs.Resume(t.Context(), c.Namespace, "ada"); err != nil {
		t.Fatal(err)
	}
	r.calm(t)
	if n := len(journalOf(t, dsn)); n < 2 {
		t.Errorf("the journal has %q", journalOf(t, dsn))
	}
}
