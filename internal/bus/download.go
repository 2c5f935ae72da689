package bus

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Read gives an object to fn, in order and as it comes. Whoever reads up to its end
// gets ErrDamaged there if it is not what was stored. What fn returns, Read returns.
func (o *Objects) Read(ctx context.Context, object Object, fn func(io.Reader) error) error {
	return classify(fmt.Sprintf("read object %q of bucket %q", object.Name, o.bucket), o.download(ctx, object, fn))
}

func (o *Objects) download(ctx context.Context, object Object, fn func(io.Reader) error) error {
	var consumer jetstream.Consumer
	err := o.conn.admin(ctx, o.stream(), func(ctx context.Context) (err error) {
		consumer, err = o.conn.js.CreateConsumer(ctx, o.stream(), jetstream.ConsumerConfig{
			AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: idleConsumer,
			FilterSubject: o.chunkSubject(object.info.NUID),
		})
		return err
	})
	if err != nil {
		return err
	}
	info := consumer.CachedInfo()
	defer o.conn.drop(o.stream(), info.Name)
	if info.NumPending != uint64(object.info.Chunks) {
		return fmt.Errorf("%w: %d of %d chunks are there", ErrDamaged, info.NumPending, object.info.Chunks)
	}
	messages, err := consumer.Messages(
		jetstream.PullMaxMessagesWithBytesLimit(pullMessages, 16*objectChunk),
		jetstream.PullHeartbeat(pullHeartbeat), jetstream.WithMessagesErrOnMissingHeartbeat(true))
	if err != nil {
		return err
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)()
	w := &watcher{disconnected: func(error) { messages.Stop() }, denied: func(*PermissionError) {}}
	o.conn.watch(w)
	defer o.conn.unwatch(w)
	look := func() (*jetstream.ConsumerInfo, error) { return consumer.Info(ctx) }
	err = fn(&download{object: object, messages: messages, look: look, digest: sha256.New()})
	if errors.Is(err, jetstream.ErrMsgIteratorClosed) {
		return errors.Join(ctx.Err(), err)
	}
	return err
}

// download is an object that is being read.
type download struct {
	object   Object
	messages jetstream.MessagesContext
	look     func() (*jetstream.ConsumerInfo, error)
	digest   hash.Hash
	rest     []byte // of the chunk
	chunks   uint32 // read
	err      error
}

func (d *download) Read(p []byte) (int, error) {
	for len(d.rest) == 0 && d.err == nil {
		d.err = d.next()
	}
	if len(d.rest) == 0 {
		return 0, d.err
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// next reads a chunk, or ends in io.EOF where the object is what was stored.
func (d *download) next() error {
	if d.chunks == d.object.info.Chunks {
		if jetstream.GetObjectDigestValue(d.digest) != d.object.info.Digest {
			return fmt.Errorf("%w: it has another digest", ErrDamaged)
		}
		return io.EOF
	}
	m, err := d.receive()
	if err != nil {
		return err
	}
	meta, err := m.Metadata()
	if err != nil {
		return err
	}
	if d.chunks++; meta.Sequence.Consumer != uint64(d.chunks) {
		return errLostMessages
	}
	d.rest = m.Data()
	_, _ = d.digest.Write(d.rest) // hashes take everything
	return nil
}

// chunkPause is after how long without a chunk it is asked whether there are more.
const chunkPause = time.Second

// receive waits for the next chunk, as long as there is one: whoever stores checkpoints
// deletes old ones, also while they are read.
func (d *download) receive() (jetstream.Msg, error) {
	for {
		m, err := d.messages.Next(jetstream.NextMaxWait(chunkPause))
		if !errors.Is(err, nats.ErrTimeout) {
			return m, err
		}
		info, err := d.look()
		if err != nil {
			return nil, err
		}
		if info.NumPending == 0 && info.Delivered.Consumer == uint64(d.chunks) {
			return nil, fmt.Errorf("%w: it was deleted while it was read", ErrDamaged)
		}
	}
}
