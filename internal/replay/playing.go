package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
)

// playing is one run.
type playing struct {
	*Player
	what   *Playing
	span   span
	sink   Sink
	pace   *pacer
	reader reader
	played Played

	begin change.Seq // the first message that there can be
	at    change.Seq // the message that was read last
	lsn   change.LSN // where what was read last stands in the log
	tx    change.LSN // the transaction that was counted last
	last  spot       // of what was played last
	look  time.Time  // when the head of the stream is looked at again
}

// lookEvery is how often the head of the stream is looked at.
const lookEvery = time.Second

func (r *playing) read(ctx context.Context) error {
	stretch := &Stretch{r.what.Kind, r.span.first, r.span.last, r.span.since, r.what.Select.Quests, r.what.Select.Rule}
	err := r.tape.Read(ctx, stretch, func(m *Message) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.watch(ctx); err != nil {
			return err
		}
		return r.take(ctx, m)
	})
	if errors.Is(err, errPassed) {
		err = nil
	}
	if err == nil {
		err = r.head(ctx)
	}
	if moved := new(MovedError); errors.As(err, &moved) {
		err = hint.Wrap(err, "begin later, or replay to a file first (--to-file) and from there (--from-file); stream.keep_for and stream.keep_bytes say how much is kept")
	}
	if err != nil {
		return fmt.Errorf("replay: %w", err)
	}
	return nil
}

func (r *playing) take(ctx context.Context, m *Message) error {
	i, err := r.reader.read(m)
	if err != nil {
		return err
	}
	r.at = m.Seq
	if m.Seq > r.span.last {
		return errPassed
	}
	if err := r.inOrder(i); err != nil {
		return err
	}
	if !r.span.holds(i) {
		return nil
	}
	matches, err := r.what.Select.matches(i)
	if err != nil || !matches {
		return err
	}
	if err := r.pace.wait(ctx, i.At); err != nil {
		return err
	}
	if err := r.sink.Take(ctx, i); err != nil {
		return err
	}
	r.count(i)
	return nil
}

// inOrder refuses to go on where a part of a file was asked for by positions of the log, and
// the log began anew: what they mean then nobody knows.
func (r *playing) inOrder(i *Item) error {
	s := &r.span
	if s.fromLSN == 0 && s.toLSN == 0 || i.LSN == 0 || i.Control != nil && i.Control.Kind == change.BaselineBegin {
		return nil
	}
	if i.LSN < r.lsn {
		return hint.Wrap(&PointError{oddOf(r.what.From, r.what.To), fmt.Sprintf("is not one place: the database's log began anew at message %d", i.Seq)},
			"give a time or a message's sequence")
	}
	r.lsn = i.LSN
	return nil
}

func (r *playing) count(i *Item) {
	p := &r.played
	p.Messages++
	p.Changes += uint64(i.Changes())
	if i.Transaction != 0 && i.LSN != r.tx {
		r.tx = i.LSN
		p.Transactions++
	}
	r.last = spot{i.Seq, i.At, i.LSN}
	if p.First == nil {
		p.First = r.last.public()
	}
}

// spot is where a message stands.
type spot struct {
	seq change.Seq
	at  change.Millis
	lsn change.LSN
}

func (s spot) public() *Spot {
	t := &Spot{Sequence: s.seq, Time: event.Stamp(s.at)}
	if s.lsn != 0 {
		t.LSN = s.lsn.String()
	}
	return t
}

// watch tells of progress, and looks whether the stream's head has moved over what is read:
// before the first message, and then now and then.
func (r *playing) watch(ctx context.Context) error {
	now := time.Now()
	if now.Before(r.look) {
		return nil
	}
	r.look = now.Add(lookEvery)
	r.what.Progress(int64(r.at-r.begin)+1, int64(r.span.last-r.begin)+1)
	return r.head(ctx)
}

// head refuses to go on where the stream has discarded what was not read yet. Where all is
// read, whoever reads notices a hole.
func (r *playing) head(ctx context.Context) error {
	if sel := &r.what.Select; r.what.Kind == KindCDC && len(sel.Quests) == 0 {
		return nil
	}
	before := r.at
	if before == 0 {
		if !r.span.given || r.span.first == 0 {
			return nil
		}
		before = r.span.first - 1
	}
	e, err := r.tape.Extent(ctx)
	if err != nil || e.First <= before+1 || before >= r.span.last {
		return err
	}
	return &MovedError{e.First}
}

// ended says how far it came, and where to go on.
func (r *playing) ended(safe change.Seq) {
	p := &r.played
	if p.First != nil {
		p.Last = r.last.public()
	}
	p.To = fmt.Sprint(r.span.last)
	switch {
	case r.span.to != 0:
		p.To = event.Stamp(r.span.to)
	case r.span.toLSN != 0:
		p.To = r.span.toLSN.String()
	}
	next := safe + 1
	if safe == 0 {
		next = r.begin
	}
	p.Again = fmt.Sprint(next)
	if safe == 0 && r.span.fromLSN != 0 {
		p.Again = r.span.fromLSN.String()
	}
	if r.span.from != 0 {
		p.Again += "@" + event.Stamp(r.span.from)
	}
}
