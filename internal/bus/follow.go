package bus

import (
	"context"
	"errors"
	"time"
)

// errTurn ends a consumer, or the reading of the local tail, because the other one
// is to go on, or because it is time to look at the stream.
var errTurn = errors.New("the other source goes on")

// proof is the writer whose messages may be read without the server, provided the
// stream is found, after this, to be the one that was read so far.
func (f *feed) proof() *window {
	if f.reader == nil {
		return nil
	}
	return f.conn.tail.proof()
}

// covered is the writer that has, or is about to write, the next message.
func (f *feed) covered() *window {
	if f.reader == nil {
		return nil
	}
	return f.conn.tail.covers(f.next)
}

// follow delivers the messages of this connection's own writer without the
// server. The writer must have had an ack before the stream was found to be the
// one that was read so far. What is not at hand, it leaves to a consumer.
func (f *feed) follow(ctx context.Context, writer *window) error {
	if err := f.checkCaughtUp(1); err != nil {
		return err
	}
	if f.batch == nil {
		f.batch = make([]Message, 0, tailMessages)
	}
	defer func() {
		clear(f.batch[:cap(f.batch)])
		f.conn.tail.depart(f.reader)
	}()
	// An idle writer does not notice that the stream is gone.
	check := time.NewTimer(tailCheck)
	defer check.Stop()
	for {
		batch, ok := f.conn.tail.take(writer, f.next, f.reader, f.batch)
		if !ok {
			return errTurn
		}
		if err := f.hand(ctx, writer, batch); err != nil {
			return err
		}
		if len(batch) > 0 {
			check.Reset(tailCheck)
			continue
		}
		select {
		case <-f.reader.wake:
		case <-check.C:
			return errTurn
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (f *feed) hand(ctx context.Context, writer *window, batch []Message) error {
	var last Message
	defer func() {
		if last.Seq != 0 { // the batch's data does not last
			f.lastData = append(f.lastData[:0], last.Data...)
			last.Data = f.lastData
			f.own = handed{last, writer.name}
		}
	}()
	for _, m := range batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.deliver(m); err != nil {
			return stopError{err}
		}
		f.next, f.foreign, f.stored = m.Seq+1, false, time.Time{}
		last = m
		if err := f.checkCaughtUp(1); err != nil {
			return err
		}
	}
	return nil
}
