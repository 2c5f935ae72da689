package watch_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

func testRules() watch.Rules {
	return watch.Rules{
		Schema: change.PeerQuest(), Statuses: quest.PeerQuest(), Ways: rule.DefaultWays(),
		Drift: drift.Config{Namespace: "test", Graces: map[rule.Rule]time.Duration{
			rule.DuplicateParticipant: 0, rule.Unassigned: 2 * time.Second,
		}},
		Repair: remedy.NewModes(remedy.ModeAuto, true),
	}
}

// quietRules are the same, where nothing is planned.
func quietRules() watch.Rules {
	r := testRules()
	r.Repair = remedy.Modes{}
	return r
}

func testGrace(r rule.Rule) change.Millis {
	drifts := testRules().Drift
	return change.Millis(drifts.Grace(r).Milliseconds())
}

// pair is an application's or a participant's row.
type pair struct{ user, status string }

// tables are one quest's rows.
type tables struct {
	exists, deleted  bool
	status, assigned string
	apps, parts      map[int64]pair
}

// write is one row's change, and what its quest violates after it.
type write struct {
	quest    int64
	c        change.Change
	violated []string
}

func (s *story) wrote(id int64, c change.Change) write { return write{id, c, s.violated(id)} }

// story writes a stream as the application and the streamer would.
type story struct {
	records []change.Record
	quests  map[int64]*tables
	lsn     change.LSN
	clock   change.Millis
	xid     uint64
	epoch   uint64
	nextID  int64
}

func newStory() *story {
	return &story{quests: map[int64]*tables{}, lsn: 1000, clock: 1_782_912_000_000, epoch: 1}
}

func (s *story) source(snapshot bool) change.Source {
	return change.Source{DB: "peerquest", Epoch: s.epoch, Snapshot: snapshot}
}

func (s *story) publish(subject string, data []byte) {
	s.records = append(s.records, change.Record{Seq: change.Seq(len(s.records) + 1), Subject: subject, Data: data})
}

func (s *story) control(c change.Control) {
	c.Source = s.source(false)
	data, err := change.AppendControl(nil, &c)
	if err != nil {
		panic(err) // nothing in a control record can fail to encode
	}
	s.publish("control", data)
}

func (s *story) step(tx change.Transaction, snapshot bool, questID int64, changes []change.Change) {
	s.publish("step", change.AppendStep(nil, &change.Step{
		QuestID: questID, Transaction: tx, Source: s.source(snapshot), Changes: changes, Published: s.clock + 5,
	}))
}

func (s *story) transaction() change.Transaction {
	s.lsn += 100
	s.xid++
	return change.Transaction{ID: s.xid, CommitLSN: s.lsn, EndLSN: s.lsn + 48, Time: s.clock}
}

// commit publishes writes as one transaction, one message for each quest.
func (s *story) commit(writes ...write) {
	var order []int64
	byQuest := map[int64][]change.Change{}
	for _, w := range writes {
		if byQuest[w.quest] == nil {
			order = append(order, w.quest)
		}
		byQuest[w.quest] = append(byQuest[w.quest], w.c)
	}
	tx := s.transaction()
	tx.Messages = len(order)
	for i, id := range order {
		tx.Message = i + 1
		s.step(tx, false, id, byQuest[id])
	}
}

// commitLarge publishes writes as they come, and an end.
func (s *story) commitLarge(writes []write, emptied []string) { s.commitNoted(writes, emptied, "") }

// commitNoted has what the transaction says of itself before its end.
func (s *story) commitNoted(writes []write, emptied []string, says string) {
	tx := s.transaction()
	end := tx.EndLSN
	tx.EndLSN = 0
	for _, w := range writes {
		tx.Message++
		s.step(tx, false, w.quest, []change.Change{w.c})
	}
	if emptied != nil {
		tx.Message++
		now := tx
		s.control(change.Control{Kind: change.Truncate, Transaction: &now, Entities: emptied})
	}
	if says != "" {
		tx.Message++
		now := tx
		s.control(change.Control{Kind: change.Message, Transaction: &now, Prefix: change.RepairPrefix, Content: says})
	}
	tx.Message, tx.EndLSN = tx.Message+1, end
	s.control(change.Control{Kind: change.TxEnd, Transaction: &tx})
}

