package change

// Malformed adds to an ErrMalformed where the data stands: at an LSN of the
// database's log, or at a sequence of the stream. What names the kind of message.
// They can be told to anybody; Err may hold parts of the data.
type Malformed struct {
	LSN  LSN
	Seq  Seq
	What string
	Err  error
}

func (m *Malformed) Error() string { return m.Err.Error() }
func (m *Malformed) Unwrap() error { return m.Err }
