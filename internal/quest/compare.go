package quest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/peerquest/questwatch/internal/change"
)

// Difference is a column, or a whole row, that is not the same in the database and
// in the state. It holds ids and roles and nothing that people wrote.
type Difference struct {
	Entity string `json:"entity"`
	ID     int64  `json:"id"`
	// Column is title, status, assigned, deleted, user or joined; row for a row that
	// one of the two does not have.
	Column   string `json:"column"`
	Database string `json:"database,omitempty"`
	State    string `json:"state,omitempty"`
}

func (d Difference) String() string {
	text := fmt.Sprintf("%s %d %s", d.Entity, d.ID, d.Column)
	if d.Database == "" && d.State == "" {
		return text + " differs"
	}
	return fmt.Sprintf("%s: %s in the database, %s in the state", text, orNothing(d.Database), orNothing(d.State))
}

func orNothing(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

// maxTitle is from which size on a title may be left out of the stream, so that the
// state has an older one. What is left out first, and only from messages that are
// larger than NATS takes, is larger than this.
const maxTitle = 32 << 10

// Compare lists how the rows of a quest differ in the database and in the state,
// each with its own table of people; nil is a quest of which there is no row.
// History is not compared: the database has none.
func Compare(id int64, database *Quest, known *Users, state *Quest, users *Users) []Difference {
	if database == nil {
		database = &Quest{}
	}
	if state == nil {
		state = &Quest{}
	}
	c := comparison{database: known, state: users}
	c.quest(id, database, state)
	both(database.Applications, state.Applications, func(a Application) int64 { return a.ID }, c.application)
	both(database.Participants, state.Participants, func(p Participant) int64 { return p.ID }, c.participant)
	return c.found
}

type comparison struct {
	database, state *Users
	entity          change.Entity
	id              int64
	found           []Difference
}

// both goes through two lists in the order of their ids; a row that one of them
// does not have is nil there.
func both[Row any](a, b []Row, id func(Row) int64, visit func(x, y *Row)) {
	for len(a) > 0 || len(b) > 0 {
		var x, y *Row
		if len(b) == 0 || len(a) > 0 && id(a[0]) <= id(b[0]) {
			x = &a[0]
		}
		if len(a) == 0 || len(b) > 0 && id(b[0]) <= id(a[0]) {
			y = &b[0]
		}
		if x != nil {
			a = a[1:]
		}
		if y != nil {
			b = b[1:]
		}
		visit(x, y)
	}
}

// row notes a row that one of the two does not have, and reports whether both do.
func (c *comparison) row(e change.Entity, id int64, database, state bool) (both bool) {
	c.entity, c.id = e, id
	if database != state {
		c.note("row", presence(database), presence(state))
	}
	return database && state
}

func presence(there bool) string {
	if there {
		return "present"
	}
	return "absent"
}

func (c *comparison) note(column, database, state string) {
	c.found = append(c.found, Difference{c.entity.String(), c.id, column, database, state})
}

func (c *comparison) user(column string, database, state User) {
	if x, y := c.database.Text(database), c.state.Text(state); x != y {
		c.note(column, short(x), short(y))
	}
}

// short cuts an id that is no id.
func short(id string) string {
	const longest = 64
	if len(id) > longest {
		return strings.ToValidUTF8(id[:longest], "") + "…"
	}
	return id
}

func (c *comparison) quest(id int64, x, y *Quest) {
	if !c.row(change.Quest, id, x.Exists, y.Exists) {
		return
	}
	if len(x.Title) < maxTitle && string(x.Title) != string(y.Title) {
		c.note("title", "", "")
	}
	if x.Status != y.Status {
		c.note("status", x.Status.String(), y.Status.String())
	}
	c.user("assigned", x.Assigned, y.Assigned)
	if x.Deleted != y.Deleted {
		c.note("deleted", strconv.FormatBool(x.Deleted), strconv.FormatBool(y.Deleted))
	}
}

func (c *comparison) application(x, y *Application) {
	if !c.row(change.Application, idOf(x, y, func(a *Application) int64 { return a.ID }), x != nil, y != nil) {
		return
	}
	c.user("user", x.User, y.User)
	if x.Status != y.Status {
		c.note("status", wordOf(applicationWords, x.Status), wordOf(applicationWords, y.Status))
	}
}

func (c *comparison) participant(x, y *Participant) {
	if !c.row(change.Participant, idOf(x, y, func(p *Participant) int64 { return p.ID }), x != nil, y != nil) {
		return
	}
	c.user("user", x.User, y.User)
	if x.Status != y.Status {
		c.note("status", wordOf(participantWords, x.Status), wordOf(participantWords, y.Status))
	}
	if x.Joined != y.Joined {
		c.note("joined", strconv.FormatInt(x.Joined, 10), strconv.FormatInt(y.Joined, 10))
	}
}

// idOf is the id of whichever row there is.
func idOf[Row any](x, y *Row, id func(*Row) int64) int64 {
	if x != nil {
		return id(x)
	}
	return id(y)
}

// The roles' names, in their order.
var (
	applicationWords = []string{"other", "pending", "approved", "rejected", "kicked"}
	participantWords = []string{"other", "joined", "in_progress", "completed", "dropped"}
)

func wordOf[Role ~uint8](words []string, role Role) string {
	if int(role) < len(words) {
		return words[role]
	}
	return strconv.Itoa(int(role))
}