func (s *story) mark(behind change.Millis) {
	s.control(change.Control{Kind: change.Progress, LSN: s.lsn + 50, Time: s.clock - behind})
}

// baseline restates every row in an epoch of its own.
func (s *story) baseline() {
	s.epoch++
	s.lsn += 100
	s.control(change.Control{Kind: change.Epoch, Time: s.clock, Reason: "start", Instance: "us"})
	s.control(change.Control{Kind: change.BaselineBegin, LSN: s.lsn, Time: s.clock})
	tx := change.Transaction{CommitLSN: s.lsn - 1, Time: s.clock}
	for _, id := range slices.Sorted(maps.Keys(s.quests)) {
		tx.Message++
		s.step(tx, true, id, s.quests[id].read(id))
	}
	s.control(change.Control{Kind: change.BaselineEnd, LSN: s.lsn, Time: s.clock})
}

func (q *tables) read(id int64) (all []change.Change) {
	if q.exists {
		all = append(all, change.Change{Op: change.Read, Entity: change.Quest, After: q.row(id)})
	}
	for _, i := range slices.Sorted(maps.Keys(q.apps)) {
		all = append(all, change.Change{Op: change.Read, Entity: change.Application, After: q.apps[i].row(change.Application, i)})
	}
	for _, i := range slices.Sorted(maps.Keys(q.parts)) {
		all = append(all, change.Change{Op: change.Read, Entity: change.Participant, After: q.parts[i].row(change.Participant, i)})
	}
	return all
}

func (q *tables) row(id int64) change.Row {
	assigned := "null"
	if q.assigned != "" {
		assigned = fmt.Sprintf("%q", q.assigned)
	}
	return fmt.Appendf(nil, `{"id":%d,"title":"","status":%q,"assigned_to_id":%s,"is_deleted":%v}`, id, q.status, assigned, q.deleted)
}

func (p pair) row(e change.Entity, id int64) change.Row {
	column := "applicant_id"
	if e == change.Participant {
		column = "user_id"
	}
	return fmt.Appendf(nil, `{"id":%d,%q:%q,"status":%q}`, id, column, p.user, p.status)
}

func (s *story) quest(id int64) *tables {
	if s.quests[id] == nil {
		s.quests[id] = &tables{apps: map[int64]pair{}, parts: map[int64]pair{}}
	}
	return s.quests[id]
}

// The writes of the application. Each changes the tables and says so.

func (s *story) setQuest(id int64, set func(q *tables)) write {
	q := s.quest(id)
	op := change.Update
	if !q.exists {
		op, q.exists, q.status = change.Create, true, "open"
	}
	set(q)
	return s.wrote(id, change.Change{Op: op, Entity: change.Quest, After: q.row(id)})
}

func (s *story) assign(id int64, user, status string) write {
	return s.setQuest(id, func(q *tables) { q.assigned, q.status = user, status })
}

// setPair writes the row of a person, a new one where there is none; always says
// to make a new one.
func (s *story) setPair(id int64, e change.Entity, user, status string, always bool) write {
	rows := s.quest(id).apps
	if e == change.Participant {
		rows = s.quest(id).parts
	}
	for _, i := range slices.Sorted(maps.Keys(rows)) {
		if !always && rows[i].user == user {
			rows[i] = pair{user, status}
			return s.wrote(id, change.Change{Op: change.Update, Entity: e, After: rows[i].row(e, i)})
		}
	}
	s.nextID++
	rows[s.nextID] = pair{user, status}
	return s.wrote(id, change.Change{Op: change.Create, Entity: e, After: rows[s.nextID].row(e, s.nextID)})
}

func (s *story) removePair(id int64, e change.Entity, user string) []write {
	rows := s.quest(id).apps
	if e == change.Participant {
		rows = s.quest(id).parts
	}
	for _, i := range slices.Sorted(maps.Keys(rows)) {
		if rows[i].user == user {
			before := rows[i].row(e, i)
			delete(rows, i)
			return []write{s.wrote(id, change.Change{Op: change.Delete, Entity: e, Before: before})}
		}
	}
	return nil
}

var (
	users      = []string{"ann", "bob", "cid"}
	operations = []string{"apply", "approve", "approve", "approve a second time", "fail", "leave", "kick", "reject", "join", "unassign", "complete", "delete softly", "delete"}
)

