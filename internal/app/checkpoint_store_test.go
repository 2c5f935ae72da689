package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

// A server that lets nobody store checkpoints is a warning that says what to allow, and
// nothing else suffers.
func TestForbiddenCheckpoints(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{Config: `
		authorization { users = [ { user: u, password: p, permissions: { publish: { allow: ">", deny: "$O.>" } } } ] }`})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	c.NATS.User, c.NATS.Password = "u", "p"
	p := spawn(t, c)
	p.says(t, "a checkpoint could not be stored")
	exec1(t, dsn, otherTitle)
	p.terminate(t)
	if text := p.output(t); !strings.Contains(text, `no permission to publish to`) || !strings.Contains(text, `advice="allow this user to publish to`) {
		t.Errorf("it says\n%s", text)
	}
	r := start(t, c, dsn)
	r.verify(t)
}

// With manage: verify, what is missing is named, and how to go on without.
func TestCheckpointStoreIsVerified(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	start(t, c, dsn).stop(t)
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		return js.DeleteObjectStore(ctx, "questwatch-checkpoints")
	})
	c.NATS.Manage = "verify"
	_, err := New(t.Context(), c, testLogger(t))
	if h := hint.Of(err); !errors.Is(err, bus.ErrSetup) || !strings.Contains(h, "nats object add questwatch-checkpoints") || !strings.Contains(h, "watch.checkpoint_every") {
		t.Errorf("%v: %s", err, h)
	}
	c.Watch.CheckpointEvery = 0
	start(t, c, dsn).ready(t)
}

func TestCheckpointNames(t *testing.T) {
	for _, seq := range []change.Seq{1, 42, 1<<64 - 1} {
		if got, ok := seqOf(checkpointName(seq)); !ok || got != seq {
			t.Errorf("%s is %d", checkpointName(seq), got)
		}
	}
	for _, name := range []string{"", "ckpt-", "ckpt-42", "ckpt-0000000000000000004x", "ckpt--0000000000000000042", "other-00000000000000000042"} {
		if seq, ok := seqOf(name); ok {
			t.Errorf("%q is %d", name, seq)
		}
	}
}

// A checkpoint stops before it takes the room that messages need, and leaves none of
// itself behind.
func TestCheckpointNeedsRoom(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	conn, err := bus.Connect(t.Context(), bus.Config{URL: server.URL(), Checkpoints: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	free := int64(40 << 20)
	p := checkpointsPort{conn.Checkpoints(), func(context.Context) (int64, bool, error) {
		free -= lookAtRoom
		return free, true, nil
	}}
	megabyte := bytes.Repeat([]byte("x"), 1<<20)
	write := func(n int) func(io.Writer) error {
		return func(w io.Writer) error {
			for range n {
				if _, err := w.Write(megabyte); err != nil {
					return fmt.Errorf("write: %w", err)
				}
			}
			return nil
		}
	}
	if _, err := p.Save(t.Context(), 1, write(9)); err != nil {
		t.Errorf("with room: %v", err)
	}
	if _, err := p.Save(t.Context(), 2, write(30)); !errors.Is(err, bus.ErrFull) || hint.Of(err) == "" {
		t.Errorf("without room: %v", err)
	}
	left, err := conn.Checkpoints().List(t.Context())
	if err != nil || len(left) != 1 || left[0].Name != checkpointName(1) {
		t.Errorf("kept are %+v, %v", left, err)
	}
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, "OBJ_questwatch-checkpoints")
		if err == nil && s.CachedInfo().State.Bytes > 10<<20 {
			err = fmt.Errorf("%d bytes are stored", s.CachedInfo().State.Bytes)
		}
		return err
	})
}

// Few are kept, whatever their sequences say: those of a stream that was made anew
// begin again.
func TestCheckpointsAreBounded(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	conn, err := bus.Connect(t.Context(), bus.Config{URL: server.URL(), Checkpoints: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	p := checkpointsPort{conn.Checkpoints(), func(context.Context) (int64, bool, error) { return 0, false, nil }}
	for _, seq := range []change.Seq{100, 200, 300, 400, 5, 6} {
		if _, err := p.Save(t.Context(), seq, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }); err != nil {
			t.Fatal(err)
		}
	}
	list, err := p.List(t.Context())
	if err != nil || len(list) != keepCheckpoints || list[0].Seq != 400 || list[1].Seq != 6 || list[2].Seq != 5 {
		t.Errorf("kept are %+v, %v", list, err)
	}
}

// An alarm tells when the stream is about to discard what follows the newest
// checkpoint, and when there is a newer one.
func TestOldCheckpointIsToldOf(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	c.Stream.KeepBytes = smallStream
	r := start(t, c, dsn)
	r.ready(t)
	testkit.Eventually(t, 20*time.Second, func() error {
		if r.watch.Status().Checkpoint.Seq == 0 {
			return errors.New("no checkpoint")
		}
		return nil
	})
	from := time.Now()
	var config jetstream.StreamConfig
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		s, err := js.Stream(ctx, "OBJ_questwatch-checkpoints")
		if err != nil {
			return err
		}
		config = s.CachedInfo().Config
		return js.DeleteStream(ctx, config.Name)
	})
	r.discard(t)
	r.alarm(t, "checkpoint_old")
	if reasons := r.Reasons(); len(reasons) > 0 {
		t.Errorf("not ready: %q", reasons)
	}
	until := time.Now()
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, config)
		return err
	})
	r.discard(t)
	r.toldOnce(t, "checkpoint_old", from, until)
}
