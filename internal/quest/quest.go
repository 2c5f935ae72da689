package quest

import (
	"cmp"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/change"
)

// User is a person's id, interned by Users. 0 is nobody.
type User uint32

// Quest is one quest as its rows and their history show it: the form that is
// worked with. A State keeps a shorter one.
type Quest struct {
	ID           int64
	Title        string
	Applications []Application // by id
	Participants []Participant // by id
	// Departures are the pairs that had a participant, have none now, and have not
	// been approved since; by user.
	Departures []Departure
	// Released is the commit that last cleared the assignee while participants
	// remained, or 0; a new assignee or a new participant ends it.
	Released change.LSN
	// Left is the commit in which the assignee ceased to take part while the quest
	// went on naming him, or 0; another assignee ends it, and his coming back.
	Left     change.LSN
	Assigned User
	Status   Status
	// Handed says that the stream saw the quest being assigned to its assignee.
	Handed bool
	// Exists is false for a quest whose row is not there.
	Exists, Deleted bool
}

// Application is a row of the application table.
type Application struct {
	ID int64
	// Approved is the commit in which the stream saw it become approved; 0 when it
	// is not, or has been since before the stream, or came approved from another quest
	// or from under another id.
	Approved change.LSN
	// ApprovedAt is when Approved committed, by the database's clock.
	ApprovedAt change.Millis
	User       User
	Status     ApplicationStatus
	// Revoked says that the stream saw an approval of it taken back.
	Revoked bool
	// Met says that a transaction since Approved, or that one itself, left the person
	// with a participant row.
	Met bool
}

// Participant is a row of the participant table.
type Participant struct {
	ID int64
	// Joined is joined_at in microseconds since 1970.
	Joined int64
	User   User
	Status ParticipantStatus
	// Direct says that the stream saw the row come while the person had no
	// application for the quest.
	Direct bool
	// Withdrawn says that the stream saw an approved application of the person go
	// since the last approval: the row is gone that Revoked would stand in.
	Withdrawn bool
}

// Departure says that the last participant row of a person was deleted.
type Departure struct {
	User User
	At   change.LSN
}

// titleShown is how many bytes of a title are shown.
const titleShown = 400

// ShownTitle is the title, or the beginning of one that is so long that it would not
// go into an event: there is no bound to what people write.
func (q *Quest) ShownTitle() string {
	if len(q.Title) <= titleShown {
		return q.Title
	}
	return strings.ToValidUTF8(q.Title[:titleShown], "") + "…"
}

// Active reports whether the participant has not dropped out.
func (p *Participant) Active() bool { return p.Status != Dropped }

// HasParticipant reports whether the person has a row of any status.
func (q *Quest) HasParticipant(u User) bool {
	return slices.ContainsFunc(q.Participants, func(p Participant) bool { return p.User == u })
}

// participants is HasParticipant, to be asked so many times while the rows stay as
// they are. A quest of very many gets a set.
func (q *Quest) participants(times int) participants {
	if times*len(q.Participants) <= 4096 {
		return participants{quest: q}
	}
	people := make(map[User]struct{}, len(q.Participants))
	for i := range q.Participants {
		people[q.Participants[i].User] = struct{}{}
	}
	return participants{people: people}
}

type participants struct {
	quest  *Quest
	people map[User]struct{} // where quest is nil
}

func (p *participants) have(u User) bool {
	if p.quest != nil {
		return p.quest.HasParticipant(u)
	}
	_, found := p.people[u]
	return found
}

// HasApplication reports whether the person ever applied, as far as rows show.
func (q *Quest) HasApplication(u User) bool {
	return slices.ContainsFunc(q.Applications, func(a Application) bool { return a.User == u })
}

// HasApproved reports whether an application of the person is approved.
func (q *Quest) HasApproved(u User) bool {
	return slices.ContainsFunc(q.Applications, func(a Application) bool {
		return a.User == u && a.Status == Approved
	})
}

// IsPending reports whether an application is there and pending.
func (q *Quest) IsPending(application int64) bool {
	i, found := q.findApplication(application)
	return found && q.Applications[i].Status == Pending
}

// IsOf reports whether an application is there and the person's.
func (q *Quest) IsOf(application int64, u User) bool {
	i, found := q.findApplication(application)
	return found && q.Applications[i].User == u
}

// Departed reports whether the person left after the last approval.
func (q *Quest) Departed(u User) bool {
	_, found := q.findDeparture(u)
	return found
}

// TakesPart reports whether the person has a participant row that has not dropped
// out.
func (q *Quest) TakesPart(u User) bool {
	return slices.ContainsFunc(q.Participants, func(p Participant) bool { return p.User == u && p.Active() })
}

// Actives counts the participants who have not dropped out.
func (q *Quest) Actives() int {
	n := 0
	for i := range q.Participants {
		if q.Participants[i].Active() {
			n++
		}
	}
	return n
}

// Earliest is the active participant who joined first, the lower id where two
// joined at once; nil without any.
func (q *Quest) Earliest() *Participant {
	var first *Participant
	for i := range q.Participants {
		p := &q.Participants[i]
		if p.Active() && (first == nil || p.Joined < first.Joined) {
			first = p
		}
	}
	return first
}

// empty reports whether nothing is left that anybody could ask for.
func (q *Quest) empty() bool {
	return !q.Exists && len(q.Applications) == 0 && len(q.Participants) == 0
}

func (q *Quest) findApplication(id int64) (int, bool) {
	return slices.BinarySearchFunc(q.Applications, id, func(a Application, id int64) int { return cmp.Compare(a.ID, id) })
}

func (q *Quest) findParticipant(id int64) (int, bool) {
	return slices.BinarySearchFunc(q.Participants, id, func(p Participant, id int64) int { return cmp.Compare(p.ID, id) })
}

func (q *Quest) findDeparture(u User) (int, bool) {
	return slices.BinarySearchFunc(q.Departures, u, func(d Departure, u User) int { return cmp.Compare(d.User, u) })
}

// depart records that a participant row went, unless another of the pair is
// left.
func (q *Quest) depart(u User, at change.LSN) {
	if q.HasParticipant(u) {
		return
	}
	i, found := q.findDeparture(u)
	if found {
		q.Departures[i].At = at
		return
	}
	q.Departures = slices.Insert(q.Departures, i, Departure{User: u, At: at})
}

// withdrawn notes whether an approved application of the person has gone.
func (q *Quest) withdrawn(u User, gone bool) {
	for i := range q.Participants {
		if p := &q.Participants[i]; p.User == u {
			p.Withdrawn = gone
		}
	}
}

// undepart forgets a departure: the person came back, or was approved anew.
func (q *Quest) undepart(u User) {
	if i, found := q.findDeparture(u); found {
		q.Departures = slices.Delete(q.Departures, i, i+1)
	}
}
