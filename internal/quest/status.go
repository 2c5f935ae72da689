package quest

// Status is a quest's status, by its role in the workflow.
type Status uint8

// The roles of quest statuses. Other is any word that has none.
const (
	Other Status = iota
	Open
	InProgress
	Completed
)

// ApplicationStatus is an application's status, by its role.
type ApplicationStatus uint8

// The roles of application statuses.
const (
	OtherApplication ApplicationStatus = iota
	Pending
	Approved
	Rejected
	Kicked
)

// ParticipantStatus is a participant's status, by its role.
type ParticipantStatus uint8

// The roles of participant statuses.
const (
	OtherParticipant ParticipantStatus = iota
	Joined
	Working // in_progress
	Finished
	Dropped
)

// Statuses are the words that stand for the roles in the database. A word that
// is in none of the maps has the role Other.
type Statuses struct {
	Quest       map[string]Status
	Application map[string]ApplicationStatus
	Participant map[string]ParticipantStatus
	// Started and Joined are the words that a repair writes for InProgress and
	// Joined; "" where there is but one.
	Started, Joined string
}

// PeerQuest is the application's own words.
func PeerQuest() Statuses {
	return Statuses{
		Quest:       map[string]Status{"open": Open, "in-progress": InProgress, "completed": Completed},
		Application: map[string]ApplicationStatus{"pending": Pending, "approved": Approved, "rejected": Rejected, "kicked": Kicked},
		Participant: map[string]ParticipantStatus{"joined": Joined, "in_progress": Working, "completed": Finished, "dropped": Dropped},
	}
}

func (s Status) String() string {
	switch s {
	case Open:
		return "open"
	case InProgress:
		return "in_progress"
	case Completed:
		return "completed"
	case Other:
	}
	return "other"
}
