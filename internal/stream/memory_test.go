package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/peerquest/questwatch/internal/change"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a CDC stream in memory, and its one writer. Nothing in it fails.
type memory struct {
	gone    change.Seq // messages up to here were purged
	records []change.Record
}

func (m *memory) Bounds(context.Context) (first, last change.Seq, err error) {
	return m.gone + 1, m.gone + change.Seq(len(m.records)), nil
}

func (m *memory) Record(_ context.Context, seq change.Seq) (change.Record, error) {
	if seq <= m.gone || int(seq-m.gone) > len(m.records) {
		return change.Record{}, ErrNoRecord
	}
	return m.records[seq-m.gone-1], nil
}

func (m *memory) Writer(change.Seq) Writer { return m }

func (m *memory) Publish(_ context.Context, subject string, data []byte) (change.Seq, error) {
	seq := m.gone + change.Seq(len(m.records)) + 1
	m.records = append(m.records, change.Record{Seq: seq, Subject: subject, Data: append([]byte(nil), data...)})
	return seq, nil
}

func (m *memory) Acked() change.Seq { return m.gone + change.Seq(len(m.records)) }
func (m *memory) Err() error        { return nil }
func (m *memory) Close()            {}

// purge throws all messages away.
func (m *memory) purge() {
	m.gone, m.records = m.gone+change.Seq(len(m.records)), nil
}

// script is a feed that gives signals from a list, then ends. Before each signal
// it calls hook.
type script struct {
	signals []change.Signal
	hook    func(i int)
	next    int
}

func (f *script) Receive(sig *change.Signal) error {
	if f.next >= len(f.signals) {
		return io.EOF
	}
	if f.hook != nil {
		f.hook(f.next)
	}
	*sig = f.signals[f.next]
	if sig.Control != nil { // the receiver owns it
		c := *sig.Control
		sig.Control = &c
	}
	f.next++
	return nil
}

func (f *script) Status(change.LSN, bool) error { return nil }
func (f *script) Hold(change.LSN) error         { return nil }
func (f *script) NextXID(uint64)                {}
func (f *script) Close() error                  { return nil }

func testConfig(c Config) Config {
	c.DB, c.Control = "db", "control"
	c.Subject = func(quest int64) string { return fmt.Sprint("quest.", quest) }
	return DefaultConfig(c)
}

// pumped runs signals through a session that goes on where a stream ends.
func pumped(t interface {
	Helper()
	Fatalf(string, ...any)
}, config Config, m *memory, epoch uint64, signals []change.Signal, hook func(i int, s *session),
) {
	t.Helper()
	tail, err := readTail(context.Background(), m)
	if err != nil {
		t.Fatalf("read the tail: %v", err)
	}
	s := &session{
		tally: &tally{}, config: config, cdc: m, writer: m, marks: &marks{}, needs: &needs{}, confirmer: &confirmer{lag: func() time.Duration { return 0 }}, tail: tail, epoch: epoch,
		logger: slog.New(slog.DiscardHandler),
	}
	feed := &script{signals: since(signals, tail.whole)}
	if hook != nil {
		feed.hook = func(i int) { hook(i, s) }
	}
	a := s.assembler()
	if err := s.pump(context.Background(), feed, a, 0); !errors.Is(err, io.EOF) {
		t.Fatalf("pump: %v", err)
	}
}

// since is what a server sends from a position on: whole transactions, and
// messages that stand alone.
func since(signals []change.Signal, from change.LSN) (rest []change.Signal) {
	inside, wanted := false, false
	for i := range signals {
		s := &signals[i]
		switch {
		case s.Kind == change.Began:
			inside, wanted = true, s.Transaction.CommitLSN >= from
		case s.Kind == change.Noted && !inside:
			wanted = s.Transaction.CommitLSN >= from
		case s.Kind == change.Alive:
			wanted = s.WALEnd >= from
		}
		if wanted {
			rest = append(rest, *s)
		}
		if s.Kind == change.Committed {
			inside, wanted = false, false
		}
	}
	return rest
}

var published = regexp.MustCompile(`"ts_ms":\d+}$`)

// timeless is a message without when it was published.
func timeless(data []byte) string { return published.ReplaceAllString(string(data), "}") }
