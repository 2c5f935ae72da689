package remedy

import "github.com/peerquest/questwatch/internal/quest"

// Case is one quest as a database shows it at one moment, with what a repair and
// a report need and the rules do not: names, and the times by which the original
// audit ordered its work.
type Case struct {
	Quest quest.Quest
	// Created is the quest's created_at.
	Created Micros
	// Times has an entry for each of the quest's applications, in their order.
	Times []ApplicationTimes
	// People has an entry for each quest.User of the quest; the first is nobody.
	People []Person
}

// Micros is a moment in microseconds since 1970; 0 is none.
type Micros int64

// ApplicationTimes is when an application was made and when it was decided.
type ApplicationTimes struct{ Applied, Reviewed Micros }

// Person is somebody with a row in the quest, or its assignee.
type Person struct {
	ID string
	// Name is "" for an id that the user table does not have, and for an assignee
	// without a row where the reading's scope does not ask for assignees.
	Name string
	// Rank is the person's place among all users by name, as the database sorts
	// names; 0 where the name is not known.
	Rank int64
}

// Scope says what a reading covers.
type Scope struct {
	// User confines it, by name, to the quests where that person has a row; "" is
	// everybody.
	User string
	// Assignees counts being a quest's assignee like a row of it: the assignee has a
	// name, and the quest is his.
	Assignees bool
}

// Census is what a reading says before its first quest.
type Census struct {
	// People counts those with at least one application or participant.
	People int64
	// Quests is about how many quests will come.
	Quests int64
	// UserID is the id of the person that the reading was confined to, or "".
	UserID string
}

// Receipt says what a repair wrote.
type Receipt struct {
	// Inserted has the id of each participant inserted, in the order of the writes.
	Inserted []int64
	// Undo is the SQL that takes the repair back, a statement an entry.
	Undo []string
}
