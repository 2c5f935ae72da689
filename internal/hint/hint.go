// Package hint attaches to an error what the operator can do about it, and
// whether it is the configuration that must change. The error's text stays what
// it was: only who shows the error to a person asks for the advice.
package hint

import (
	"errors"
	"fmt"
)

// Error is an error with advice.
type Error struct {
	err    error
	advice string
	setup  bool
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Wrap attaches advice to err. A nil err stays nil.
func Wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{err: err, advice: fmt.Sprintf(format, args...)}
}

// Failed is Wrap for an operation that failed with err.
func Failed(op string, err error, advice string) error {
	return &Error{err: fmt.Errorf("%s: %w", op, err), advice: advice}
}

// Setup does the same for an error that stays until somebody changes the
// configuration, here or at the server.
func Setup(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return &Error{err: err, advice: fmt.Sprintf(format, args...), setup: true}
}

// Of is the advice nearest to the outside of err, or "".
func Of(err error) string {
	var h *Error
	if errors.As(err, &h) {
		return h.advice
	}
	return ""
}

// IsSetup reports whether err is one of Setup.
func IsSetup(err error) bool {
	var h *Error
	return errors.As(err, &h) && h.setup
}
