package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// incidentsRead is how many events of the stream are read at most, from the newest
// back.
const incidentsRead = 200

var incidentFilters = []string{"stream.gap.>", "stream.truncated.>", "stream.schema_changed.>"}

// incidents lists what befell the stream from one message to another. Its control
// records lie among millions of progress marks; the events that they became are few.
func (r *Reader) incidents(ctx context.Context, l *located, bounds *Bounds, from, to change.Seq) ([]*Incident, error) {
	_, last, err := r.events.Bounds(ctx)
	if err != nil {
		return nil, err
	}
	refs, err := newest(ctx, r.events, incidentsRead, last, incidentFilters...)
	if err != nil {
		return nil, fmt.Errorf("read events of the stream: %w", err)
	}
	slices.Reverse(refs)
	found := []*Incident{}
	err = eachStored(ctx, r.events, refs, func(stored *Stored) error {
		c, err := event.ContinuityIn(stored.Data)
		if err != nil {
			return err
		}
		at := change.Seq(c.Position.Sequence)
		if at < from || stored.At.Before(bounds.Created) {
			return errFound // all that count
		}
		if at > to {
			return nil
		}
		i, err := r.incident(ctx, stored.Subject, &c, l)
		found = append(found, i)
		return err
	})
	if err != nil && !errors.Is(err, errFound) {
		return nil, err
	}
	slices.Reverse(found)
	return found, nil
}

// incident is what an event of the stream tells, with the transaction of its control
// record.
func (r *Reader) incident(ctx context.Context, subject string, c *event.Continuity, l *located) (*Incident, error) {
	rest, _ := cutLast(subject)
	rest, _ = cutLast(rest)
	_, kind := cutLast(rest)
	i := &Incident{
		Kind: kind, Sequence: change.Seq(c.Position.Sequence), Time: c.Time, Stamp: event.Stamp(c.Time), Epoch: c.Epoch,
		Reason: c.Reason, From: positionOf(c.From), To: positionOf(c.To),
		Entities: c.Entities, Columns: c.Columns, Missing: c.Missing, Retyped: c.Retyped,
	}
	record, err := r.stream.Control(ctx, i.Sequence)
	if errors.Is(err, ErrNone) {
		return i, nil
	}
	if err != nil {
		return nil, err
	}
	var decoder change.Decoder
	control, err := decoder.Control(record.Data)
	if err != nil {
		return nil, err
	}
	if record.Seq != i.Sequence || control.Transaction == nil {
		return i, nil
	}
	t := control.Transaction
	i.Transaction, i.Commit, i.Time, i.Stamp = t.ID, positionOf(t.CommitLSN), t.Time, event.Stamp(t.Time)
	is := func(o *event.Transaction) bool { return o != nil && o.ID == t.ID && o.CommitLSN == t.CommitLSN }
	i.Began, i.Ended = is(&l.Transaction), is(l.ResolvedBy)
	return i, nil
}
