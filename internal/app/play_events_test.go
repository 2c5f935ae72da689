package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestReplayEvents shows events of a running instance, and copies them.
func TestReplayEvents(t *testing.T) {
	t.Parallel()
	c, dsn, server := onServer(t)
	r := start(t, c, dsn)
	r.ready(t)
	r.found(t, "missing_participant", 1, false)
	r.found(t, "unassigned", 8, false)
	p := Play{Playing: replay.Playing{Kind: replay.KindEvents, Select: replay.Selection{Rule: "unassigned"}}}
	played, out, err := play(t, c, p)
	if err != nil || played.Messages < 1 || !strings.Contains(out, "unassigned") || strings.Contains(out, "missing_participant") {
		t.Errorf("%s, %q, %v", played, out, err)
	}
	p.Select = replay.Selection{Quests: []int64{1}}
	if _, out, err = play(t, c, p); err != nil || !strings.Contains(out, "in quest 1 ") || strings.Contains(out, "in quest 8 ") {
		t.Errorf("%q, %v", out, err)
	}
	// Events are kept longer than changes: those of a quest are there when its steps are gone.
	r.stop(t)
	withStream(t, server.URL(), "QUESTWATCH_CDC", func(ctx context.Context, cdc jetstream.Stream) error {
		return cdc.Purge(ctx)
	})
	if played, _, err := play(t, c, p); err != nil || played.Messages < 1 {
		t.Errorf("events of a quest whose steps are gone: %v, %v", played, err)
	}
	p.Select = replay.Selection{Quests: []int64{4711}}
	if _, _, err := play(t, c, p); !errors.Is(err, replay.ErrNoQuest) {
		t.Errorf("events of an unknown quest: %v", err)
	}
	p.Select = replay.Selection{}
	p.From = pointOf(t, "0/1")
	var point *replay.PointError
	if _, _, err := play(t, c, p); !errors.As(err, &point) {
		t.Errorf("from a position: %v", err)
	}
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "COPIES", Subjects: []string{"copy.>"}})
		return err
	})
	p.From, p.ToSubject = replay.Point{}, "copy"
	if played, _, err = play(t, c, p); err != nil || played.Messages < 5 {
		t.Fatalf("%s, %v", played, err)
	}
	withStream(t, server.URL(), "COPIES", func(ctx context.Context, copies jetstream.Stream) error {
		m, err := copies.GetLastMsgForSubject(ctx, "copy.events.drift.opened.unassigned.8")
		if err != nil {
			return err
		}
		var e struct{ ID, ReplayOf string }
		if err := json.Unmarshal(m.Data, &e); err != nil || e.ReplayOf != m.Header.Get("replayof") || e.ID != m.Header.Get(jetstream.MsgIDHeader) {
			t.Errorf("%s %v, %v", m.Data, m.Header, err)
		}
		_, err = event.Parse(m.Data)
		return err
	})
}

// TestReplayOfAMovingHead has what is replayed discarded while it is.
func TestReplayOfAMovingHead(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	for _, quests := range [][]int64{nil, {10, 190}} {
		c := settings(t, "postgres://nobody@127.0.0.1:1/none")
		c.Namespace = fmt.Sprintf("moving%d", len(quests))
		written(t, &c, server.URL(), 200)
		purge := func() {
			withStream(t, server.URL(), strings.ToUpper(c.Namespace)+"_CDC", func(ctx context.Context, cdc jetstream.Stream) error {
				return cdc.Purge(ctx, jetstream.WithPurgeSequence(150))
			})
		}
		port := func(conn *bus.Conn) replay.Tape { return &moving{tapePort{conn, replay.KindCDC}, purge} }
		conn, err := ConnectBus(t.Context(), &c, testLogger(t))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		player := replay.NewPlayer(port(conn), pastStream{conn}, Schema(&c.Tables))
		what := &replay.Playing{Kind: replay.KindCDC, From: pointOf(t, "5"), Progress: func(int64, int64) {}, Select: replay.Selection{Quests: quests}}
		_, err = player.Play(t.Context(), what, &replay.Counting{})
		var moved *replay.MovedError
		if !errors.As(err, &moved) || hint.Of(err) == "" {
			t.Errorf("%v: %v", quests, err)
		}
	}
}

// moving is a stream whose head moves when it is read.
type moving struct {
	tapePort
	purge func()
}

func (m *moving) Read(ctx context.Context, s *replay.Stretch, fn func(*replay.Message) error) error {
	m.purge()
	return m.tapePort.Read(ctx, s, fn)
}

func TestReplayWithoutPermission(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{Config: `authorization { users = [
		{ user: owner, password: owner },
		{ user: guest, password: guest, permissions: { publish: { deny: ["$JS.API.CONSUMER.>"] } } }
	] }`})
	c := settings(t, "postgres://nobody@127.0.0.1:1/none")
	written(t, &c, strings.Replace(server.URL(), "nats://", "nats://owner:owner@", 1), 20)
	c.NATS.URL = strings.Replace(server.URL(), "nats://", "nats://guest:guest@", 1)
	_, _, err := play(t, c, Play{})
	if err == nil || !strings.Contains(err.Error(), "no permission") || hint.Of(err) == "" {
		t.Errorf("%v, advice %q", err, hint.Of(err))
	}
	c.NATS.URL = strings.Replace(server.URL(), "nats://", "nats://guest:wrong@", 1)
	if _, _, err := play(t, c, Play{}); !errors.Is(err, bus.ErrAuth) || strings.Contains(err.Error(), "wrong") {
		t.Errorf("%v", err)
	}
}
