package bus_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
)

func TestBucket(t *testing.T) {
	_, c := open(t)
	b := c.Findings()
	ctx := t.Context()
	if _, err := b.Get(ctx, "a"); !errors.Is(err, bus.ErrNoKey) {
		t.Errorf("get of nothing: %v", err)
	}
	rev, err := b.Create(ctx, "a", []byte("1"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, "a", nil); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("create twice: %v", err)
	}
	next, err := b.Update(ctx, "a", []byte("2"), rev)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Update(ctx, "a", []byte("3"), rev); !errors.Is(err, bus.ErrConflict) {
		t.Errorf("update of an old revision: %v", err)
	}
	if e, err := b.Get(ctx, "a"); err != nil || string(e.Value) != "2" || e.Revision != next {
		t.Errorf("get: %+v, %v", e, err)
	}
	if _, err := b.Put(ctx, "b.1", nil); err != nil {
		t.Fatal(err)
	}
	if keys, err := b.Keys(ctx, "b.*"); err != nil || !slices.Equal(keys, []string{"b.1"}) {
		t.Errorf("keys: %v, %v", keys, err)
	}
	if entries, err := b.Entries(ctx, "a"); err != nil || len(entries) != 1 || string(entries[0].Value) != "2" || entries[0].Key != "a" || entries[0].Revision != next {
		t.Errorf("entries: %+v, %v", entries, err)
	}
	if values, err := b.Values(ctx); err != nil || len(values) != 2 || string(values[0])+string(values[1]) != "2" {
		t.Errorf("values: %q, %v", values, err)
	}
	if err := errors.Join(b.Delete(ctx, "a"), b.Delete(ctx, "never")); err != nil {
		t.Fatal(err)
	}
	if keys, err := b.Keys(ctx); err != nil || !slices.Equal(keys, []string{"b.1"}) {
		t.Errorf("keys after delete: %v, %v", keys, err)
	}
	if keys, err := c.Control().Keys(ctx); err != nil || len(keys) != 0 {
		t.Errorf("keys of an empty bucket: %v, %v", keys, err)
	}
}

func TestBucketListsManyKeys(t *testing.T) {
	const n = 110_000
	s, c := open(t)
	nc, err := nats.Connect("", s.InProcess()...)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4096))
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		if _, err := js.PublishAsync("$KV.questwatch-findings."+strconv.Itoa(i), []byte("x"), jetstream.WithStallWait(time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	receive(t, js.PublishAsyncComplete())
	keys, err := c.Findings().Keys(t.Context())
	if err != nil || len(keys) != n {
		t.Fatalf("%d keys, %v", len(keys), err)
	}
	slices.Sort(keys)
	if len(slices.Compact(keys)) != n {
		t.Error("keys repeat")
	}
}
