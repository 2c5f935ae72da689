package drift

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
)

// Config sets a tracker's rules.
type Config struct {
	// Namespace is part of every finding's id.
	Namespace string
	// Graces overrides rule.DefaultGrace; 0 opens at the step itself.
	Graces map[rule.Rule]time.Duration
	// Deleted says that soft-deleted quests are judged like others.
	Deleted bool
}

// Grace is how long a rule may be violated before it is a finding.
func (c *Config) Grace(r rule.Rule) time.Duration {
	if g, ok := c.Graces[r]; ok {
		return g
	}
	return rule.DefaultGrace
}

// LongestGrace is the longest of all rules.
func (c *Config) LongestGrace() time.Duration {
	longest := time.Duration(0)
	for _, r := range rule.All {
		longest = max(longest, c.Grace(r))
	}
	return longest
}

// Tracker follows all findings. It has one writer and no lock.
type Tracker struct {
	config  Config
	users   *quest.Users
	now     change.Millis
	quests  shards
	waiting waiting
	// byID has the quest of each open finding.
	byID    map[string]int64
	summary *Summary
	known   []bool // of the index in use
}

type phase uint8

const (
	suspected phase = iota
	open
	closed
)

type entry struct {
	Finding
	phase phase
}

// NewTracker starts with nothing found. users is the state's table.
func NewTracker(config Config, users *quest.Users) *Tracker {
	return &Tracker{config: config, users: users, waiting: waiting{users: users}, byID: map[string]int64{}}
}

// Now is stream time.
func (t *Tracker) Now() change.Millis { return t.now }

