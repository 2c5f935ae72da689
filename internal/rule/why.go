package rule

import (
	"fmt"
	"strings"
)

// Facts are what a sentence about a finding names, each in the form in which it is
// to be shown. What is not known is empty.
type Facts struct {
	// Person is whom the finding is about, or "" for a rule about the whole quest.
	Person                     string
	Application                int64
	Participants, Applications []int64
	// Grace is how long the rule was violated before it was a finding; "" for none.
	Grace string
	// The moments below are the last of their kind at or before the transaction that
	// began the violation: the approval of Application; the arrival of a participant of
	// the person, or of anybody where the rule is about the whole quest, and the change
	// of its status or the departure, which is what Left is when nobody is left; a change
	// that took the status of an application of the person back; one that left the quest
	// assigned to nobody; the deletion of the quest's row.
	Approved, Joined, Left, Revoked, Cleared, Deleted string
	// Baseline is the moment of the baseline that showed the violation, "" where a
	// transaction began it. Emptied says that it was no baseline but a TRUNCATE, after
	// which everything is looked at as after a baseline.
	Baseline string
	Emptied  bool
}

// Sentence says what is wrong and why, as far as the history of changes shows it.
func Sentence(r Rule, c Cause, f *Facts) string {
	text := What(r, f)
	if why := Why(c, f); why != "" {
		text += ": " + why
	}
	switch {
	case f.Emptied:
		text += "; a table was emptied" + at(f.Baseline)
	case f.Baseline != "":
		text += "; so it was at the baseline of " + f.Baseline
	}
	return text + "."
}

// What says in a clause what is wrong. A rule that has no clause of its own gets the
// words that it is violated with.
func What(r Rule, f *Facts) string {
	if say := clauses[r]; say != nil {
		return say(f)
	}
	text := "The quest violates " + r.String()
	if f.Person != "" {
		text += " for " + f.Person
	}
	return text
}

var clauses = map[Rule]func(*Facts) string{
	MissingParticipant: func(f *Facts) string {
		return fmt.Sprintf("Approved application %d of %s has no participant", f.Application, f.Person)
	},
	OrphanParticipant: func(f *Facts) string {
		has := "has"
		if len(f.Participants) > 1 {
			has = "have"
		}
		return fmt.Sprintf("%s of %s %s no approved application", capital(rows("participant", f.Participants)), f.Person, has)
	},
	OpenWithParticipants: func(f *Facts) string {
		return "The quest is open and somebody takes part" + inParens(f.Participants)
	},
	Unassigned: func(f *Facts) string {
		return "The quest is assigned to nobody and somebody takes part" + inParens(f.Participants)
	},
	DuplicateParticipant: func(f *Facts) string {
		return fmt.Sprintf("%s has %d rows in the quest%s", f.Person, len(f.Participants), inParens(f.Participants))
	},
	AssigneeNotParticipant: func(f *Facts) string {
		return fmt.Sprintf("The quest is assigned to %s, who does not take part", f.Person)
	},
	IdleInProgress: func(*Facts) string { return "The quest is in progress and nobody takes part" },
	ApprovedButDropped: func(f *Facts) string {
		return fmt.Sprintf("Application %d of %s is approved and the person has dropped out%s", f.Application, f.Person, inParens(f.Participants))
	},
	ActiveAfterCompletion: func(f *Facts) string {
		return "The quest is completed and somebody is still at work" + inParens(f.Participants)
	},
	DanglingReference: func(f *Facts) string {
		return "The quest does not exist and is referred to by " + referrers(&Violation{Applications: f.Applications, Participants: f.Participants})
	},
}

// Why says in a clause what the history of changes shows of a cause. A cause that
// has no clause of its own is named.
func Why(c Cause, f *Facts) string {
	if say := reasons[c]; say != nil {
		return say(f)
	}
	return strings.ReplaceAll(string(c), "_", " ")
}

var reasons = map[Cause]func(*Facts) string{
	ApprovalFailed: func(f *Facts) string {
		text := "it was approved and no participant came"
		if f.Approved != "" {
			text = fmt.Sprintf("the approval committed at %s and no participant came", f.Approved)
		}
		if f.Grace == "" {
			return text + " with it"
		}
		return text + " within the grace of " + f.Grace
	},
	Departed: func(f *Facts) string {
		return fmt.Sprintf("there was one, who left%s; a departure and no failure", at(f.Left))
	},
	DirectJoin: func(f *Facts) string {
		return fmt.Sprintf("the person joined%s without an application", at(f.Joined))
	},
	Revoked: func(f *Facts) string {
		return fmt.Sprintf("an approval was taken back%s and the participant stayed", at(f.Revoked))
	},
	Released: func(f *Facts) string {
		return fmt.Sprintf("the assignee was cleared%s while somebody took part", at(f.Cleared))
	},
	StatusLost: func(f *Facts) string {
		return f.so("nothing in the history explains it", "the change of status was lost")
	},
	AssignmentLost: func(f *Facts) string {
		return f.so("the history does not show the assignee cleared", "the assignment was lost")
	},
	Duplicated: func(f *Facts) string {
		return "the person was added more than once" + lastly(f.Joined)
	},
	AssigneeLeft: func(f *Facts) string {
		return fmt.Sprintf("the person left or was kicked%s and the quest still names them", at(f.Left))
	},
	NeverJoined: func(*Facts) string {
		return "it was assigned without a participant, and none has come since"
	},
	Idle: func(f *Facts) string {
		if f.Left != "" {
			return "the last one went at " + f.Left
		}
		return "the last participant went and the status stayed, or nobody ever came"
	},
	DroppedOut: func(f *Facts) string {
		if f.Left != "" {
			return "that was at " + f.Left + " and the application was left as it was"
		}
		return "the application was left as it was"
	},
	Unfinished: func(*Facts) string { return "the completion did not reach them" },
	QuestMissing: func(f *Facts) string {
		if f.Deleted != "" {
			return "its row was deleted at " + f.Deleted
		}
		return "its row was deleted or never came"
	},
	Unknown: func(*Facts) string {
		return "the history does not tell how that came about"
	},
}

// so concludes from the silence of the history, where it would have told.
func (f *Facts) so(silence, conclusion string) string {
	if f.Baseline != "" {
		return silence
	}
	return silence + ", so " + conclusion
}

func inParens(ids []int64) string {
	if len(ids) == 0 {
		return ""
	}
	return " (" + rows("participant", ids) + ")"
}

func at(moment string) string {
	if moment == "" {
		return ""
	}
	return " at " + moment
}

func lastly(moment string) string {
	if moment == "" {
		return ""
	}
	return ", last at " + moment
}

func capital(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
