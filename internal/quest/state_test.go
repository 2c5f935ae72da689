package quest_test

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

var (
	people = []string{"8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c", "42", "Zoë \"Z\"", "7"}

	questWords = []string{"open", "in-progress", "completed", "archived"}
	appWords   = []string{"pending", "approved", "approved", "rejected", "kicked", "withdrawn"}
	partWords  = []string{"joined", "in_progress", "completed", "dropped", "dropped", "ghost"}
)

// world drives a State and the model with the same steps.
type world struct {
	*rapid.T
	state  *quest.State
	model  model
	lsn    change.LSN
	step   int
	nextID int64
}

func TestStateAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{
			T: t, state: quest.NewState(change.PeerQuest(), quest.PeerQuest()),
			model: model{quests: map[int64]rows{}, frames: map[int64][]frame{}},
		}
		if rapid.Bool().Draw(t, "open") {
			w.state.Limit(rapid.IntRange(0, 60).Draw(t, "above"), rapid.IntRange(1, 3).Draw(t, "most"), rapid.IntRange(0, 12).Draw(t, "rows"))
		}
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			w.lsn += 10
			w.step++
			switch rapid.IntRange(0, 19).Draw(t, "what") {
			case 0:
				w.baseline()
			case 1:
				w.truncate()
			default:
				w.transaction()
			}
			w.compare()
		}
		w.survive()
	})
}

// survive writes the state and reads it again, also after it went on.
func (w *world) survive() {
	snapshot, before := w.state.Snapshot(), map[int64]string{}
	for id := int64(1); id <= 3; id++ {
		before[id] = describe(w.T, w.state, id)
	}
	w.lsn, w.step = w.lsn+10, w.step+1
	w.transaction()
	w.compare()
	var file bytes.Buffer
	if err := snapshot.Write(&file); err != nil {
		w.Fatal(err)
	}
	written := file.String()
	again := newState()
	if err := again.Read(bufio.NewReader(&file)); err != nil || again.Len() != snapshot.Len() {
		w.Fatalf("read %d quests of %d: %v", again.Len(), snapshot.Len(), err)
	}
	for id, want := range before {
		if got := describe(w.T, again, id); got != want {
			w.Fatalf("quest %d was read as\n%s\nwant\n%s", id, got, want)
		}
	}
	var second bytes.Buffer
	if err := again.Snapshot().Write(&second); err != nil || second.String() != written {
		w.Fatalf("written again it is %q, not %q: %v", second.String(), written, err)
	}
}

// timeOf is when the commit at a position was.
func timeOf(lsn change.LSN) change.Millis { return 7 * change.Millis(lsn) }

func sameTurns(a, b quest.Turns) bool {
	return a.From == b.From && a.To == b.To && slices.EqualFunc(a.Reversals, b.Reversals, func(a, b quest.Reversal) bool {
		a.User, b.User = 0, 0 // the model has names
		return a == b
	})
}

// transaction changes one or two quests, several rows each.
func (w *world) transaction() {
	var steps [4]change.Step
	for range rapid.IntRange(1, 5).Draw(w.T, "changes") {
		w.change(&steps)
	}
	for id := range steps {
		s := &steps[id]
		if len(s.Changes) == 0 {
			continue
		}
		s.QuestID, s.Transaction = int64(id), change.Transaction{ID: uint64(w.step), CommitLSN: w.lsn, Time: timeOf(w.lsn), Message: 1, Messages: 1}
		q, err := w.state.Apply(s)
		if err != nil {
			w.Fatalf("apply: %v", err)
		}
		if got, want := *w.state.Turns(), w.model.turns(int64(id), w.step); !sameTurns(got, want) {
			w.Fatalf("turns of quest %d: %+v, want %+v", id, got, want)
		}
		if (q == nil) != (w.state.Quest(s.QuestID) == nil) || q != nil && q.ID != s.QuestID {
			w.Fatalf("Apply returned another quest than the state holds")
		}
	}
	w.model.forget()
}

func (w *world) change(steps *[4]change.Step) {
	id := int64(rapid.IntRange(1, 3).Draw(w.T, "quest"))
	e := rapid.SampledFrom(change.Entities[:]).Draw(w.T, "entity")
	before := w.row(id, e)
	op := rapid.SampledFrom([]string{"write", "write", "write", "new", "delete", "move"}).Draw(w.T, "op")
	rowID, exists := w.pick(id, e, op == "new")
	switch {
	case exists && op == "delete":
		c := change.Change{Op: change.Delete, Entity: e, Before: asRow(before(rowID))}
		w.remove(id, e, rowID)
		w.add(steps, id, c)
	case exists && op == "move" && e != change.Quest:
		to := id%3 + 1
		old := before(rowID)
		w.remove(id, e, rowID)
		w.add(steps, id, change.Change{Op: change.Delete, Entity: e, Before: asRow(old), Moved: true})
		w.draw(to, e, rowID)
		w.add(steps, to, change.Change{Op: change.Create, Entity: e, After: asRow(w.row(to, e)(rowID)), Moved: true})
	default:
		c := change.Change{Op: change.Create, Entity: e}
		if exists {
			c.Op, c.Before = change.Update, asRow(before(rowID))
		}
		was := w.snapshot(id)
		w.draw(id, e, rowID)
		after := w.row(id, e)(rowID)
		if exists {
			w.leaveOut(id, e, rowID, was, after, &c)
		}
		c.After = asRow(after)
		w.add(steps, id, c)
	}
}

