package audit

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Finding is one thing that does not hold, as reports have it. Pointers are nil
// where the rule has no such thing.
type Finding struct {
	Rule rule.Rule `json:"rule"`
	// Cause and Severity are empty in a report that reproduces the original's.
	Cause          rule.Cause    `json:"cause,omitempty"`
	Severity       rule.Severity `json:"severity,omitempty"`
	QuestID        int64         `json:"quest_id"`
	QuestTitle     string        `json:"quest_title"`
	UserID         *string       `json:"user_id"`
	Username       *string       `json:"username"`
	ApplicationID  *int64        `json:"application_id"`
	ParticipantIDs []int64       `json:"participant_ids"`
	// ApplicationIDs are those of a quest that does not exist.
	ApplicationIDs  []int64 `json:"application_ids,omitempty"`
	Expected        string  `json:"expected"`
	Actual          string  `json:"actual"`
	SuggestedUserID *string `json:"suggested_user_id"`
	Detail          string  `json:"detail"`
	Fixed           bool    `json:"fixed"`
}

// Planned is a finding that a repair would mend, and how.
type Planned struct {
	Finding
	Action remedy.Action `json:"action"`
	Writes []string      `json:"writes"`
}

// notes are what the reports for people say besides.
type notes struct {
	Severity  rule.Severity `json:"severity"`
	Reviewed  remedy.Micros `json:"reviewed,omitempty"`
	Suggested string        `json:"suggested,omitempty"` // a name
	People    []string      `json:"people,omitempty"`    // those active in the quest, a few of them
	Action    remedy.Action `json:"action,omitempty"`
	Writes    []string      `json:"writes,omitempty"`
}

// record is a finding on its way to the reports.
type record struct {
	key       key
	finding   Finding
	notes     notes
	violation rule.Violation
	step      *step
	people    []affected
}

// peopleShown is how many of a quest's people a report names.
const peopleShown = 5

// recordOf makes a record of a step. Nothing in it belongs to the case.
func (a *auditor) recordOf(c *remedy.Case, s *step) record {
	v := s.violation
	v.Participants, v.Applications = slices.Clone(v.Participants), slices.Clone(v.Applications)
	r := record{violation: v, step: s, key: keyOf(c, &v)}
	r.finding = Finding{
		Rule: v.Rule, QuestID: c.Quest.ID, QuestTitle: c.Quest.Title,
		UserID: idOf(c, v.User), Username: nameOf(c, v.User),
		ApplicationIDs: v.Applications, Expected: rule.Expected(v.Rule), Detail: detailOf(c, s, a.cfg.Compat),
	}
	if !a.cfg.Compat {
		r.finding.Cause, r.finding.Severity = v.Cause, v.Severity
	}
	who := func(u quest.User) string { return display(c, u) }
	r.notes = notes{Severity: v.Severity, Action: s.plan.Action, Writes: remedy.Effects(s.plan.Writes, who)}
	if v.Application != 0 {
		r.finding.ApplicationID = &v.Application
		r.notes.Reviewed = timesOf(c, v.Application).Reviewed
	}
	if v.Rule == rule.Unassigned {
		r.finding.SuggestedUserID = idOf(c, v.Suggested)
		r.notes.Suggested = display(c, v.Suggested)
	}
	r.people = affectedBy(c, &v)
	if v.User == 0 {
		for _, p := range r.people[:min(len(r.people), peopleShown)] {
			r.notes.People = append(r.notes.People, p.Name)
		}
	}
	return r
}

// finish writes what depends on the ids of participants. A repair gives ids to
// those that it inserted; without one they stay unknown and are only counted.
func (r *record) finish(inserted []int64) {
	v, unknown := r.violation, 0
	ids := make([]int64, 0, len(v.Participants))
	for _, id := range v.Participants {
		if id < remedy.Provisional {
			ids = append(ids, id)
		} else if n := int(id - remedy.Provisional); n < len(inserted) {
			ids = append(ids, inserted[n])
		} else {
			unknown++
		}
	}
	v.Participants = ids
	r.finding.ParticipantIDs = ids
	r.finding.Actual = rule.Actual(&v)
	if unknown > 0 {
		r.finding.Actual += fmt.Sprintf("; %d more by the repair of phase 1", unknown)
	}
}

// payload is a record as the sorter keeps it: the finding as JSON, which the
// JSON report takes as it is, and the notes.
func (r *record) payload() ([]byte, error) {
	f, err := json.Marshal(&r.finding)
	if err != nil {
		return nil, fmt.Errorf("encode finding: %w", err)
	}
	n, err := json.Marshal(&r.notes)
	if err != nil {
		return nil, fmt.Errorf("encode notes: %w", err)
	}
	return joinParts(f, n), nil
}

// planned is the payload of would_fix.
func (r *record) planned() ([]byte, error) {
	f, err := json.Marshal(&Planned{Finding: r.finding, Action: r.notes.Action, Writes: r.notes.Writes})
	if err != nil {
		return nil, fmt.Errorf("encode planned repair: %w", err)
	}
	n, err := json.Marshal(&r.notes)
	if err != nil {
		return nil, fmt.Errorf("encode notes: %w", err)
	}
	return joinParts(f, n), nil
}

// readPayload is the inverse for the reports that need the parts.
func readPayload(payload []byte) (f Finding, n notes, err error) {
	first, second, err := splitParts(payload)
	if err == nil {
		err = json.Unmarshal(first, &f)
	}
	if err == nil {
		err = json.Unmarshal(second, &n)
	}
	if err != nil {
		return f, n, fmt.Errorf("read finding back: %w", err)
	}
	return f, n, nil
}

// keyOf puts findings into the original's order: phase 1 by name and then the
// newest application, 3 and 4 the newest quest first; 2 and 5, where the
// original has no order, by name. The phases that it did not have are alike: by
// name what is about a person, the newest quest first what is about a quest.
func keyOf(c *remedy.Case, v *rule.Violation) key {
	k := key{int64(v.Rule)}
	switch v.Rule {
	case rule.MissingParticipant:
		k[1], k[2], k[3] = rankOf(c, v.User), ^int64(timesOf(c, v.Application).Applied), v.Application
	case rule.OpenWithParticipants, rule.Unassigned, rule.IdleInProgress, rule.ActiveAfterCompletion:
		k[1], k[2] = ^int64(c.Created), c.Quest.ID
	case rule.OrphanParticipant, rule.DuplicateParticipant, rule.ApprovedButDropped:
		k[1], k[2], k[3] = rankOf(c, v.User), c.Quest.ID, v.Participants[0]
	case rule.AssigneeNotParticipant:
		k[1], k[2] = rankOf(c, v.User), c.Quest.ID
	case rule.DanglingReference:
		k[1] = c.Quest.ID
	}
	return k
}

func idOf(c *remedy.Case, u quest.User) *string {
	if u == 0 {
		return nil
	}
	id := c.People[u].ID
	return &id
}

func nameOf(c *remedy.Case, u quest.User) *string {
	if u == 0 || c.People[u].Rank == 0 {
		return nil
	}
	name := c.People[u].Name
	return &name
}

// display is a person for human eyes: the name, or the id where there is none.
func display(c *remedy.Case, u quest.User) string {
	if name := nameOf(c, u); name != nil {
		return *name
	}
	if id := idOf(c, u); id != nil {
		return *id
	}
	return "nobody"
}
