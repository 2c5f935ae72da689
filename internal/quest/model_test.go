package quest_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

// The model knows the rows of each quest as maps, and every frame that there
// ever was: the rows after each single change. All history facts are computed
// from the frames anew, as the doc comments of package quest define them.

type questRow struct{ Title, Status, Assigned, Deleted string }

type pairRow struct {
	User, Status string
	Joined       int64
}

// rows are one quest's.
type rows struct {
	quest *questRow
	apps  map[int64]pairRow
	parts map[int64]pairRow
}

func (r rows) clone() rows {
	c := rows{apps: maps.Clone(r.apps), parts: maps.Clone(r.parts)}
	if c.apps == nil {
		c.apps, c.parts = map[int64]pairRow{}, map[int64]pairRow{}
	}
	if r.quest != nil {
		q := *r.quest
		c.quest = &q
	}
	return c
}

func (r rows) empty() bool { return r.quest == nil && len(r.apps) == 0 && len(r.parts) == 0 }

func count(m map[int64]pairRow, keep func(pairRow) bool) (n int) {
	for _, r := range m {
		if keep(r) {
			n++
		}
	}
	return n
}

func of(user string) func(pairRow) bool { return func(r pairRow) bool { return r.User == user } }

func approvedOf(user string) func(pairRow) bool {
	return func(r pairRow) bool { return r.User == user && r.Status == "approved" }
}

func active(r pairRow) bool { return r.Status != "dropped" }

// frame is a quest after a change. Blind frames are those that nobody saw
// happen: a baseline's result and a truncate's. missed are those of baselines before
// which changes were lost.
type frame struct {
	rows
	commit change.LSN
	step   int
	blind  bool
	missed bool
	number int
	// moved is the application that this change brought from another quest.
	moved int64
}

type model struct {
	quests map[int64]rows
	frames map[int64][]frame
}

func (m *model) note(id int64, commit change.LSN, step int, blind bool) {
	m.frames[id] = append(m.frames[id], frame{
		rows: m.quests[id].clone(), commit: commit, step: step, blind: blind, number: len(m.frames[id]),
	})
}

// forget drops what nobody can ask for any more: a quest without rows has no
// history.
func (m *model) forget() {
	for id, q := range m.quests {
		if q.empty() {
			delete(m.quests, id)
			delete(m.frames, id)
		}
	}
}

// describe is a quest with its facts, in a form that both sides write.
func (m *model) describe(id int64) string {
	q, ok := m.quests[id]
	if !ok {
		return "nothing"
	}
	text := "no row"
	if q.quest != nil {
		text = fmt.Sprintf("%+v", *q.quest)
	}
	left, handed := m.assignee(id)
	text += fmt.Sprintf(" released %d left %d handed %v", m.released(id), left, handed)
	users := map[string]bool{}
	for _, i := range slices.Sorted(maps.Keys(q.apps)) {
		a := q.apps[i]
		approved, revoked := m.approval(id, i)
		text += fmt.Sprintf("\n a%d %s %s approved %d revoked %v met %v", i, a.User, a.Status, approved, revoked, m.met(id, i, approved))
		users[a.User] = true
	}
	for _, i := range slices.Sorted(maps.Keys(q.parts)) {
		p := q.parts[i]
		text += fmt.Sprintf("\n p%d %s %s %d direct %v", i, p.User, p.Status, p.Joined, m.direct(id, i))
	}
	for _, f := range m.frames[id] {
		for _, p := range f.parts {
			users[p.User] = true
		}
	}
	for _, u := range slices.Sorted(maps.Keys(users)) {
		if m.departed(id, u) {
			text += "\n departed " + u
		}
	}
	return text
}

// transitions calls fn for every frame of a quest and the one before it.
func (m *model) transitions(id int64, fn func(before, after frame)) {
	before := frame{rows: rows{}.clone()}
	for _, after := range m.frames[id] {
		fn(before, after)
		before = after
	}
}

