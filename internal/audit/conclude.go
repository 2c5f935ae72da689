package audit

import (
	"fmt"

	"github.com/peerquest/questwatch/internal/rule"
)

// observations say what the findings have in common, as far as the data shows.
func (r *Result) observations() []string {
	if r.Stats.IssuesFound == 0 {
		return []string{"Nothing was found, so there is nothing to explain."}
	}
	var out []string
	for _, rl := range rule.All {
		if n := r.Stats.ByRule.Of(rl); n > 0 {
			out = append(out, r.observed(rl, n)...)
		}
	}
	return append(out, r.concentrations()...)
}

// observed says what n findings of a rule come from.
func (r *Result) observed(rl rule.Rule, n int64) []string {
	switch rl {
	case rule.MissingParticipant:
		return r.aboutMissing(n)
	case rule.OrphanParticipant:
		return []string{fmt.Sprintf("%s without an approved application. Kicks, direct assignments and approvals taken back all "+
			"leave this behind; which of them it was, the tables do not say.", count(n, "participant row"))}
	case rule.OpenWithParticipants:
		return []string{isAre(n, "quest") + " open though somebody takes part: a status that was never moved on, or one that was set back."}
	case rule.Unassigned:
		return []string{isAre(n, "quest") + " assigned to nobody though somebody takes part: an assignment that was never written, or one that was cleared."}
	case rule.DuplicateParticipant:
		return []string{count(n, "pair") + " of quest and person with more than one participant row: the unique constraint is missing, or was."}
	case rule.AssigneeNotParticipant:
		return []string{isAre(n, "quest") + " assigned to somebody who does not take part. A kick or a departure leaves this behind where the quest " +
			"goes on, and so does an assignment whose participant was never written. A row that has dropped out speaks for the former; " +
			"without one the tables do not say."}
	case rule.IdleInProgress:
		return []string{isAre(n, "quest") + " in progress though nobody takes part: all of them left and the status stayed, or it was set by hand."}
	case rule.ApprovedButDropped:
		return []string{isAre(n, "application") + " approved though the participant has dropped out: the participant row alone was changed."}
	case rule.ActiveAfterCompletion:
		return []string{isAre(n, "quest") + " completed with participants still at work: the completion did not reach them, or they joined after it."}
	case rule.DanglingReference:
		return []string{isAre(n, "quest") + " referred to by applications or participants without existing: the foreign keys are missing, or were not checked."}
	}
	return nil
}

func (r *Result) aboutMissing(n int64) []string {
	e := &r.evidence
	out := []string{fmt.Sprintf("%s approved without a participant row. Two things leave that picture: an approval whose "+
		"participant was never written (assign_to_user failing inside approve), and a person who left or was removed afterwards. "+
		"A snapshot cannot tell them apart; the history of changes can.", isAre(n, "application"))}
	add := func(p pattern, text string) {
		if c := e.patterns[p]; c > 0 {
			out = append(out, fmt.Sprintf("%d of %d: %s", c, n, text))
		}
	}
	add(untouched, "the quest is open, unassigned and without participants. Nothing of the approval ever reached the quest, or all of it was taken back.")
	add(assignedToThem, "the quest is assigned to the person. The assignment was written; the participant was not, or was deleted later.")
	add(others, "other people take part in the quest.")
	add(otherwise, "the quest has no participants, and its row shows no trace of this person.")
	if e.reviewed > 0 {
		out = append(out, fmt.Sprintf("%d of %d have a review time: from %s to %s.", e.reviewed, n, when(e.first), when(e.last)))
	}
	return out
}

// concentrations name a person who has most of a rule's findings.
func (r *Result) concentrations() []string {
	var out []string
	for _, rl := range rule.All {
		n, top := r.Stats.ByRule.Of(rl), r.evidence.top[rl]
		if n >= 3 && top.count*2 > n && r.PeopleAffected > 1 {
			out = append(out, fmt.Sprintf("%s concern mostly %s (%d of %d).", heading(rl), clean(top.name), top.count, n))
		}
	}
	return out
}

// recommendations follow from what was found.
func (r *Result) recommendations() []string {
	var out []string
	c := &r.Stats.ByRule
	if c.Of(rule.MissingParticipant) > 0 {
		out = append(out,
			"Let approve() fail loudly: log errors of assign_to_user(), and write application, participant and quest in one transaction.",
			"Add tests for the approval workflow's failures.")
	}
	if c.Of(rule.OpenWithParticipants)+c.Of(rule.Unassigned) > 0 {
		out = append(out, "Write the quest's status and assignee in the transaction that writes the participant.",
			"Save only the fields that changed: a stale object that is saved whole undoes what others committed.")
	}
	if c.Of(rule.DuplicateParticipant) > 0 {
		out = append(out, "Remove the duplicates by hand, then add a unique constraint on (quest, user).")
	}
	if c.Of(rule.OrphanParticipant) > 0 {
		out = append(out, "Look at the participants without an approved application one by one; nothing repairs them by itself.")
	}
	if c.Of(rule.AssigneeNotParticipant)+c.Of(rule.IdleInProgress)+c.Of(rule.ApprovedButDropped) > 0 {
		out = append(out, "When somebody leaves or is kicked, write the application, the quest's assignee and its status in the same transaction.")
	}
	if c.Of(rule.ActiveAfterCompletion) > 0 {
		out = append(out, "Complete a quest and its participants in one transaction.")
	}
	if c.Of(rule.DanglingReference) > 0 {
		out = append(out, "Remove the rows of quests that do not exist, then add the foreign keys.")
	}
	if r.Config.Mode() == "read_only" && r.Stats.IssuesFound > 0 {
		out = append(out, "Run the audit with --fix --dry-run to see what a repair would write.")
	}
	return append(out,
		"Run questwatch run: it finds such a state within seconds, and tells a failed approval from a person who left.",
		"Otherwise schedule this audit, and alert on its exit status.")
}

func isAre(n int64, noun string) string {
	if n == 1 {
		return "1 " + noun + " is"
	}
	return count(n, noun) + " are"
}
