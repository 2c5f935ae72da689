package bus

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	objectChunk  = 256 << 10
	objectWindow = 4 // chunks under way
	abandonTime  = 5 * time.Second
	landingTime  = time.Second
)

// Put stores what write writes under a name, in place of what it named before. It
// counts from the moment at which all of it is stored: a reader gets the former, or
// this one. An upload that is cut off leaves nothing that counts.
func (o *Objects) Put(ctx context.Context, name string, write func(io.Writer) error) (Object, error) {
	op := fmt.Sprintf("store object %q in bucket %q", name, o.bucket)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	// The server refuses a chunk by silence, and answers to no connection but the one
	// that is lost.
	w := &watcher{
		disconnected: func(err error) { cancel(fmt.Errorf("%w: %w", nats.ErrDisconnected, err)) },
		denied: func(p *PermissionError) {
			if strings.HasPrefix(p.Subject, "$O."+o.bucket+".") {
				cancel(p)
			}
		},
	}
	o.conn.watch(w)
	defer o.conn.unwatch(w)
	if _, err := o.subjects(ctx); err != nil {
		return Object{}, classify(op, err)
	}
	u := o.upload()
	err := write(writerFunc(func(p []byte) (int, error) { return u.write(ctx, p) }))
	if err == nil {
		err = u.finish(ctx, name)
	}
	if err != nil {
		u.abandon(context.WithoutCancel(ctx))
		return Object{}, classify(op, err)
	}
	return Object{Name: name, Size: int64(u.info.Size), info: u.info}, nil
}

type writerFunc func(p []byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// upload is an object that is being stored.
type upload struct {
	objects *Objects
	info    jetstream.ObjectInfo
	chunk   []byte
	digest  hash.Hash
	flight  []jetstream.PubAckFuture
}

func (o *Objects) upload() *upload {
	u := &upload{objects: o, digest: sha256.New(), chunk: make([]byte, 0, min(objectChunk, o.conn.MaxPayload()))}
	u.info.Bucket, u.info.NUID = o.bucket, rand.Text()
	u.info.Opts = &jetstream.ObjectMetaOptions{ChunkSize: uint32(cap(u.chunk))}
	return u
}

func (u *upload) write(ctx context.Context, p []byte) (n int, err error) {
	for len(p) > 0 {
		k := min(len(p), cap(u.chunk)-len(u.chunk))
		u.chunk = append(u.chunk, p[:k]...)
		p, n = p[k:], n+k
		if len(u.chunk) == cap(u.chunk) {
			if err := u.send(ctx); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// send publishes the chunk. The client has copied it when it returns.
func (u *upload) send(ctx context.Context) error {
	if err := u.settle(ctx, objectWindow-1); err != nil {
		return err
	}
	m := nats.NewMsg(u.objects.chunkSubject(u.info.NUID))
	m.Data = u.chunk
	if err := u.publish(m); err != nil {
		return err
	}
	_, _ = u.digest.Write(u.chunk) // hashes take everything
	u.info.Size += uint64(len(u.chunk))
	u.info.Chunks++
	u.chunk = u.chunk[:0]
	return nil
}

func (u *upload) publish(m *nats.Msg) error {
	future, err := u.objects.conn.js.PublishMsgAsync(m, jetstream.WithRetryAttempts(0))
	if err == nil {
		u.flight = append(u.flight, future)
	}
	return err
}

// settle waits until so many messages at most are under way.
func (u *upload) settle(ctx context.Context, most int) error {
	for len(u.flight) > most {
		select {
		case <-u.flight[0].Ok():
			u.flight = u.flight[1:]
		case err := <-u.flight[0].Err():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// finish stores what makes the chunks an object, when they are all there.
func (u *upload) finish(ctx context.Context, name string) error {
	if len(u.chunk) > 0 {
		if err := u.send(ctx); err != nil {
			return err
		}
	}
	if err := u.settle(ctx, 0); err != nil {
		return err
	}
	subject := u.objects.infoSubject(name)
	before, err := u.objects.read(ctx, subject)
	if err != nil && !errors.Is(err, ErrNoMessage) && !errors.Is(err, ErrDamaged) {
		return err
	}
	u.info.Name, u.info.Digest = name, jetstream.GetObjectDigestValue(u.digest)
	m := nats.NewMsg(subject)
	m.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	if m.Data, err = json.Marshal(u.info); err != nil {
		return fmt.Errorf("encode an object's info: %w", err)
	}
	if err := u.publish(m); err != nil {
		return err
	}
	if err := u.settle(ctx, 0); err != nil {
		return err
	}
	if before.info.NUID == "" {
		return nil
	}
	return u.objects.purge(ctx, u.objects.chunkSubject(before.info.NUID))
}

// abandon takes back the chunks that were stored: without them an info that may be
// there does not count either. What it cannot take back, Sweep does.
func (u *upload) abandon(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, abandonTime)
	defer cancel()
	// What is under way would be stored behind the purge. What is refused by silence never ends.
	landing, stop := context.WithTimeout(ctx, landingTime)
	defer stop()
	for u.settle(landing, 0) != nil && landing.Err() == nil {
		u.flight = u.flight[1:] // this one was refused aloud
	}
	_ = u.objects.purge(ctx, u.objects.chunkSubject(u.info.NUID))
}
