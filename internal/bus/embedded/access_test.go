package embedded_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus/embedded"
)

type client struct {
	nc     *nats.Conn
	js     jetstream.JetStream
	denied chan string
}

func connect(t *testing.T, url string, opts ...nats.Option) client {
	t.Helper()
	c := client{denied: make(chan string, 100)}
	opts = append(opts, nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.denied <- err.Error() }))
	var err error
	if c.nc, err = nats.Connect(url, opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.nc.Close)
	if c.js, err = jetstream.New(c.nc); err != nil {
		t.Fatal(err)
	}
	return c
}

// accessServer has a stream with three messages, a bucket with a key, and a
// protected consumer.
func accessServer(t *testing.T) (owner, reader client) {
	t.Helper()
	s := start(t, embedded.Config{Protected: []string{"alerts"}})
	owner = connect(t, s.ClientURL(), s.Owner()...)
	reader = connect(t, s.ClientURL())
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := owner.js.CreateStream(ctx, jetstream.StreamConfig{Name: "CDC", Subjects: []string{"q.cdc.>"}, AllowDirect: true})
	must(err)
	for range 3 {
		_, err = owner.js.Publish(ctx, "q.cdc.1", []byte("x"))
		must(err)
	}
	_, err = owner.js.CreateConsumer(ctx, "CDC", jetstream.ConsumerConfig{Durable: "alerts"})
	must(err)
	kv, err := owner.js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "q-findings"})
	must(err)
	_, err = kv.PutString(ctx, "k", "v")
	must(err)
	return owner, reader
}

func TestReaderReads(t *testing.T) {
	_, reader := accessServer(t)
	js, ctx := reader.js, t.Context()
	steps := map[string]func() error{
		"account info": func() error { _, err := js.AccountInfo(ctx); return err },
		"stream names": func() error {
			l := js.StreamNames(ctx)
			for range l.Name() {
			}
			return l.Err()
		},
		"stream list": func() error {
			l := js.ListStreams(ctx)
			for range l.Info() {
			}
			return l.Err()
		},
		"stream info": func() error { _, err := js.Stream(ctx, "CDC"); return err },
		"direct get": func() error {
			s, err := js.Stream(ctx, "CDC")
			if err == nil {
				_, err = s.GetMsg(ctx, 2)
			}
			return err
		},
		"leader get": func() error {
			_, err := reader.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET.CDC", []byte(`{"seq":1}`))
			return err
		},
		"ordered consumer": func() error {
			c, err := js.OrderedConsumer(ctx, "CDC", jetstream.OrderedConsumerConfig{})
			if err == nil {
				_, err = c.Next()
			}
			return err
		},
		"ephemeral consumer": func() error { return readAndAck(ctx, js, jetstream.ConsumerConfig{}) },
		"durable consumer": func() error {
			err := readAndAck(ctx, js, jetstream.ConsumerConfig{Durable: "mine", AckPolicy: jetstream.AckExplicitPolicy})
			return errors.Join(err, js.DeleteConsumer(ctx, "CDC", "mine"))
		},
		"bucket": func() error {
			kv, err := js.KeyValue(ctx, "q-findings")
			if err != nil {
				return err
			}
			if _, err = kv.Get(ctx, "k"); err != nil {
				return err
			}
			w, err := kv.WatchAll(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = w.Stop() }()
			if e := <-w.Updates(); e == nil || e.Key() != "k" {
				return errors.New("watch did not deliver the key")
			}
			return nil
		},
		"core subscription": func() error {
			sub, err := reader.nc.SubscribeSync("q.cdc.>")
			return errors.Join(err, reader.nc.Flush(), sub.Unsubscribe())
		},
	}
	for name, step := range steps {
		t.Run(name, func(t *testing.T) {
			if err := step(); err != nil {
				t.Error(err)
			}
		})
	}
	if err := reader.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	select {
	case denied := <-reader.denied:
		t.Error("refused: ", denied)
	default:
	}
}

func readAndAck(ctx context.Context, js jetstream.JetStream, cfg jetstream.ConsumerConfig) error {
	c, err := js.CreateConsumer(ctx, "CDC", cfg)
	if err != nil {
		return err
	}
	m, err := c.Next(jetstream.FetchMaxWait(5 * time.Second))
	if err != nil {
		return err
	}
	return m.DoubleAck(ctx)
}

func TestReaderWritesNothing(t *testing.T) {
	owner, reader := accessServer(t)
	before := streamState(t, owner)
	for _, subject := range []string{
		"q.cdc.1", "q.events.x", "$KV.q-findings.k", "anything",
		"$JS.API.STREAM.CREATE.NEW", "$JS.API.STREAM.UPDATE.CDC", "$JS.API.STREAM.DELETE.CDC",
		"$JS.API.STREAM.PURGE.CDC", "$JS.API.STREAM.MSG.DELETE.CDC", "$JS.API.STREAM.SNAPSHOT.CDC",
		"$JS.API.STREAM.RESTORE.CDC", "$JS.API.STREAM.LEADER.STEPDOWN.CDC", "$JS.API.CONSUMER.PAUSE.CDC.alerts",
		"$JS.API.CONSUMER.CREATE.CDC.alerts", "$JS.API.CONSUMER.CREATE.CDC.alerts.q.cdc.1",
		"$JS.API.CONSUMER.DURABLE.CREATE.CDC.alerts", "$JS.API.CONSUMER.DELETE.CDC.alerts",
		"$JS.API.CONSUMER.MSG.NEXT.CDC.alerts", "$JS.ACK.CDC.alerts.1.1.1.1.0",
		"$SYS.REQ.SERVER.PING",
	} {
		if err := reader.nc.Publish(subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
		wantDenied(t, reader, subject)
	}
	for _, subject := range []string{"$JS.API.>", "_OWNER.>", "$JS.ACK.>"} {
		sub, err := reader.nc.SubscribeSync(subject)
		if err != nil {
			t.Fatal(err)
		}
		wantDenied(t, reader, subject)
		_ = sub.Unsubscribe()
	}
	if after := streamState(t, owner); after != before {
		t.Errorf("stream changed from %+v to %+v", before, after)
	}
}

func wantDenied(t *testing.T, c client, subject string) {
	t.Helper()
	select {
	case <-c.denied:
	case <-time.After(5 * time.Second):
		t.Errorf("%s is allowed", subject)
	}
}

func streamState(t *testing.T, c client) [3]uint64 {
	t.Helper()
	s, err := c.js.Stream(t.Context(), "CDC")
	if err != nil {
		t.Fatal(err)
	}
	st := s.CachedInfo().State
	return [3]uint64{st.FirstSeq, st.LastSeq, st.Msgs}
}

// A subscription to everything must not show a reader the owner's replies.
func TestReaderDoesNotSeeTheOwnersReplies(t *testing.T) {
	owner, reader := accessServer(t)
	all, err := reader.nc.SubscribeSync(">")
	if err != nil {
		t.Fatal(err)
	}
	if err := reader.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.js.AccountInfo(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := owner.js.Publish(t.Context(), "q.cdc.9", nil); err != nil {
		t.Fatal(err)
	}
	for {
		m, err := all.NextMsg(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if m.Subject == "q.cdc.9" {
			return
		}
		if strings.HasPrefix(m.Subject, "_") {
			t.Errorf("reader sees %s", m.Subject)
		}
	}
}
