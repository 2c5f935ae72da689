package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
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

// withCheckpoints is a server that has a store of checkpoints.
func withCheckpoints(t *testing.T) (*testkit.NATS, *bus.Conn) {
	t.Helper()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	conn, err := bus.Connect(t.Context(), bus.Config{URL: server.URL(), Checkpoints: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(conn.Close)
	if err := conn.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	return server, conn
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
	server, conn := withCheckpoints(t)
	free := int64(40 << 20)
	p := checkpointsPort{conn.Checkpoints(), func(context.Context) (int64, bool, error) {
		free -= lookAtRoom
		return free, true, nil
	}, &spread{stream: conn.CDCState}}
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

// Those that are kept for who asks what was make room for what a start needs.
func TestOlderCheckpointsMakeRoom(t *testing.T) {
	t.Parallel()
	_, conn := withCheckpoints(t)
	const most = newestKept + 2
	room := func(ctx context.Context) (int64, bool, error) {
		objects, err := conn.Checkpoints().List(ctx)
		return int64(most-len(objects)) * 2 * lookAtRoom, true, err
	}
	held := func(context.Context) (bus.StreamState, error) { return bus.StreamState{First: 1, Last: 10}, nil }
	p := checkpointsPort{conn.Checkpoints(), room, &spread{count: 24, bytes: 1 << 20, stream: held}}
	save := func(seq change.Seq) error {
		_, err := p.Save(t.Context(), seq, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err })
		return err
	}
	for seq := range change.Seq(most) {
		if err := save(seq + 1); err != nil {
			t.Fatal(err)
		}
	}
	if list, err := p.List(t.Context()); err != nil || len(list) != most {
		t.Fatalf("kept are %+v, %v", list, err)
	}
	if err := save(most + 1); err != nil {
		t.Error(err)
	}
	if list, err := p.List(t.Context()); err != nil || len(list) != newestKept+1 || list[0].Seq != most+1 {
		t.Errorf("kept are %+v, %v", list, err)
	}
}

// Few are kept, whatever their sequences say: those of a stream that was made anew
// begin again.
func TestCheckpointsAreBounded(t *testing.T) {
	t.Parallel()
	_, conn := withCheckpoints(t)
	p := checkpointsPort{
		conn.Checkpoints(), func(context.Context) (int64, bool, error) { return 0, false, nil }, &spread{count: 24, bytes: 1 << 20, stream: conn.CDCState},
	}
	for _, seq := range []change.Seq{100, 200, 300, 400, 5, 6} {
		if _, err := p.Save(t.Context(), seq, func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }); err != nil {
			t.Fatal(err)
		}
	}
	list, err := p.List(t.Context())
	if err != nil || len(list) != newestKept || list[0].Seq != 400 || list[1].Seq != 6 || list[2].Seq != 5 {
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

// Of the older ones those stay that stand apart, as many as there is room for, and what the
// stream does not hold serves nobody.
func TestCheckpointsAreSpread(t *testing.T) {
	of := func(size int64, seqs ...change.Seq) (all []bus.Object) {
		for _, seq := range seqs {
			all = append(all, bus.Object{Name: checkpointName(seq), Size: size})
		}
		return all
	}
	for name, c := range map[string]struct {
		spread      spread
		objects     []bus.Object
		first, last change.Seq
		stay        []bus.Object
	}{
		"few":             {spread{count: 4, bytes: 100}, of(1, 300, 600), 1, 1000, of(1, 300, 600)},
		"near each other": {spread{count: 4, bytes: 100}, of(1, 100, 200, 300, 351, 600, 601), 1, 1000, of(1, 100, 351, 601)},
		"discarded":       {spread{count: 4, bytes: 100}, of(1, 99, 399, 400, 700), 401, 1000, of(1, 400, 700)},
		"of a lost end":   {spread{count: 4, bytes: 100}, of(1, 900, 2000), 1, 1000, of(1, 900)},
		"made anew":       {spread{count: 4, bytes: 100}, of(1, 900, 1300), 1, 20, nil},
		"little room":     {spread{count: 4, bytes: 100}, of(50, 100, 400, 601, 900), 1, 1000, of(50, 100, 601)},
		"no room":         {spread{count: 4, bytes: 100}, of(101, 100, 400), 1, 1000, nil},
		"any room":        {spread{count: 4, bytes: -1}, of(101, 100, 400), 1, 1000, of(101, 100, 400)},
		"none wanted":     {spread{bytes: 100}, of(1, 100, 400), 1, 1000, nil},
	} {
		stay := without(c.objects, c.spread.over(c.objects, c.first, c.last))
		if diff := cmp.Diff(names(c.stay), names(stay)); diff != "" {
			t.Errorf("%s (-want +have):\n%s", name, diff)
		}
	}
	// They stay few, however often one is taken.
	s := spread{count: 24, bytes: 1 << 20}
	var kept []bus.Object
	for seq := change.Seq(1); seq < 100_000; seq += 50 {
		first := change.Seq(1)
		if seq > 50_000 {
			first = seq - 50_000
		}
		kept = append(kept, of(1, seq)...)
		kept = without(kept, s.over(kept, first, seq))
		if oldest, _ := seqOf(kept[0].Name); len(kept) > 25 || oldest > first+50_000/12 {
			t.Fatalf("at %d: %d are kept, the oldest is %d and the stream begins with %d", seq, len(kept), oldest, first)
		}
	}
}

func without(objects, over []bus.Object) []bus.Object {
	gone := names(over)
	return slices.DeleteFunc(slices.Clone(objects), func(o bus.Object) bool { return slices.Contains(gone, o.Name) })
}

func names(objects []bus.Object) (all []string) {
	for _, o := range objects {
		all = append(all, o.Name)
	}
	return all
}