// departed: lost a participant row that was there before the step, has none at
// the step's end, was not approved since. A blind frame takes rows away without
// a departure.
func (m *model) departed(id int64, user string) bool {
	gone, lost, step := false, false, -1
	fresh := map[int64]bool{}
	m.transitions(id, func(before, after frame) {
		if after.step != step || after.blind {
			step, lost = after.step, false
			clear(fresh)
		}
		for i := range after.parts {
			if _, had := before.parts[i]; !had {
				fresh[i] = true
			}
		}
		for i, p := range before.parts {
			if p.User == user && after.parts[i].User != user && !fresh[i] && !after.blind {
				lost = true
			}
		}
		for i, a := range after.apps {
			if approvedOf(user)(a) && !approvedOf(user)(before.apps[i]) && after.moved != i {
				gone, lost = false, false
			}
		}
		if m.lastOfStep(id, after) {
			gone = (gone || lost) && count(after.parts, of(user)) == 0
		}
	})
	return gone
}

// lastOfStep reports whether a frame shows what its step left.
func (m *model) lastOfStep(id int64, f frame) bool {
	frames := m.frames[id]
	i := slices.IndexFunc(frames, func(g frame) bool { return g.number == f.number })
	return f.blind || i == len(frames)-1 || frames[i+1].step != f.step || frames[i+1].blind
}

// approval: the commit that was seen to approve an application, unless a
// participant came of it and went unseen, or may have; and whether it was seen to
// be taken back.
func (m *model) approval(id, app int64) (approved change.LSN, revoked bool) {
	met := false
	m.transitions(id, func(before, after frame) {
		a, found := after.apps[app]
		was := before.apps[app]
		switch is, had := a.Status == "approved", was.Status == "approved"; {
		case !found:
			approved, revoked = 0, false
		case after.blind && (was.User != a.User || is != had):
			approved, revoked = 0, false
		case is && after.moved == app:
			approved, revoked, met = 0, false, false
		case is && (!had || was.User != a.User):
			approved, revoked, met = after.commit, false, false
		case !is && had:
			approved, revoked = 0, true
		}
		if after.blind && found && count(before.parts, of(a.User)) > 0 && count(after.parts, of(a.User)) == 0 {
			approved = 0
		}
		here := found && count(after.parts, of(a.User)) > 0
		if after.missed && !here && !met {
			approved = 0
		}
		met = met || here && m.lastOfStep(id, after)
	})
	return approved, revoked
}

// met: a step since the approval that was seen left the person with a row.
func (m *model) met(id, app int64, approved change.LSN) bool {
	for _, f := range m.frames[id] {
		if approved != 0 && f.commit >= approved && m.lastOfStep(id, f) && count(f.parts, of(f.apps[app].User)) > 0 {
			return true
		}
	}
	return false
}

// assignee: the step that last ended the assignee's part while the quest kept
// him, and whether a step gave the quest to him.
func (m *model) assignee(id int64) (left change.LSN, handed bool) {
	holds := func(f frame) bool {
		return f.quest != nil && f.quest.Assigned != "" && count(f.parts, func(p pairRow) bool { return p.User == f.quest.Assigned && active(p) }) > 0
	}
	assigned := func(f frame) string {
		if f.quest == nil {
			return ""
		}
		return f.quest.Assigned
	}
	before := frame{rows: rows{}.clone()}
	for _, after := range m.frames[id] {
		if !m.lastOfStep(id, after) {
			continue
		}
		switch same := assigned(after) == assigned(before) && assigned(after) != ""; {
		case after.blind && !same:
			left, handed = 0, false
		case after.blind && holds(before) && !holds(after):
			handed = false
		case !same:
			left, handed = 0, assigned(after) != ""
		case holds(after):
			left = 0
		case holds(before) && !after.blind:
			left = after.commit
		}
		before = after
	}
	return left, handed
}

// turns: the quest's status before and after a step, and the applications that
// were approved before it, are pending after it, of the same person, and were
// there all the time.
func (m *model) turns(id int64, step int) (t quest.Turns) {
	var before, after frame
	during := []frame{}
	for _, f := range m.frames[id] {
		if f.step < step {
			before = f
		} else {
			during, after = append(during, f), f
		}
	}
	if before.quest != nil && after.quest != nil {
		t.From, t.To = roles[before.quest.Status], roles[after.quest.Status]
	}
	for _, i := range slices.Sorted(maps.Keys(before.apps)) {
		was := before.apps[i]
		stayed := was.Status == "approved" && after.apps[i].Status == "pending" && after.apps[i].User == was.User
		for _, f := range during {
			_, there := f.apps[i]
			stayed = stayed && there
		}
		if stayed {
			until := model{frames: map[int64][]frame{id: m.frames[id][:len(m.frames[id])-len(during)]}}
			approved, _ := until.approval(id, i)
			t.Reversals = append(t.Reversals, quest.Reversal{
				Application: i, Approved: approved, At: timeOf(approved), Met: until.met(id, i, approved),
			})
		}
	}
	return t
}

