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
	if n := r.Stats.ByRule.Of(rule.MissingParticipant); n > 0 {
		out = append(out, r.aboutMissing(n)...)
	}
	if n := r.Stats.ByRule.Of(rule.OrphanParticipant); n > 0 {
		out = append(out, fmt.Sprintf("%s without an approved application. Kicks, direct assignments and approvals taken back all "+
			"leave this behind; which of them it was, the tables do not say.", count(n, "participant row")))
	}
	if n := r.Stats.ByRule.Of(rule.OpenWithParticipants); n > 0 {
		out = append(out, fmt.Sprintf("%s open though somebody takes part: a status that was never moved on, or one that was set back.",
			isAre(n, "quest")))
	}
	if n := r.Stats.ByRule.Of(rule.Unassigned); n > 0 {
		out = append(out, fmt.Sprintf("%s assigned to nobody though somebody takes part: an assignment that was never written, or one that was cleared.",
			isAre(n, "quest")))
	}
	if n := r.Stats.ByRule.Of(rule.DuplicateParticipant); n > 0 {
		out = append(out, fmt.Sprintf("%s of quest and person with more than one participant row: the unique constraint is missing, or was.",
			count(n, "pair")))
	}
	return append(out, r.concentrations()...)
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