// Open lists the open findings, ordered by quest, then rule, then user.
func (t *Tracker) Open() []Finding {
	var all []*entry
	for e := range t.quests.all {
		if e.phase == open {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, compareSubjects)
	found := make([]Finding, len(all))
	for i, e := range all {
		found[i] = e.Finding
	}
	return found
}

// Violated calls fn for everything that is violated now, whether it is open or only
// suspected, in no order.
func (t *Tracker) Violated(fn func(r rule.Rule, quest int64, user string)) {
	for e := range t.quests.all {
		if e.phase != closed {
			fn(e.Violation.Rule, e.Quest, e.User)
		}
	}
}

// Get is an open finding by its id.
func (t *Tracker) Get(id string) (Finding, bool) {
	quest, open := t.byID[id]
	if !open {
		return Finding{}, false
	}
	entries := t.quests.of(quest)
	i := slices.IndexFunc(entries, func(e *entry) bool { return e.ID == id })
	return entries[i].Finding, true
}

// Quests lists the quests with a finding or a suspicion, in no order.
func (t *Tracker) Quests() (ids []int64) {
	for _, m := range t.quests.maps {
		ids = slices.AppendSeq(ids, maps.Keys(m))
	}
	return ids
}

// Judge compares a quest's violations after a step with what is known of it, and
// appends what changed. q may be nil when nothing of the quest is left; a quest
// that is gone has no violations.
func (t *Tracker) Judge(dst []Transition, id int64, q *quest.Quest, violations []rule.Violation, where Where) []Transition {
	if len(t.quests.of(id)) == 0 && len(violations) == 0 {
		return dst
	}
	known := t.quests.own(id)
	at := max(where.Transaction.Time, t.now)
	kept := known[:0]
	now := t.index(violations)
	fulfilled := Healed
	if q == nil || !q.Exists || q.Deleted && !t.config.Deleted {
		fulfilled = QuestGone
	}
	for _, e := range known {
		i, still := now.find(e.about())
		switch {
		case !still && e.Violation.Rule == rule.DanglingReference:
			dst = t.end(dst, e, at, where, Healed) // without the quest too: nothing refers to it any more
			continue
		case !still:
			dst = t.end(dst, e, at, where, fulfilled)
			continue
		case violations[i].Severity > e.Violation.Severity:
			dst = t.end(dst, e, at, where, CauseChanged)
			continue
		case e.phase == suspected && where.Origin == FromBaseline && violations[i].Cause != e.Violation.Cause:
			// It ended and began again where nobody looked.
			dst = t.end(dst, e, at, where, Restated)
			continue
		}
		v, was := violations[i], &e.Violation
		v.Cause, v.Severity = was.Cause, was.Severity
		e.Violation, e.Suggested, e.Title = v, t.users.Text(v.Suggested), q.ShownTitle()
		now.known[i] = true
		kept = append(kept, e)
	}
	clear(known[len(kept):])
	for i, v := range violations {
		if !now.known[i] {
			e := &entry{Finding: t.newFinding(q, v, where)}
			kept = append(kept, e)
			dst = t.begin(dst, e)
		}
	}
	t.quests.put(id, kept)
	return dst
}

// about is what a violation is about, within its quest.
type about struct {
	rule rule.Rule
	user quest.User
}

func aboutOf(v *rule.Violation) about { return about{v.Rule, v.User} }

func (e *entry) about() about { return aboutOf(&e.Violation) }

// index finds a quest's violations by what they are about. A usual quest has a
// few and is searched; one with very many gets a map.
type index struct {
	violations []rule.Violation
	at         map[about]int
	// known are the violations that a finding stands for already.
	known []bool
}

// searchable is how many violations are searched one by one.
const searchable = 32

func (t *Tracker) index(violations []rule.Violation) index {
	t.known = append(t.known[:0], make([]bool, len(violations))...)
	x := index{violations: violations, known: t.known}
	if len(violations) > searchable {
		x.at = make(map[about]int, len(violations))
		for i := range violations {
			x.at[aboutOf(&violations[i])] = i
		}
	}
	return x
}

func (x *index) find(a about) (i int, found bool) {
	if x.at != nil {
		i, found = x.at[a]
		return i, found
	}
	for i := range x.violations {
		if aboutOf(&x.violations[i]) == a {
			return i, true
		}
	}
	return 0, false
}

// begin opens a finding at once when its rule has no grace, else it waits for a
// mark.
func (t *Tracker) begin(dst []Transition, e *entry) []Transition {
	if e.Due == e.Since && e.Where.Origin == FromStream {
		return t.open(dst, e)
	}
	t.wait(e)
	return dst
}

func (t *Tracker) open(dst []Transition, e *entry) []Transition {
	t.opened(e)
	return append(dst, Transition{What: Opened, Finding: e.Finding, At: e.Due})
}

func (t *Tracker) opened(e *entry) {
	e.phase, e.ID = open, findingID(t.config.Namespace, &e.Finding)
	t.byID[e.ID] = e.Quest
}

// end closes a finding; only one that was open is worth telling.
func (t *Tracker) end(dst []Transition, e *entry, at change.Millis, by Where, why Reason) []Transition {
	was := e.phase
	e.phase = closed
	if was != open {
		return dst
	}
	delete(t.byID, e.ID)
	if by.Origin == FromBaseline {
		why = Restated
	}
	// Commit times do not follow the order of commits: a finding without grace can
	// be ended by a step that is older than the one that opened it.
	return append(dst, Transition{What: Resolved, Finding: e.Finding, At: max(at, e.Due), By: by, Reason: why})
}

// Mark moves stream time on and appends the findings that it opens, in the
// order of their moments. A mark that is not newer changes nothing.
func (t *Tracker) Mark(dst []Transition, at change.Millis) []Transition {
	t.now = max(t.now, at)
	var look finder
	for len(t.waiting.list) > 0 && t.waiting.list[0].due <= t.now {
		s := t.waiting.pop()
		// It may have ended since, and begun again with another end of its grace.
		if e := look.find(t, &s); e != nil && e.phase == suspected && e.Due == s.due {
			dst = t.open(dst, e)
		}
	}
	return dst
}

// Missed forgets all suspicions: changes were lost, and nobody saw whether what was
// violated before is what is violated now.
func (t *Tracker) Missed() {
	for _, id := range t.Quests() {
		t.quests.put(id, slices.DeleteFunc(t.quests.own(id), func(e *entry) bool { return e.phase == suspected }))
	}
}

// Baselined notes that a baseline was judged; its summary is due after the
// longest grace.
func (t *Tracker) Baselined(where Where, quests int) {
	at := max(where.Transaction.Time, t.now).Add(t.config.LongestGrace())
	t.summary = &Summary{Where: where, At: at, Quests: quests}
}

// Summary returns the summary of the last baseline when stream time has reached
// it, once, else nil.
func (t *Tracker) Summary() *Summary {
	s := t.summary
	if s == nil || t.now < s.At {
		return nil
	}
	t.summary = nil
	s.ByRule, s.BySeverity = map[rule.Rule]int{}, map[rule.Severity]int{}
	for e := range t.quests.all {
		if e.phase == open && e.Where.Origin == FromBaseline && e.Where.Epoch == s.Where.Epoch {
			s.ByRule[e.Violation.Rule]++
			s.BySeverity[e.Violation.Severity]++
		}
	}
	return s
}

func compareSubjects(a, b *entry) int {
	return cmp.Or(
		cmp.Compare(a.Quest, b.Quest),
		cmp.Compare(a.Violation.Rule, b.Violation.Rule),
		cmp.Compare(a.User, b.User),
	)
}
