package embedded

import (
	"fmt"
	"log/slog"
	"sync"
)

// logger turns the server's log into slog records and remembers what the
// server calls fatal instead of ending the process.
type logger struct {
	log *slog.Logger

	mu    sync.Mutex // the server logs from many goroutines
	fatal error
}

// Notices are debug lines here: they describe the server's own start and stop,
// which the program already reports in its own words.
func (l *logger) Noticef(format string, v ...any) { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }
func (l *logger) Tracef(format string, v ...any)  { l.log.Debug(fmt.Sprintf(format, v...)) }

// Errorf is a warning here: mostly a client did what it may not. What keeps the
// server from its work is fatal, or Healthy says it.
func (l *logger) Errorf(format string, v ...any) { l.log.Warn(fmt.Sprintf(format, v...)) }

// noPassword is the server's warning of readers' empty password, which is meant:
// they need none. The owner's is a hash.
const noPassword = "Plaintext passwords detected, use nkeys or bcrypt"

// Warnf is for information here: the server warns of what it mends by itself, such
// as an index that it builds again after a crash.
func (l *logger) Warnf(format string, v ...any) {
	if format != noPassword {
		l.log.Info(fmt.Sprintf(format, v...))
	}
}

func (l *logger) Fatalf(format string, v ...any) {
	err := fmt.Errorf(format, v...)
	l.log.Error("nats server cannot go on", "err", err)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fatal == nil {
		l.fatal = err
	}
}

func (l *logger) fatalError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
