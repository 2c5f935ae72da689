package replay

import (
	"encoding/json"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// Evidence is a finding with what led to it. Its JSON form is public.
type Evidence struct {
	Finding event.Finding `json:"finding"`
	State   string        `json:"state"` // open, resolved
	// Why says it in a sentence. It holds people's names where they are known.
	Why string `json:"why"`
	// Names are those of the people who are mentioned, by id.
	Names map[string]string `json:"names"`
	// Transactions are those that led to it, in the order of the stream.
	Transactions []*Transaction `json:"transactions"`
	// LeftOut counts others for which the limit had no room, older ones first.
	LeftOut int `json:"left_out"`
	// Incidents happened to the stream or to a table as a whole in between.
	Incidents []*Incident `json:"incidents"`
	History   History     `json:"history"`
}

// State of a finding.
const (
	Open     = "open"
	Resolved = "resolved"
)

// Position is a place in Postgres's log, for programs and for people.
type Position struct {
	LSN  change.LSN `json:"lsn"`
	Text string     `json:"text"`
}

func positionOf(l change.LSN) *Position {
	if l == 0 {
		return nil
	}
	return &Position{l, l.String()}
}

// Transaction is what one transaction did to the quest, or what a baseline showed.
type Transaction struct {
	ID     uint64        `json:"id"` // 0 for a baseline
	Commit *Position     `json:"commit"`
	End    *Position     `json:"end,omitempty"`
	Time   change.Millis `json:"ts_ms"`
	Stamp  string        `json:"committed_at"`
	Epoch  uint64        `json:"epoch"`
	// Baseline says that nobody wrote these rows: they were there.
	Baseline bool `json:"baseline,omitempty"`
	// Began and Ended mark the one that began the violation and the one that ended it.
	Began bool `json:"began,omitempty"`
	Ended bool `json:"ended,omitempty"`
	// Sequence is that of its first message about the quest.
	Sequence change.Seq `json:"sequence"`
	Changes  []*Change  `json:"changes"`
	// More counts changes like these for which there was no room; Others, those of
	// rows of the quest that the finding is not about.
	More   int `json:"more_changes,omitempty"`
	Others int `json:"other_changes,omitempty"`
	// Repair is there when it says that it was a repair of the quest, or undid one.
	Repair *Repair `json:"repair,omitempty"`

	last change.Seq // of its messages
}

// Repair is what a transaction says of itself.
type Repair struct {
	Entry     int64  `json:"entry"` // of the journal
	Undoes    int64  `json:"undoes,omitempty"`
	Finding   string `json:"finding"`
	Action    string `json:"action"`
	Actor     string `json:"actor"`
	Automatic bool   `json:"automatic"`
}

// Change is what became of a row.
type Change struct {
	Entity string    `json:"entity"`
	ID     int64     `json:"id"`
	Op     string    `json:"op"` // c, u, d, r as in the stream
	At     *Position `json:"at,omitempty"`
	// Moved marks the halves of a row that changed its id or its quest.
	Moved bool `json:"moved,omitempty"`
	// Gone marks a row that a baseline did not show any more.
	Gone bool `json:"gone,omitempty"`
	// Columns are those that changed, or all of a row that came or went.
	Columns []Column `json:"columns"`
	// Unchanged are columns that Postgres did not send, Omitted those left out for
	// their size.
	Unchanged []string `json:"unchanged,omitempty"`
	Omitted   []string `json:"omitted,omitempty"`

	unknown bool // what was there before is not in the message
}

// Column is a column's value before and after, as JSON; nil where there was no row.
type Column struct {
	Column string          `json:"column"`
	Before json.RawMessage `json:"before,omitempty"`
	After  json.RawMessage `json:"after,omitempty"`
	// Cut says that a value is too long and only its beginning is here, as a text.
	Cut bool `json:"cut,omitempty"`

	role role
}

// Incident is something that befell the stream, or a table.
type Incident struct {
	Kind     string        `json:"kind"` // gap, truncated, schema_changed
	Sequence change.Seq    `json:"sequence"`
	Time     change.Millis `json:"ts_ms"`
	Stamp    string        `json:"at"`
	Epoch    uint64        `json:"epoch"`
	// Transaction is the one that did it, 0 for a gap.
	Transaction uint64    `json:"transaction,omitempty"`
	Commit      *Position `json:"commit,omitempty"`
	Began       bool      `json:"began,omitempty"`
	Ended       bool      `json:"ended,omitempty"`
	Reason      string    `json:"reason,omitempty"`
	From        *Position `json:"from,omitempty"`
	To          *Position `json:"to,omitempty"`
	Entities    []string  `json:"entities,omitempty"`
	Columns     []string  `json:"columns,omitempty"`
	Missing     []string  `json:"missing,omitempty"`
	Retyped     []string  `json:"retyped,omitempty"`
}

// History says how far back the evidence goes.
type History struct {
	// First is the oldest message that the stream holds, and Since its time.
	First change.Seq `json:"first_sequence"`
	Since string     `json:"since,omitempty"`
	// Cut says that older messages are gone, which may have been about the quest.
	Cut bool `json:"cut,omitempty"`
	// Replaced says that the stream is another one than the finding came from.
	Replaced bool `json:"replaced,omitempty"`
	// BeganGone and EndedGone say that the transaction that began the violation, or
	// that ended it, is no longer in the stream.
	BeganGone bool `json:"began_gone,omitempty"`
	EndedGone bool `json:"ended_gone,omitempty"`
}
