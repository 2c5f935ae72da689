package change

// Kind names a control record.
type Kind string

// The control records. Those with a Transaction stand inside or at the end of
// one; the others stand between transactions.
const (
	// Progress says that everything that committed before Time is above.
	Progress Kind = "progress"
	// BaselineBegin and BaselineEnd enclose the rows of a baseline. The end's LSN
	// is the snapshot's consistent point and may be confirmed to Postgres.
	BaselineBegin Kind = "baseline_begin"
	BaselineEnd   Kind = "baseline_end"
	// TxEnd closes a transaction whose messages carry Messages 0.
	TxEnd Kind = "tx_end"
	// Truncate empties the tables of Entities.
	Truncate Kind = "truncate"
	// SchemaChanged says that the columns of an entity are others from here on.
	SchemaChanged Kind = "schema_changed"
	// Gap says that changes from From to To are not in the stream.
	Gap Kind = "gap"
	// Epoch says that another writer, or the same one after a restart, goes on.
	Epoch Kind = "epoch"
	// Message is a logical message of the application. Its content is untrusted.
	Message Kind = "message"
)

// Control is a record on the control subject. Which fields a kind has is said
// at the fields; the others are left out on the wire.
type Control struct {
	Kind   Kind   `json:"control"`
	Source Source `json:"-"`
	// Transaction: tx_end, truncate, schema_changed, message.
	Transaction *Transaction `json:"-"`
	// LSN: progress, baseline_begin, baseline_end. What committed below it is in
	// the stream above the record, or in the baseline.
	LSN LSN `json:"lsn,omitempty"`
	// Time: progress, baseline_begin, baseline_end, epoch, gap. By the database's
	// clock.
	Time Millis `json:"ts_ms,omitempty"`
	// Rows: baseline_end, the number of rows by entity.
	Rows map[string]int64 `json:"rows,omitempty"`
	// Entities: truncate (those emptied), schema_changed (the one that changed).
	Entities []string `json:"entities,omitempty"`
	// Columns: schema_changed, what is streamed from here on; Missing, those that
	// the rules need and that are gone or of a type that they cannot read; Retyped,
	// those whose type is another: rows that nobody wrote may have other values now.
	Columns []string `json:"columns,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Retyped []string `json:"retyped,omitempty"`
	// From, To and Reason: gap. Reason: epoch too.
	From   LSN    `json:"from,omitempty"`
	To     LSN    `json:"to,omitempty"`
	Reason string `json:"reason,omitempty"`
	// System, Timeline, Instance: epoch. Which cluster and who writes.
	System   string `json:"system,omitempty"`
	Timeline uint32 `json:"timeline,omitempty"`
	Instance string `json:"instance,omitempty"`
	// Prefix and Content: message.
	Prefix  string `json:"prefix,omitempty"`
	Content string `json:"content,omitempty"`
}

// Recorded is the position up to which the stream is whole once this record is
// durable, or 0 when the record says nothing of the kind.
func (c *Control) Recorded() LSN {
	switch c.Kind {
	case Progress, BaselineEnd:
		return c.LSN
	case TxEnd:
		if c.Transaction != nil {
			return c.Transaction.EndLSN
		}
	case BaselineBegin, Truncate, SchemaChanged, Gap, Epoch, Message:
	}
	return 0
}