// add puts a change that the model has made into the transaction's step.
func (w *world) add(steps *[4]change.Step, id int64, c change.Change) {
	steps[id].Changes = append(steps[id].Changes, c)
	w.model.note(id, w.lsn, w.step, false)
	if frames := w.model.frames[id]; c.Moved && c.Op == change.Create && c.Entity == change.Application {
		row, err := strconv.ParseInt(string(columnOf(c.After, "id")), 10, 64)
		if err != nil {
			w.Fatal(err)
		}
		frames[len(frames)-1].moved = row
	}
}

func columnOf(row change.Row, name string) (found []byte) {
	_ = row.Each(func(column, value []byte) error { // asRow wrote it
		if string(column) == name {
			found = value
		}
		return nil
	})
	return found
}

func (w *world) snapshot(id int64) rows {
	q := w.model.quests[id].clone()
	w.model.quests[id] = q
	return q.clone()
}

// leaveOut drops columns from an update, whose values then stay what they were.
func (w *world) leaveOut(id int64, e change.Entity, rowID int64, was rows, after map[string]any, c *change.Change) {
	q := w.model.quests[id]
	drop := func(column string) bool {
		if rapid.IntRange(0, 4).Draw(w.T, "leave out "+column) != 0 {
			return false
		}
		delete(after, column)
		c.Unchanged = append(c.Unchanged, column)
		return true
	}
	if e == change.Quest {
		if drop("title") {
			q.quest.Title = was.quest.Title
		}
		if drop("status") {
			q.quest.Status = was.quest.Status
		}
		if drop("assigned_to_id") {
			q.quest.Assigned = was.quest.Assigned
		}
		if drop("is_deleted") {
			q.quest.Deleted = was.quest.Deleted
		}
		return
	}
	table, old, user := q.apps, was.apps, "applicant_id"
	if e == change.Participant {
		table, old, user = q.parts, was.parts, "user_id"
	}
	row := table[rowID]
	if drop(user) {
		row.User = old[rowID].User
	}
	if drop("status") {
		row.Status = old[rowID].Status
	}
	if e == change.Participant && drop("joined_at") {
		row.Joined = old[rowID].Joined
	}
	table[rowID] = row
}

// row returns how a quest's row of an entity looks on the wire, by its id.
func (w *world) row(id int64, e change.Entity) func(rowID int64) map[string]any {
	q := w.model.quests[id]
	return func(rowID int64) map[string]any {
		switch e {
		case change.Quest:
			return q.quest.wire(id)
		case change.Application:
			return q.apps[rowID].wire(e, rowID, id)
		}
		return q.parts[rowID].wire(e, rowID, id)
	}
}

// pick chooses a row that exists, or else the id of a new one.
func (w *world) pick(id int64, e change.Entity, fresh bool) (rowID int64, exists bool) {
	q := w.model.quests[id]
	ids := sortedIDs(q.apps)
	switch e {
	case change.Quest:
		return id, q.quest != nil
	case change.Participant:
		ids = sortedIDs(q.parts)
	}
	if fresh || len(ids) == 0 {
		w.nextID++
		return w.nextID * 7919 % 1000, false
	}
	return rapid.SampledFrom(ids).Draw(w.T, "row"), true
}

func (w *world) remove(id int64, e change.Entity, rowID int64) {
	w.snapshot(id)
	q := w.model.quests[id]
	switch e {
	case change.Quest:
		q.quest = nil
		w.model.quests[id] = q
	case change.Application:
		delete(q.apps, rowID)
	case change.Participant:
		delete(q.parts, rowID)
	}
}

// draw writes a row of any content.
func (w *world) draw(id int64, e change.Entity, rowID int64) {
	w.snapshot(id)
	q := w.model.quests[id]
	user := rapid.SampledFrom(people).Draw(w.T, "user")
	switch e {
	case change.Quest:
		q.quest = &questRow{
			Title:    rapid.SampledFrom([]string{"", "Tea", "\"é\"\n"}).Draw(w.T, "title"),
			Status:   rapid.SampledFrom(questWords).Draw(w.T, "status"),
			Assigned: rapid.SampledFrom([]string{"", "", user}).Draw(w.T, "assigned"),
			Deleted:  rapid.SampledFrom([]string{"false", "false", "true"}).Draw(w.T, "deleted"),
		}
		w.model.quests[id] = q
	case change.Application:
		q.apps[rowID] = pairRow{User: user, Status: rapid.SampledFrom(appWords).Draw(w.T, "status")}
	case change.Participant:
		q.parts[rowID] = pairRow{
			User: user, Status: rapid.SampledFrom(partWords).Draw(w.T, "status"),
			Joined: rapid.Int64Range(-1e15, 4e15).Draw(w.T, "joined"),
		}
	}
}

