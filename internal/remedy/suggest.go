package remedy

import "github.com/peerquest/questwatch/internal/rule"

// Suggest says what a person can do about a violation that has no repair, and "" of
// one that has.
func Suggest(r rule.Rule, c rule.Cause) string {
	switch rule.ActionFor(r, c) {
	case rule.Repair, rule.OnRequest:
		return ""
	case rule.Flag, rule.Never:
	}
	if text := suggestions[subject{r, c}]; text != "" {
		return text
	}
	return suggestions[subject{rule: r}]
}

// suggestions are by rule and cause, or by rule alone where the cause does not matter.
var suggestions = map[subject]string{
	{rule.MissingParticipant, rule.Departed}: "nothing needs to be done: the person left. Reject the application to end the finding, or add the person again",
	{rule.OrphanParticipant, rule.DirectJoin}: "nothing needs to be done where people are added by hand. To end the finding, have the person apply and be approved, " +
		"or remove them from the quest",
	{rule.OrphanParticipant, rule.Revoked}: "decide which is meant: approve the application again, or remove the person from the quest",
	{rule.OrphanParticipant, rule.Unknown}: "find out who added the person: approve an application of theirs, or remove them from the quest",
	{rule: rule.DuplicateParticipant}: "keep one of the rows and delete the others by hand; a unique constraint, as in deploy/postgres/constraints.sql, " +
		"keeps it from coming again",
	{rule: rule.AssigneeNotParticipant}:             "assign the quest to somebody who takes part, or to nobody",
	{rule.AssigneeNotParticipant, rule.NeverJoined}: "add the assignee as a participant, or assign the quest to somebody who takes part",
	{rule: rule.IdleInProgress}:                     "open the quest again, complete it, or let somebody join",
	{rule: rule.ApprovedButDropped}:                 "reject the application if the person is out for good; with repair.reactivate there is a repair that brings them back",
	{rule: rule.ActiveAfterCompletion}:              "complete the participants too, or set the quest back in progress if the work goes on",
	{rule: rule.DanglingReference}:                  "restore the quest from a backup, or delete the rows that refer to it",
}
