package bus

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/hint"
)

var (
	// ErrNoMessage says that no message is stored there, or no longer.
	ErrNoMessage = errors.New("no such message")
	// ErrNoKey says that the bucket has no such key.
	ErrNoKey = errors.New("no such key")
	// ErrConflict says that the key has another revision than expected.
	ErrConflict = errors.New("key was changed by someone else")
	// ErrFenced says that something other than this Writer wrote to the stream.
	ErrFenced = errors.New("another writer wrote to the stream")
	// ErrUncertain says that unacknowledged messages may or may not be stored.
	ErrUncertain = errors.New("fate of unacknowledged messages is unknown")
	// ErrClosed says that the Writer or Conn was closed.
	ErrClosed = errors.New("closed")
	// ErrTooLarge says that a message exceeds Conn.MaxPayload. Nothing was sent.
	ErrTooLarge = errors.New("message exceeds the maximum payload")
	// ErrFull says that a limit of the stream, account or server was reached.
	ErrFull = errors.New("storage limit reached")
	// ErrStreamReset says that the stream was recreated or rolled back, so that
	// sequences no longer mean what they meant.
	ErrStreamReset = errors.New("stream was recreated or rolled back")
	// ErrUnreachable says that no server could be connected.
	ErrUnreachable = errors.New("no nats server is reachable")
	// ErrAuth says that the server refused the credentials.
	ErrAuth = errors.New("nats server refuses the credentials")
	// ErrNoJetStream says that the server or account has no JetStream.
	ErrNoJetStream = errors.New("jetstream is not enabled")
	// ErrSetup says that a stream or bucket is missing or not as it must be.
	ErrSetup = errors.New("stream is not set up")
)

// PermissionError says which subject the server keeps from this user.
type PermissionError struct {
	Subject   string
	Subscribe bool
}

func (e *PermissionError) Error() string {
	return fmt.Sprintf("no permission to %s %q", e.verb(), e.Subject)
}

func (e *PermissionError) verb() string {
	if e.Subscribe {
		return "subscribe to"
	}
	return "publish to"
}

// SeqGapError says that messages Want to Got-1 are gone, in general because
// the stream's limits discarded them before they were read.
type SeqGapError struct{ Want, Got Seq }

func (e *SeqGapError) Error() string {
	return fmt.Sprintf("stream lacks messages %d to %d", e.Want, e.Got-1)
}

// permissionError decodes the server's complaint, which nats.go only has as
// text. The kind of error is known by then; the text only gives the subject.
func permissionError(err error) *PermissionError {
	text := err.Error()
	p := &PermissionError{Subscribe: strings.Contains(text, "for Subscription to")}
	if _, rest, ok := strings.Cut(text, `"`); ok {
		p.Subject, _, _ = strings.Cut(rest, `"`)
	}
	return p
}

// Error codes of the JetStream API that mean something to us.
const (
	codeAccountLimit     jetstream.ErrorCode = 10002
	codeNoResources      jetstream.ErrorCode = 10023
	codeMaxStorage       jetstream.ErrorCode = 10028
	codeNoMessage        jetstream.ErrorCode = 10037
	codeNoStorage        jetstream.ErrorCode = 10047
	codeWrongLastMsgID   jetstream.ErrorCode = 10070
	codeWrongLastSeq     jetstream.ErrorCode = 10071
	codeStoreFailed      jetstream.ErrorCode = 10077
	codeBatchDisabled    jetstream.ErrorCode = 10174
	codeBatchTooLarge    jetstream.ErrorCode = 10199
	codeMessageTooLarge  jetstream.ErrorCode = 10054
	httpStatusServerSide                     = 500
)

// classify adds the sentinel and the hint that an error of NATS calls for.
func classify(op string, err error) error {
	if err == nil {
		return nil
	}
	var permission *PermissionError
	switch {
	case hint.Of(err) != "":
		return fmt.Errorf("%s: %w", op, err)
	case errors.As(err, &permission):
		return hint.Failed(op, err, fmt.Sprintf("allow this user to %s %q", permission.verb(), permission.Subject))
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", op, err)
	case isFull(err):
		return hint.Failed(op, fmt.Errorf("%w: %w", ErrFull, err), "raise the storage limit of the stream, account or server, free disk space, or keep less")
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return hint.Failed(op, fmt.Errorf("%w: %w", ErrNoJetStream, err), "start the server with JetStream (nats-server -js), or enable it for this user's account")
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrNkeysNotSupported):
		return hint.Failed(op, fmt.Errorf("%w: %w", ErrAuth, err), "check user, password, token or credentials file for this server")
	case errors.Is(err, nats.ErrNoServers): // which says nothing more
		return hint.Failed(op, ErrUnreachable, "check the address, and that the server runs and can be reached from here")
	case isUnreachable(err):
		return hint.Failed(op, fmt.Errorf("%w: %w", ErrUnreachable, err), "check the address, and that the server runs and can be reached from here")
	}
	return fmt.Errorf("%s: %w", op, err)
}

func isUnreachable(err error) bool {
	var netErr net.Error
	return errors.Is(err, nats.ErrDisconnected) ||
		!errors.Is(err, context.DeadlineExceeded) && errors.As(err, &netErr)
}

func isFull(err error) bool {
	switch errorCode(err) {
	case codeAccountLimit, codeNoResources, codeMaxStorage, codeNoStorage, codeStoreFailed:
		return true
	}
	return false
}

func errorCode(err error) jetstream.ErrorCode {
	if api := apiError(err); api != nil {
		return api.ErrorCode
	}
	return 0
}

func apiError(err error) *jetstream.APIError {
	var js jetstream.JetStreamError
	if errors.As(err, &js) {
		return js.APIError()
	}
	return nil
}

// isTransient says whether the same request may succeed later without anybody
// doing something.
func isTransient(err error) bool {
	var permission *PermissionError
	switch {
	case isFull(err), errors.Is(err, nats.ErrConnectionClosed), errors.Is(err, nats.ErrMaxPayload),
		errors.Is(err, jetstream.ErrStreamNotFound), errors.As(err, &permission):
		return false
	}
	if api := apiError(err); api != nil {
		return api.Code >= httpStatusServerSide
	}
	return true
}
