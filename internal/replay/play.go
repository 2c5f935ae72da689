package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// Playing says what is played, and where to.
type Playing struct {
	Kind     Kind
	From, To Point
	// Of is the stream that is meant, where another of its name will not do.
	Of     *Extent
	Select Selection
	Pace   Pace
	// Progress is told now and then how far it is.
	Progress func(done, total int64)
}

// Sink is where messages are played to.
type Sink interface {
	// Begin is told what will be played, with the range as it was found.
	Begin(o *Origin) error
	// Take has a message; it may keep it until End. An error ends the playing.
	Take(ctx context.Context, i *Item) error
	// End makes sure of what was taken, and says which message was the last one that is
	// kept for certain, 0 for none. Whole says that all was played.
	End(ctx context.Context, whole bool) (safe change.Seq, err error)
}

// Origin says where messages come from.
type Origin struct {
	Kind   Kind
	Stream string
	// Created is when the stream was made.
	Created change.Millis
	Select  Selection
	// First and Last are what is read, From and To what of it counts.
	First, Last    change.Seq
	From, To       change.Millis
	FromLSN, ToLSN change.LSN
}

// Played is what was played.
type Played struct {
	Messages     uint64 `json:"messages"`
	Changes      uint64 `json:"changes"`
	Transactions uint64 `json:"transactions"`
	// First and Last are the messages played first and last; nil where there is none.
	First *Spot `json:"first"`
	Last  *Spot `json:"last"`
	// Again is where to go on after an interrupt, To where the range ends.
	Again string `json:"-"`
	To    string `json:"-"`
}

// Spot is where a message stands.
type Spot struct {
	Sequence change.Seq `json:"sequence"`
	Time     string     `json:"time"`
	LSN      string     `json:"lsn,omitempty"`
}

func (p *Played) String() string {
	if p.First == nil {
		return "0 messages"
	}
	text := fmt.Sprintf("%d messages", p.Messages)
	if p.Changes > 0 {
		text += fmt.Sprintf(" with %d changes, %d transactions", p.Changes, p.Transactions)
	}
	return fmt.Sprintf("%s: message %d of %s to message %d of %s", text, p.First.Sequence, spaced(p.First.Time), p.Last.Sequence, spaced(p.Last.Time))
}

// Player plays a stored stream.
type Player struct {
	tape Tape
	past Past // to find points in the stream of changes; nil where the tape is read as a whole
	cols [change.Participant + 1]columns
}

// NewPlayer makes one. Past is nil for a tape that is read as a whole.
func NewPlayer(tape Tape, past Past, schema change.Schema) *Player {
	return &Player{tape: tape, past: past, cols: columnsOf(&schema)}
}

// Play plays a range to a sink. With an error too it says what was played and where to
// go on: nothing is lost or doubled then.
func (p *Player) Play(ctx context.Context, what *Playing, to Sink) (*Played, error) {
	if err := errors.Join(what.Select.Check(what.Kind), checkPoints(what.Kind, what.From, what.To), Ordered(what.From, what.To)); err != nil {
		return nil, err
	}
	extent, err := p.tape.Extent(ctx)
	if err != nil {
		return nil, err
	}
	if o := what.Of; o != nil && (o.Stream != extent.Stream || o.Created != extent.Created) {
		return nil, hint.Wrap(fmt.Errorf("this is another stream than the %s that was begun with", o.Stream), "it was made anew in between: begin a new file")
	}
	s, err := p.span(ctx, what, extent)
	if err != nil {
		return nil, err
	}
	if err := p.known(ctx, what); err != nil {
		return nil, err
	}
	origin := &Origin{what.Kind, extent.Stream, extent.Created, what.Select, s.first, s.last, s.from, s.to, s.fromLSN, s.toLSN}
	if err := to.Begin(origin); err != nil {
		return nil, err
	}
	run := &playing{Player: p, what: what, span: s, sink: to, pace: newPacer(what.Pace), reader: reader{kind: what.Kind, cols: &p.cols}, begin: max(s.first, extent.First)}
	err = run.read(ctx)
	// What was taken is made sure of, also when the call was broken off.
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), endPatience)
	defer cancel()
	safe, ended := to.End(last, err == nil)
	run.ended(safe)
	return &run.played, errors.Join(err, ended)
}

// endPatience bounds how long an interrupt waits for what is under way.
const endPatience = 10 * time.Second

func (p *Player) span(ctx context.Context, what *Playing, e Extent) (span, error) {
	switch {
	case e.First > e.Last:
		return span{}, errors.New("the stream is empty")
	case p.past == nil:
		return fileSpan(e, what.From, what.To)
	case what.Kind == KindEvents:
		return eventSpan(e, what.From, what.To)
	}
	bounds, err := p.past.Bounds(ctx)
	if err != nil {
		return span{}, err
	}
	f := &finder{past: p.past, bounds: bounds}
	return f.spanOf(ctx, what.From, what.To)
}

// known refuses quests that the stream has never had.
func (p *Player) known(ctx context.Context, what *Playing) error {
	for _, id := range what.Select.Quests {
		known, err := p.tape.Knows(ctx, id)
		if err == nil && !known {
			err = fmt.Errorf("%w: the stream has nothing of quest %d", ErrNoQuest, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