// baseline changes rows unseen, and restates them all.
func (w *world) baseline() {
	var unseen [4]change.Step
	frames := map[int64]int{}
	for id, f := range w.model.frames {
		frames[id] = len(f)
	}
	n := rapid.IntRange(0, 6).Draw(w.T, "unseen")
	for range n {
		w.change(&unseen)
	}
	missed := n > 0 || rapid.Bool().Draw(w.T, "missed")
	w.state.BeginBaseline()
	if rapid.IntRange(0, 4).Draw(w.T, "begun twice") == 0 {
		w.restate(1)
		w.state.BeginBaseline()
	}
	for _, id := range sortedIDs(w.model.quests) {
		w.restate(id)
	}
	w.state.EndBaseline(missed)
	w.state.EndBaseline(missed) // the second one has nothing to end
	for id := range w.model.quests {
		w.model.frames[id] = w.model.frames[id][:frames[id]]
		w.model.note(id, w.lsn, w.step, true)
		w.model.frames[id][frames[id]].missed = missed
	}
	w.model.forget()
}

func (w *world) restate(id int64) {
	var all []change.Change
	q := w.model.quests[id]
	read := func(e change.Entity, rowID int64) {
		all = append(all, change.Change{Op: change.Read, Entity: e, After: asRow(w.row(id, e)(rowID))})
	}
	for _, i := range sortedIDs(q.parts) {
		read(change.Participant, i)
	}
	if q.quest != nil {
		read(change.Quest, id)
	}
	for _, i := range sortedIDs(q.apps) {
		read(change.Application, i)
	}
	for chunk := range slices.Chunk(all, 2) {
		s := change.Step{QuestID: id, Source: change.Source{Snapshot: true}, Transaction: change.Transaction{CommitLSN: w.lsn}, Changes: chunk}
		if _, err := w.state.Apply(&s); err != nil {
			w.Fatalf("restate: %v", err)
		}
	}
}

func (w *world) truncate() {
	e := rapid.SampledFrom(change.Entities[:]).Draw(w.T, "truncated")
	w.state.Truncate(e)
	for _, id := range sortedIDs(w.model.quests) {
		w.snapshot(id)
		q := w.model.quests[id]
		switch e {
		case change.Quest:
			q.quest = nil
			w.model.quests[id] = q
		case change.Application:
			clear(q.apps)
		case change.Participant:
			clear(q.parts)
		}
		w.model.note(id, w.lsn, w.step, true)
	}
	w.model.forget()
}

func (w *world) compare() {
	w.Helper()
	if got, want := w.state.IDs(), sortedIDs(w.model.quests); !slices.Equal(got, want) || w.state.Len() != len(want) {
		w.Fatalf("quests %v, want %v", got, want)
	}
	for id := int64(1); id <= 3; id++ {
		if got, want := describe(w.T, w.state, id), w.model.describe(id); got != want {
			w.Fatalf("quest %d is\n%s\nwant\n%s", id, got, want)
		}
	}
}

// describe is what the model's describe writes, from the state.
func describe(t *rapid.T, state *quest.State, id int64) string {
	q := state.Quest(id)
	if q == nil {
		return "nothing"
	}
	name := state.Users().Text
	text := "no row"
	if q.Exists {
		text = fmt.Sprintf("%+v", questRow{q.Title, questWords[(q.Status+3)%4], name(q.Assigned), fmt.Sprint(q.Deleted)})
	}
	text += fmt.Sprintf(" released %d left %d handed %v", q.Released, q.Left, q.Handed)
	apps := []string{"withdrawn", "pending", "approved", "rejected", "kicked"}
	for _, a := range q.Applications {
		text += fmt.Sprintf("\n a%d %s %s approved %d revoked %v met %v", a.ID, name(a.User), apps[a.Status], a.Approved, a.Revoked, a.Met)
		if a.ApprovedAt != timeOf(a.Approved) {
			t.Fatalf("application %d approved at %d by commit %d", a.ID, a.ApprovedAt, a.Approved)
		}
	}
	parts := []string{"ghost", "joined", "in_progress", "completed", "dropped"}
	for _, p := range q.Participants {
		text += fmt.Sprintf("\n p%d %s %s %d direct %v", p.ID, name(p.User), parts[p.Status], p.Joined, p.Direct)
	}
	var departed []string
	for _, d := range q.Departures {
		if !q.Departed(d.User) {
			t.Fatalf("departure of %s is not found", name(d.User))
		}
		departed = append(departed, "\n departed "+name(d.User))
	}
	slices.Sort(departed)
	return text + strings.Join(departed, "")
}
