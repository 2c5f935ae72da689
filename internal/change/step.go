package change

import "fmt"

// Op is what happened to a row, in Debezium's letters.
type Op byte

// The operations. Read is a row of a baseline: it was there, nobody wrote it.
const (
	Create Op = 'c'
	Update Op = 'u'
	Delete Op = 'd'
	Read   Op = 'r'
)

func (o Op) String() string { return string(rune(o)) }

// Change is one row's change. Its Before and After are nil where there was no
// row: before a create or a read, after a delete.
type Change struct {
	Op     Op
	Entity Entity
	Table  string
	// Order numbers the changes of a transaction from 1, over all its messages.
	Order int
	// LSN is where the change stands in the log; 0 in a baseline.
	LSN LSN
	// Moved marks the two halves of a row that changed its id or its quest.
	Moved         bool
	Before, After Row
	// Unchanged names columns that Postgres did not send (TOAST), Omitted those
	// left out for their size. Neither is in After.
	Unchanged, Omitted []string

	columns columns
}

// Each calls fn for each column of the row that the change is about: After, or
// Before where the row was deleted. It is Row.Each, faster for a change that was
// just decoded.
func (c *Change) Each(fn func(column, value []byte) error) error {
	row := c.row()
	if c.columns.are(row) {
		return c.columns.each(row, fn)
	}
	return row.Each(fn)
}

func (c *Change) row() Row {
	if c.Op == Delete {
		return c.Before
	}
	return c.After
}

// Transaction says which transaction a message belongs to, and where in it the
// message stands.
type Transaction struct {
	// ID is the 64-bit transaction id; 0 in a baseline.
	ID uint64
	// CommitLSN is where the commit record begins. In a baseline it is the last
	// byte before the snapshot's consistent point, so that it is above all that
	// the snapshot contains and below all that follows.
	CommitLSN LSN
	// EndLSN is where the commit record ends: the only kind of position that is
	// ever confirmed to Postgres. It is 0 in the messages of a transaction that is
	// streamed before its end is known (Messages 0); its tx_end has it.
	EndLSN LSN
	// Time is when it committed, by the database's clock.
	Time Millis
	// Message counts the transaction's messages from 1; Messages is their number,
	// or 0 when it was not known yet.
	Message, Messages int
}

// Whole reports whether this is the last message of its transaction, whose
// EndLSN then stands for all of it.
func (t Transaction) Whole() bool { return t.Messages > 0 && t.Message == t.Messages }

// Source says who wrote a message.
type Source struct {
	// DB is the database's name.
	DB string
	// Epoch counts the writers of the stream: it grows with every takeover and
	// every baseline.
	Epoch uint64
	// Snapshot marks the messages of a baseline.
	Snapshot bool
}

// Step is what one transaction did to one quest, or in a large transaction one
// stretch of that.
type Step struct {
	QuestID     int64
	Transaction Transaction
	Source      Source
	Changes     []Change
	// Published is when the step was handed to JetStream, by our own clock. Nothing
	// is ever decided by it.
	Published Millis
}

// Position orders the messages of a stream: it strictly increases along it.
type Position struct {
	Epoch     uint64
	CommitLSN LSN
	Message   int
}

// Position is the step's place in the order of the stream.
func (s *Step) Position() Position {
	return Position{s.Source.Epoch, s.Transaction.CommitLSN, s.Transaction.Message}
}

// Compare is negative when p comes before q, 0 when they are the same.
func (p Position) Compare(q Position) int {
	switch {
	case p.Epoch != q.Epoch:
		return order(p.Epoch < q.Epoch)
	case p.CommitLSN != q.CommitLSN:
		return order(p.CommitLSN < q.CommitLSN)
	case p.Message != q.Message:
		return order(p.Message < q.Message)
	}
	return 0
}

func order(less bool) int {
	if less {
		return -1
	}
	return 1
}

func (p Position) String() string {
	return fmt.Sprintf("epoch %d commit %s message %d", p.Epoch, p.CommitLSN, p.Message)
}
