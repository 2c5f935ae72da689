package embedded

// Error is a failure an operator can act upon.
type Error struct {
	Op   string
	Err  error
	Hint string // what to do, in one sentence
}

func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }
