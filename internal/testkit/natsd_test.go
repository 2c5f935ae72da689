package testkit_test

import (
	"errors"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/testkit"
)

func dialNATS(t *testing.T, n *testkit.NATS, options ...nats.Option) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(n.URL(), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func TestNATSKeepsStreamOverCrash(t *testing.T) {
	n := testkit.NewNATS(t, testkit.NATSOptions{JetStream: "sync_interval: always"})
	js := dialNATS(t, n)
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := js.Publish(t.Context(), "s", []byte("one")); err != nil {
		t.Fatal(err)
	}
	for _, stop := range []func() error{n.Kill, n.Stop} {
		if err := stop(); err != nil {
			t.Fatal(err)
		}
		if nc, err := nats.Connect(n.URL()); err == nil {
			nc.Close()
			t.Fatal("the server still answers")
		}
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		s, err := dialNATS(t, n).Stream(t.Context(), "S")
		if err != nil {
			t.Fatal(err)
		}
		if got := s.CachedInfo().State.Msgs; got != 1 {
			t.Errorf("%d messages after restart", got)
		}
	}
}

func TestNATSWithoutJetStream(t *testing.T) {
	n := testkit.NewNATS(t, testkit.NATSOptions{NoJetStream: true})
	if _, err := dialNATS(t, n).AccountInfo(t.Context()); !errors.Is(err, jetstream.ErrJetStreamNotEnabled) {
		t.Errorf("error = %v", err)
	}
}

func TestNATSWithUsers(t *testing.T) {
	n := testkit.NewNATS(t, testkit.NATSOptions{
		Config: `authorization { users = [ {user: ann, password: pw, permissions: {publish: ["$JS.API.>"], subscribe: ["_INBOX.>"]}} ] }`,
	})
	if _, err := nats.Connect(n.URL()); !errors.Is(err, nats.ErrAuthorization) {
		t.Errorf("without a user: %v", err)
	}
	if _, err := dialNATS(t, n, nats.UserInfo("ann", "pw")).AccountInfo(t.Context()); err != nil {
		t.Errorf("with a user: %v", err)
	}
}
