package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// New as a start means: only what is stored after the call.
const New = ^Seq(0)

const (
	pullMessages  = 8192
	pullHeartbeat = 5 * time.Second
	idleConsumer  = time.Minute // after which the server forgets a consumer nobody reads
	retryMin      = 50 * time.Millisecond
	retryMax      = time.Second
	pullBytes     = 32 << 20
)

// ConsumeOption changes a Consume call.
type ConsumeOption func(*feed)

// OnCaughtUp has fn called once, between messages, when all that was stored at
// the time of the call has been delivered; at once if there is nothing. tail
// is the stream's last sequence at that time. An error of fn ends the call.
func OnCaughtUp(fn func(tail Seq) error) ConsumeOption {
	return func(f *feed) { f.caughtUp = fn }
}

// Since begins with the first message stored at a time or after it, where no sequence
// is given.
func Since(at time.Time) ConsumeOption {
	return func(f *feed) { f.since = at }
}

// ConsumeCDC delivers the messages of the CDC stream from sequence from on, from
// the oldest if from is 0, until ctx ends or fn returns an error, and returns
// that. A from beyond the end is ErrStreamReset, because it must come from a
// stream that was longer. fn is called from this goroutine, so ctx waits for
// it. Foreign messages are skipped. A message's data is valid until fn returns.
func (c *Conn) ConsumeCDC(ctx context.Context, from Seq, fn func(Message) error, opts ...ConsumeOption) error {
	f := &feed{conn: c, stream: c.names.cdcStream, next: from, cdc: true, deliver: fn}
	return f.run(ctx, opts)
}

// ConsumeEvents is ConsumeCDC for events of the given subjects, or of all.
// Events that the stream discarded are not noticed here.
func (c *Conn) ConsumeEvents(ctx context.Context, filters []string, from Seq, fn func(Message) error, opts ...ConsumeOption) error {
	f := &feed{conn: c, stream: c.names.eventsStream, filters: filters, next: from, deliver: fn}
	return f.run(ctx, opts)
}

// feed is one Consume call: a sequence of short-lived consumers, each of which
// continues where the one before broke off.
type feed struct {
	conn     *Conn
	stream   string
	filters  []string
	cdc      bool
	deliver  func(Message) error
	caughtUp func(Seq) error
	// headersOnly leaves out the data, and says the events' ids instead.
	headersOnly bool
	// ids says the messages' ids with their data.
	ids   bool
	since time.Time // where to begin while next is 0; zero for the oldest

	next    Seq       // the sequence to continue at; 0 is the oldest
	to      Seq       // the last one that a reading of the past wants
	stored  time.Time // when the message before next was, if one was delivered
	created time.Time // the stream's identity
	tail    Seq       // the last sequence at the time of the call
	foreign bool      // the message before was foreign
	slow    bool      // the message before took so long that the consumer may have been given up
	own     handed    // the message before next, if it came from the local tail

	reader   *tailReader // nil where there is no local tail
	batch    []Message
	lastData []byte // of own
}

// stopError carries an error that ends the call, as opposed to one that calls
// for a new consumer.
type stopError struct{ error }

func (e stopError) Unwrap() error { return e.error }

var errLostMessages = errors.New("messages were lost in transit")

