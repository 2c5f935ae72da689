package change

import "errors"

// Seq is the sequence number of a stored message in its stream, from 1.
type Seq uint64

// Record is a stored message as a stream's reader gets it.
type Record struct {
	Seq     Seq
	Subject string
	Data    []byte
}

// ErrMalformed marks data that cannot be understood. Reading it again will not
// help: whoever meets it stops.
var ErrMalformed = errors.New("malformed data")

// ErrUnreadable marks a stretch of the database's log that was written while
// its set-up did not fit, and that says too little. Reading it again will not
// help, but what was written since can be read.
var ErrUnreadable = errors.New("changes were written that the log does not tell whole")
