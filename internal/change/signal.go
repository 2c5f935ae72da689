package change

// SignalKind says what a Signal is.
type SignalKind uint8

// The signals of a replication stream. Between Began and Committed of one
// transaction nothing of another comes.
const (
	// Began opens a transaction: its id, commit LSN and time are known.
	Began SignalKind = iota + 1
	// Changed is a row's change.
	Changed
	// Noted is something that goes to the control subject: a truncate, a change of
	// columns, or a logical message. Outside of a transaction it is a message that
	// was sent without one.
	Noted
	// Committed closes the transaction; its EndLSN is known now.
	Committed
	// Alive says nothing but how far the server has read (WALEnd).
	Alive
)

// Signal is one thing that the replication stream says. The receiver owns what
// it points to.
type Signal struct {
	Kind        SignalKind
	Transaction Transaction // Began, Committed; Noted outside of a transaction
	QuestID     int64       // Changed
	Change      Change      // Changed; without its Order
	Control     *Control    // Noted; without its Transaction
	// WALEnd is a position that the server has read up to: what committed below it
	// has been sent. 0 when the signal does not say.
	WALEnd LSN
	// Reply says that the server wants to hear from us (Alive).
	Reply bool
}
