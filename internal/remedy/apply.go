package remedy

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/peerquest/questwatch/internal/quest"
)

// ErrPrecondition means that the quest is not as the plan expects it.
var ErrPrecondition = errors.New("quest is not as the plan expects it")

// Apply carries out writes on a quest in memory. A participant that is inserted
// joined later than anybody else. The quest's participants are changed in place,
// so that a repair of many rows stays fast: give it a copy that may be thrown
// away, which it must be after an error.
func Apply(writes []Write, q *quest.Quest) error {
	for i := range writes {
		if err := apply(&writes[i], q); err != nil {
			return fmt.Errorf("apply write %d to quest %d: %w", i+1, q.ID, err)
		}
	}
	return nil
}

func apply(w *Write, q *quest.Quest) error {
	switch w.Kind {
	case InsertParticipant:
		i, found := find(q, w.Participant)
		if found || q.HasParticipant(w.User) {
			return ErrPrecondition
		}
		q.Participants = slices.Insert(q.Participants, i, quest.Participant{
			ID: w.Participant, User: w.User, Status: quest.Joined, Joined: math.MaxInt64,
		})
	case DeleteParticipant:
		i, found := find(q, w.Participant)
		if !found || q.Participants[i].User != w.User {
			return ErrPrecondition
		}
		q.Participants = slices.Delete(q.Participants, i, i+1)
	case ReactivateParticipant:
		i, found := find(q, w.Participant)
		if !found || q.Participants[i].User != w.User || q.Participants[i].Status != w.WasState {
			return ErrPrecondition
		}
		q.Participants[i].Status = w.State
	case SetAssignee:
		if q.Assigned != w.WasAssigned {
			return ErrPrecondition
		}
		q.Assigned = w.Assign
	case SetStatus:
		if q.Status != w.WasStatus {
			return ErrPrecondition
		}
		q.Status = w.Status
	default:
		return fmt.Errorf("unknown kind of write %d", w.Kind)
	}
	return nil
}

func find(q *quest.Quest, id int64) (int, bool) {
	return slices.BinarySearchFunc(q.Participants, id, func(p quest.Participant, id int64) int { return cmp.Compare(p.ID, id) })
}
