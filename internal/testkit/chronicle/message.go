package chronicle

// Millis are milliseconds since 1970, by the database's clock.
type Millis int64

// The entities.
const (
	Quest       = "quest"
	Application = "application"
	Participant = "participant"
)

// Row is a row of any of the three tables. User is the applicant, the participant, or whom the quest is assigned to;
// "" is nobody.
type Row struct {
	ID           int64
	User, Status string
	Deleted      bool
}

// Change is what happened to a row, in Debezium's letters.
type Change struct {
	Op            byte
	Entity        string
	Before, After *Row
}

// Kind says what a message is.
type Kind string

// The kinds of messages, by the names of the control records.
const (
	Step          Kind = "step"
	Progress      Kind = "progress"
	Epoch         Kind = "epoch"
	Gap           Kind = "gap"
	BaselineBegin Kind = "baseline_begin"
	BaselineEnd   Kind = "baseline_end"
	TxEnd         Kind = "tx_end"
	Truncate      Kind = "truncate"
	// Report is a logical message of the application: an approval failed and was rolled back.
	Report Kind = "message"
)

// Transaction is as a stream's message tells it.
type Transaction struct {
	ID, CommitLSN, EndLSN uint64
	Time                  Millis
	Message, Messages     int
}

// Message is one message of the stream.
type Message struct {
	Kind     Kind
	Epoch    uint64
	Snapshot bool
	// Transaction: Step, TxEnd, Truncate.
	Transaction Transaction
	// LSN: Progress, BaselineBegin, BaselineEnd.
	LSN uint64
	// Time: every control record that stands between transactions.
	Time Millis
	// Quest and Changes: Step.
	Quest   int64
	Changes []Change
	// Reason: Epoch, Gap.
	Reason string
	// Entities: Truncate.
	Entities []string
	// Failed: Report, the application that it speaks of.
	Failed Row
}

// Finding is something that is wrong with a quest.
type Finding struct {
	Rule, Cause, Severity string
	Quest                 int64
	User                  string // "" for a rule about the whole quest
	FromBaseline          bool
	// XID, CommitLSN and Epoch are of what began it.
	XID, CommitLSN, Epoch uint64
	// Since is when it began and Due when it is to be opened, in stream time.
	Since, Due Millis
}

// Told is what a checker has to say.
type Told struct {
	// What is opened or resolved, of a finding; baseline, the summary of one; failed or reset, of an approval;
	// regressed, of a quest's status.
	What    string
	At      Millis
	Finding Finding // of all but baseline; its quest, person and severity alone where it is no finding that is told of
	Reason  string  // of all but opened and baseline
	Count   int     // of baseline: how many findings it has
}

// Dice decides everything. *rand.Rand is one, and so are a property test's draws.
type Dice interface {
	// IntN is a number from 0 to n-1; 0 is the plainest choice.
	IntN(n int) int
}