func (f *feed) run(ctx context.Context, opts []ConsumeOption) error {
	for _, opt := range opts {
		opt(f)
	}
	if f.cdc && f.conn.cfg.TailBytes > 0 {
		f.reader = f.conn.tail.join()
		defer f.conn.tail.leave(f.reader)
	}
	retry := retryMin
	for {
		before := f.next
		err := f.consume(ctx)
		var stop stopError
		switch {
		case errors.As(err, &stop):
			return stop.error
		case ctx.Err() != nil:
			return ctx.Err()
		case f.conn.nc.IsClosed():
			return fmt.Errorf("consume stream %q: %w", f.stream, ErrClosed)
		case errors.Is(err, errTurn):
			retry = retryMin
			continue
		}
		if f.next != before {
			retry = retryMin
		}
		if retry == retryMin && !f.slow {
			f.conn.log.Warn("consumer was lost, making another", "stream", f.stream, "seq", f.next, "err", err)
		}
		if !pause(ctx, retry) {
			return ctx.Err()
		}
		retry = min(2*retry, retryMax)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// consume reads the local tail where it can, and otherwise runs one consumer until
// it breaks or the local tail can go on.
func (f *feed) consume(ctx context.Context) error {
	proof := f.proof()
	if err := f.locate(ctx); err != nil {
		return err
	}
	if proof != nil && f.covered() == proof {
		return f.follow(ctx, proof)
	}
	var consumer jetstream.Consumer
	err := f.conn.admin(ctx, f.stream, func(ctx context.Context) (err error) {
		consumer, err = f.conn.js.CreateConsumer(ctx, f.stream, f.consumerConfig())
		return err
	})
	if err != nil {
		return f.final(err)
	}
	info := consumer.CachedInfo()
	defer f.conn.drop(f.stream, info.Name)
	if err := f.checkCaughtUp(info.NumPending); err != nil {
		return err
	}
	messages, err := consumer.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(pullMessages, max(pullBytes, 4*int(f.conn.nc.MaxPayload()))),
		jetstream.PullHeartbeat(pullHeartbeat),
		jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	// A consumer in memory dies with the server: do not wait for a heartbeat to tell.
	w := &watcher{disconnected: func(error) { messages.Stop() }, denied: func(*PermissionError) {}}
	f.conn.watch(w)
	defer f.conn.unwatch(w)
	for delivered := uint64(0); ; delivered++ {
		m, err := messages.Next()
		if err != nil {
			return err
		}
		if err := f.accept(m, delivered); err != nil {
			return err
		}
		if f.covered() != nil {
			return errTurn
		}
	}
}

// locate makes sure, before each consumer, that the stream is the one that was
// read so far and has not been rolled back behind what was delivered.
func (f *feed) locate(ctx context.Context) error {
	state, err := f.conn.streamState(ctx, f.stream)
	if err != nil {
		return f.final(err)
	}
	if f.created.IsZero() {
		f.created, f.tail = state.Created, state.Last
		if f.next == New {
			f.next = state.Last + 1
		}
	}
	if !state.Created.Equal(f.created) || f.next > state.Last+1 {
		return f.reset()
	}
	return f.recognise(ctx)
}

func (f *feed) reset() error {
	return stopError{fmt.Errorf("consume stream %q from message %d: %w", f.stream, f.next, ErrStreamReset)}
}

// recognise makes sure that the last message delivered is still what it was. A
// stream that lost its tail may have been written on beyond it since, with other
// messages at the same sequences.
func (f *feed) recognise(ctx context.Context) error {
	if f.stored.IsZero() && f.own.Seq == 0 {
		return nil
	}
	m, err := f.conn.getMessage(ctx, f.stream, getRequest{Seq: uint64(f.next - 1)})
	switch {
	case errors.Is(err, ErrNoMessage): // discarded since; that the next one is there is checked as it comes
		return nil
	case err != nil:
		return f.final(err)
	case f.own.Seq != 0 && !f.own.is(m), f.own.Seq == 0 && !m.Stored.Equal(f.stored):
		return f.reset()
	}
	f.own, f.stored = handed{}, m.Stored // as the server knows it
	return nil
}

// final ends the call for errors that a new consumer would only meet again.
func (f *feed) final(err error) error {
	if !isTransient(err) && !f.conn.nc.IsClosed() { // which run reports
		return stopError{classify(fmt.Sprintf("consume stream %q", f.stream), err)}
	}
	return err
}

func (f *feed) consumerConfig() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: idleConsumer,
		FilterSubjects:    f.filters,
		DeliverPolicy:     jetstream.DeliverAllPolicy,
		HeadersOnly:       f.headersOnly,
	}
	switch {
	case f.next > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, uint64(f.next)
	case !f.since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &f.since
	}
	return cfg
}

// drop deletes a consumer, or leaves that to the server if it cannot be reached.
func (c *Conn) drop(stream, consumer string) {
	if c.nc.IsConnected() {
		_ = c.nc.Publish("$JS.API.CONSUMER.DELETE."+stream+"."+consumer, nil)
	}
}

// accept checks that m is the consumer's next message and the stream's next
// message, and delivers it.
func (f *feed) accept(m jetstream.Msg, delivered uint64) error {
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	if meta.Sequence.Consumer != delivered+1 {
		return errLostMessages
	}
	seq := Seq(meta.Sequence.Stream)
	if f.cdc && f.next != 0 && seq != f.next {
		return stopError{&SeqGapError{Want: f.next, Got: seq}}
	}
	msg := Message{Seq: seq, Subject: m.Subject(), Data: m.Data(), Stored: meta.Timestamp}
	if f.headersOnly || f.ids {
		msg.ID = m.Headers().Get(jetstream.MsgIDHeader)
	}
	foreign := f.conn.isForeign(f.stream, m.Headers())
	if foreign {
		f.conn.skipForeign(f.stream, msg, !f.foreign)
	} else {
		began := time.Now()
		if err := f.deliver(msg); err != nil {
			return stopError{err}
		}
		f.slow = time.Since(began) >= pullHeartbeat
	}
	f.foreign = foreign
	f.next, f.stored, f.own = seq+1, meta.Timestamp, handed{}
	return f.checkCaughtUp(meta.NumPending)
}

// checkCaughtUp goes by the number of pending messages too, because the message
// at the tail need not match the filters.
func (f *feed) checkCaughtUp(pending uint64) error {
	if f.caughtUp == nil || pending > 0 && f.next <= f.tail {
		return nil
	}
	fn := f.caughtUp
	f.caughtUp = nil
	if err := fn(f.tail); err != nil {
		return stopError{err}
	}
	return nil
}