// operate returns the writes of an operation, in the order in which the
// application makes them.
func (s *story) operate(name string, id int64, user string) []write {
	a, p := change.Application, change.Participant
	switch name {
	case "apply":
		return []write{s.setPair(id, a, user, "pending", true)}
	case "approve":
		return []write{s.setPair(id, a, user, "approved", false), s.setPair(id, p, user, "joined", false), s.assign(id, user, "in-progress")}
	case "approve a second time":
		return []write{s.setPair(id, a, user, "approved", false), s.setPair(id, p, user, "joined", true)}
	case "fail":
		return []write{s.setPair(id, a, user, "approved", false)}
	case "leave":
		return append(s.removePair(id, p, user), s.assign(id, "", "open"))
	case "kick":
		return []write{s.setPair(id, a, user, "kicked", false), s.setPair(id, p, user, "dropped", false)}
	case "reject":
		return []write{s.setPair(id, a, user, "rejected", false)}
	case "join":
		return []write{s.setPair(id, p, user, "joined", false), s.assign(id, user, s.quest(id).status)}
	case "unassign":
		return []write{s.assign(id, "", "open")}
	case "complete":
		return []write{s.assign(id, user, "completed"), s.setPair(id, p, user, "completed", false)}
	case "delete softly":
		return []write{s.setQuest(id, func(q *tables) { q.deleted = !q.deleted })}
	}
	q := s.quest(id)
	if !q.exists {
		return []write{s.assign(id, "", "open")}
	}
	before := q.row(id)
	q.exists, q.deleted, q.status, q.assigned = false, false, "", ""
	return []write{s.wrote(id, change.Change{Op: change.Delete, Entity: change.Quest, Before: before})}
}

func genOperation(t *rapid.T, s *story) []write {
	return s.operate(rapid.SampledFrom(operations).Draw(t, "operation"),
		rapid.Int64Range(1, 3).Draw(t, "quest"), rapid.SampledFrom(users).Draw(t, "user"))
}

// violated is what the tables say of the rules: quest, rule and person.
func (s *story) violated(id int64) (keys []string) {
	q := s.quests[id]
	if q == nil || q.deleted {
		return nil
	}
	note := func(is bool, r rule.Rule, user string) {
		if is {
			keys = append(keys, keyOf(id, r, user))
		}
	}
	defer func() { slices.Sort(keys) }()
	if !q.exists {
		note(len(q.apps)+len(q.parts) > 0, rule.DanglingReference, "")
		return keys
	}
	for _, u := range users {
		approved, rows, active := q.rowsOf(u)
		note(approved > 0 && rows == 0, rule.MissingParticipant, u)
		note(active > 0 && approved == 0, rule.OrphanParticipant, u)
		note(rows > 1, rule.DuplicateParticipant, u)
		note(approved > 0 && rows > 0 && active == 0, rule.ApprovedButDropped, u)
		note(q.assigned == u && active == 0, rule.AssigneeNotParticipant, u)
	}
	actives, atWork := 0, 0
	for _, p := range q.parts {
		if p.status != "dropped" {
			actives++
		}
		if p.status == "joined" {
			atWork++
		}
	}
	note(actives > 0 && q.status == "open", rule.OpenWithParticipants, "")
	note(actives > 0 && q.assigned == "", rule.Unassigned, "")
	note(actives == 0 && q.status == "in-progress", rule.IdleInProgress, "")
	note(atWork > 0 && q.status == "completed", rule.ActiveAfterCompletion, "")
	return keys
}

// rowsOf counts a person's approved applications, participant rows, and those that
// have not dropped out.
func (q *tables) rowsOf(user string) (approved, rows, active int) {
	for _, a := range q.apps {
		if a == (pair{user, "approved"}) {
			approved++
		}
	}
	for _, p := range q.parts {
		if p.user == user {
			rows++
			if p.status != "dropped" {
				active++
			}
		}
	}
	return approved, rows, active
}

func keyOf(id int64, r rule.Rule, user string) string { return fmt.Sprintf("%d %s %s", id, r, user) }

func ruleOf(key string) rule.Rule {
	r, err := rule.Parse(strings.Fields(key)[1])
	if err != nil {
		panic(err) // keyOf wrote it
	}
	return r
}
