package bus

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/hint"
)

// Bucket is a key-value bucket. Its methods wait a few seconds at most and do
// not retry.
type Bucket struct {
	conn *Conn
	name string

	mu sync.Mutex // guards against two first uses at once
	kv jetstream.KeyValue
	// forget makes a deleted key's marker vanish, where the bucket allows it.
	forget []jetstream.KVDeleteOpt
}

// Entry is a key's value. Revision grows with every change in the bucket.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
	Stored   time.Time
}

// Get returns a key's entry or ErrNoKey.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	var entry Entry
	err := b.do(ctx, "get", key, func(ctx context.Context) error {
		e, err := b.kv.Get(ctx, key)
		if err != nil {
			return err
		}
		entry = Entry{Key: key, Value: e.Value(), Revision: e.Revision(), Stored: e.Created()}
		return nil
	})
	return entry, err
}

// Put sets a key whatever it holds.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	err = b.do(ctx, "put", key, func(ctx context.Context) error {
		revision, err = b.kv.Put(ctx, key, value)
		return err
	})
	return revision, err
}

// Create sets a key that does not exist, else it fails with ErrConflict.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (revision uint64, err error) {
	err = b.do(ctx, "create", key, func(ctx context.Context) error {
		revision, err = b.kv.Create(ctx, key, value)
		return err
	})
	return revision, err
}

// Update sets a key that still has the revision, else it fails with ErrConflict.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (next uint64, err error) {
	err = b.do(ctx, "update", key, func(ctx context.Context) error {
		next, err = b.kv.Update(ctx, key, value, revision)
		return err
	})
	return next, err
}

// Delete removes a key. A key that does not exist is no error.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	return b.do(ctx, "delete", key, func(ctx context.Context) error {
		return b.kv.Purge(ctx, key, b.forget...)
	})
}

// Keys returns the keys that match any of the filters, or all, in no
// particular order. There may be very many; it takes as long as ctx lives.
func (b *Bucket) Keys(ctx context.Context, filters ...string) (keys []string, err error) {
	err = b.each(ctx, "list keys", filters, func(e jetstream.KeyValueEntry) { keys = append(keys, e.Key()) }, jetstream.MetaOnly())
	return keys, err
}

// Values returns all values, as Keys does the keys.
func (b *Bucket) Values(ctx context.Context) (values [][]byte, err error) {
	err = b.each(ctx, "read values", nil, func(e jetstream.KeyValueEntry) { values = append(values, e.Value()) })
	return values, err
}

// Entries returns the entries whose keys match any of the filters, as Keys does the keys.
func (b *Bucket) Entries(ctx context.Context, filters ...string) (entries []Entry, err error) {
	err = b.each(ctx, "read entries", filters, func(e jetstream.KeyValueEntry) {
		entries = append(entries, Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Stored: e.Created()})
	})
	return entries, err
}

func (b *Bucket) each(ctx context.Context, verb string, filters []string, fn func(jetstream.KeyValueEntry), options ...jetstream.WatchOpt) error {
	op := fmt.Sprintf("%s of bucket %q", verb, b.name)
	if err := b.bind(ctx); err != nil {
		return classify(op, err)
	}
	if len(filters) == 0 {
		filters = []string{">"}
	}
	watch, err := b.kv.WatchFiltered(ctx, filters, append(options, jetstream.IgnoreDeletes())...)
	if err != nil {
		return classify(op, err)
	}
	defer func() { _ = watch.Stop() }()
	for {
		select {
		case entry, ok := <-watch.Updates():
			switch {
			case !ok: // the connection or the context ended in between
				return classify(op, errors.Join(ctx.Err(), errIncomplete))
			case entry == nil:
				return nil
			}
			fn(entry)
		case <-ctx.Done():
			return classify(op, ctx.Err())
		}
	}
}

var errIncomplete = errors.New("listing ended early")

func (b *Bucket) do(ctx context.Context, verb, key string, request func(context.Context) error) error {
	err := b.conn.admin(ctx, b.name, func(ctx context.Context) error {
		if err := b.bind(ctx); err != nil {
			return err
		}
		return request(ctx)
	})
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrKeyNotFound):
		err = ErrNoKey
	case errors.Is(err, jetstream.ErrKeyExists), errorCode(err) == codeWrongLastSeq:
		err = ErrConflict
	}
	return classify(fmt.Sprintf("%s key %q of bucket %q", verb, key, b.name), err)
}

// bind looks the bucket up at the first use: commands that need no bucket must
// not fail for the lack of one.
func (b *Bucket) bind(ctx context.Context) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kv != nil {
		return nil
	}
	kv, err := b.conn.js.KeyValue(ctx, b.name)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return hint.Failed("open bucket", fmt.Errorf("%w: %w", ErrSetup, err), "start questwatch run once, or have the bucket created")
	}
	if err != nil {
		return err
	}
	status, err := kv.Status(ctx)
	if err != nil {
		return err
	}
	if ttl := status.LimitMarkerTTL(); ttl > 0 {
		b.forget = []jetstream.KVDeleteOpt{jetstream.PurgeTTL(ttl)}
	}
	b.kv = kv
	return nil
}
