package app

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/testkit"
)

// The checker cannot go on, and the stream is about to discard what it has not
// read: that is said before it does.
func TestUnreadIsWatched(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := outside(t, dsn, server)
	c.Stream.KeepBytes = 512 << 10
	r := start(t, c, dsn)
	r.ready(t)
	from := time.Now()
	// Without a place for its events the checker is held up.
	var config jetstream.StreamConfig
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		events, err := js.Stream(ctx, "QUESTWATCH_EVENTS")
		if err != nil {
			return err
		}
		config = events.CachedInfo().Config
		return js.DeleteStream(ctx, "QUESTWATCH_EVENTS")
	})
	load := startTraffic(t, dsn, 2)
	r.unreadyFor(t, "stream_unread since")
	load.stop()
	until := time.Now()
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		_, err := js.CreateStream(ctx, config)
		return err
	})
	a := r.toldOnce(t, "stream_unread", from, until)
	if a.Data.Sequence == 0 || a.Data.LimitBytes != c.Stream.KeepBytes || a.Data.Bytes < a.Data.LimitBytes/2 {
		t.Errorf("event %+v", a)
	}
}
