package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/stream"
	"github.com/peerquest/questwatch/internal/watch"
)

func (a *App) newGuard() *stream.Guard {
	c := &a.config.Alarm
	return stream.NewGuard(stream.GuardConfig{
		Namespace: a.config.Namespace, WALKept: c.WALKept, DiskFree: c.DiskFree, SafePercent: c.SafePercent,
		Lag: c.Lag, Heartbeat: c.Heartbeat,
	}, a.stream, surroundings{a}, surroundings{a}, a.logger)
}

// takes says why JetStream takes no messages.
func (a *App) takes(context.Context) error {
	if a.nats != nil {
		if err := a.nats.Healthy(); err != nil {
			return noRoom(err)
		}
	}
	if !a.bus.Connected() {
		return fmt.Errorf("%w: not connected to NATS", stream.ErrAway)
	}
	return nil
}

// noRoom names the errors that the flow tells apart.
func noRoom(err error) error {
	switch {
	case errors.Is(err, bus.ErrFull), errors.Is(err, embedded.ErrFull):
		return fmt.Errorf("%w: %w", stream.ErrFull, err)
	case errors.Is(err, bus.ErrUnreachable):
		return fmt.Errorf("%w: %w", stream.ErrAway, err)
	}
	return err
}

// alarming lists the alarms that make the program unready: the critical ones. With
// a warning changes still flow.
func (a *App) alarming() (reasons []string) {
	for _, alarm := range a.guard.Alarms() {
		if alarm.Severity == event.Critical {
			reasons = append(reasons, fmt.Sprintf("%s since %s: %s", alarm.Reason, alarm.Since.Time().Format(time.RFC3339), stream.Explain(&alarm)))
		}
	}
	return reasons
}

// lastWords tells of data that has ended a flow.
func (a *App) lastWords(ctx context.Context, err error) error {
	if errors.Is(err, change.ErrMalformed) {
		return a.guard.Undecodable(ctx, err)
	}
	return err
}

// surroundings is where the guard looks.
type surroundings struct{ app *App }

// longTransaction is from which age on a transaction is named for what the server
// keeps.
const longTransaction = 10 * time.Second

func (s surroundings) Postgres(ctx context.Context, holder bool) (stream.Usage, error) {
	u, err := s.app.store.Usage(ctx, s.app.config.Postgres.Slot)
	if err != nil {
		return stream.Usage{}, err
	}
	out := stream.Usage{
		Exists: u.Exists, Kept: u.Kept, Unconfirmed: u.Unconfirmed, Safe: u.Safe, Limit: u.Limit, Status: u.Status,
	}
	if !holder {
		return out, nil
	}
	h, ok, err := s.app.store.Holder(ctx)
	if err != nil {
		return stream.Usage{}, err
	}
	if ok && (h.Age < 0 || h.Age >= longTransaction) {
		out.Holder = &event.Holder{PID: h.PID, Seconds: int64(h.Age / time.Second), Database: h.Database}
		if h.Age < 0 {
			out.Holder.Seconds = -1
		}
	}
	return out, nil
}

func (s surroundings) Store(ctx context.Context) (stream.Store, error) {
	room, err := s.app.bus.CDCRoom(ctx)
	if err != nil {
		return stream.Store{}, err
	}
	w := watch.Status{Read: room.Last, CaughtUp: true} // nobody of ours reads it
	if s.app.watch != nil {
		w = s.app.watch.Status()
	}
	out := stream.Store{
		First: room.First, Last: room.Last, Bytes: int64(room.Bytes), MaxBytes: room.MaxBytes, MaxAge: room.MaxAge,
		Read: w.Read, CaughtUp: w.CaughtUp || w.Err != "", Reading: s.app.watch != nil && !s.app.stream.Status().Standby(),
	}
	out.Checkpoint, out.Taken, out.Since = w.Checkpoint.Seq, w.Checkpoint.Stored, w.ReadBytes-w.Checkpoint.ReadBytes
	if oldest := max(w.Read+1, room.First); oldest <= room.Last {
		if out.Oldest, err = s.app.bus.CDCStored(ctx, oldest); err != nil && !errors.Is(err, bus.ErrNoMessage) {
			return stream.Store{}, err
		}
	}
	if s.app.nats != nil {
		if out.Free, _, err = s.app.nats.Space(); err != nil {
			return stream.Store{}, err
		}
		out.Disk = true
	}
	return out, nil
}

func (s surroundings) Tell(ctx context.Context, subject, id string, data []byte) error {
	_, err := s.app.bus.PublishEvent(ctx, subject, id, data)
	return err
}

func (s surroundings) Open(ctx context.Context, reason string) (a event.Alarm, open bool, err error) {
	a, open, err = s.lastAlarm(ctx, "stalled", reason)
	if err != nil || !open {
		return a, false, err
	}
	over, some, err := s.lastAlarm(ctx, "recovered", reason)
	return a, err == nil && (!some || over.Since < a.Since), err
}

// lastAlarm is the newest event of its kind; some is false when there is none.
func (s surroundings) lastAlarm(ctx context.Context, what, reason string) (a event.Alarm, some bool, err error) {
	m, err := s.app.bus.LastEvent(ctx, s.app.bus.EventSubject("stream."+what+"."+reason+"._"))
	if errors.Is(err, bus.ErrNoMessage) {
		return a, false, nil
	}
	if err != nil {
		return a, false, err
	}
	a, err = event.AlarmOf(m.Data)
	return a, err == nil, err
}