var roles = quest.PeerQuest().Quest

// cameIn reports whether a participant row became its person's and active in a
// change.
func cameIn(before, after frame, part int64) bool {
	p, found := after.parts[part]
	was, had := before.parts[part]
	return found && active(p) && (!had || !active(was) || was.User != p.User)
}

// direct: the step that saw the row come left the person without application.
func (m *model) direct(id, part int64) (direct bool) {
	came := -1
	m.transitions(id, func(before, after frame) {
		if _, found := after.parts[part]; !found {
			direct, came = false, -1
			return
		}
		if after.blind {
			direct = direct && before.parts[part].User == after.parts[part].User
			came = -1
			return
		}
		if cameIn(before, after, part) {
			came = after.step
		}
		if came == after.step {
			direct = count(after.apps, of(after.parts[part].User)) == 0
		}
	})
	return direct
}

// released: the last step that left the quest without the assignee that it had
// before, while participants remained, with nothing to end it since.
func (m *model) released(id int64) (at change.LSN) {
	frames := m.frames[id]
	before := frame{rows: rows{}.clone()}
	for len(frames) > 0 {
		n, came := 1, map[int64]bool{}
		for n < len(frames) && frames[n].step == frames[0].step && !frames[0].blind {
			n++
		}
		last := before
		for _, f := range frames[:n] {
			for i := range f.parts {
				if cameIn(last, f, i) {
					came[i] = true
				}
			}
			if f.quest == nil {
				at = 0
			}
			last = f
		}
		switch {
		case last.quest == nil:
			at = 0
		case last.quest.Assigned != "" || newcomer(last, came):
			at = 0
		case !last.blind && before.quest != nil && before.quest.Assigned != "" && count(last.parts, active) > 0:
			at = last.commit
		}
		frames, before = frames[n:], last
	}
	return at
}

// newcomer: somebody active of whom no row was active before. What came unseen
// may always be somebody new.
func newcomer(f frame, came map[int64]bool) bool {
	for i := range came {
		p, found := f.parts[i]
		others := 0
		for j, o := range f.parts {
			if o.User == p.User && active(o) && !came[j] {
				others++
			}
		}
		if f.blind || found && active(p) && others == 0 {
			return true
		}
	}
	return false
}

// wire is a row as the stream gives it. Joined is microseconds.
func (q *questRow) wire(id int64) map[string]any {
	return map[string]any{
		"id": id, "title": q.Title, "status": q.Status, "assigned_to_id": orNull(q.Assigned),
		"is_deleted": q.Deleted == "true", "updated_at": nil,
	}
}

func (p pairRow) wire(e change.Entity, id, quest int64) map[string]any {
	if e == change.Application {
		return map[string]any{"id": id, "quest_id": quest, "applicant_id": userJSON(p.User), "status": p.Status}
	}
	return map[string]any{
		"id": id, "quest_id": quest, "user_id": userJSON(p.User), "status": p.Status,
		"joined_at": time.UnixMicro(p.Joined).UTC().Format("2006-01-02T15:04:05.999999-07:00"),
	}
}

func orNull(user string) any {
	if user == "" {
		return nil
	}
	return userJSON(user)
}

// userJSON writes people whose id is a number as one.
func userJSON(user string) any {
	if user[0] >= '0' && user[0] <= '9' && len(user) < 20 {
		return json.RawMessage(user)
	}
	return user
}

func asRow(columns map[string]any) change.Row {
	if columns == nil {
		return nil
	}
	data, err := json.Marshal(columns)
	if err != nil {
		panic(err) // strings, numbers and booleans only
	}
	return change.Row(data)
}

func sortedIDs[V any](m map[int64]V) []int64 {
	return slices.SortedFunc(maps.Keys(m), cmp.Compare[int64])
}
