package bus_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/testkit"
)

// startCluster starts three servers that know each other, and returns their
// addresses for clients.
func startCluster(t *testing.T) string {
	t.Helper()
	var routes []*url.URL
	ports := make([]int, 3)
	for i := range ports {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ports[i] = l.Addr().(*net.TCPAddr).Port
		_ = l.Close()
		routes = append(routes, &url.URL{Scheme: "nats", Host: l.Addr().String()})
	}
	var urls []string
	for i, port := range ports {
		s, err := server.NewServer(&server.Options{
			ServerName: fmt.Sprint("n", i), Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true,
			JetStream: true, StoreDir: t.TempDir(), SyncAlways: true,
			Cluster: server.ClusterOpts{Name: "three", Host: "127.0.0.1", Port: port}, Routes: routes,
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
		if !s.ReadyForConnections(20 * time.Second) {
			t.Fatal("server is not ready")
		}
		urls = append(urls, s.ClientURL())
	}
	return strings.Join(urls, ",")
}

// The stream's leader changes while batches are under way: what is stored stays a
// prefix with all that was acknowledged, and no batch is torn.
func TestBatchesAcrossLeaderChanges(t *testing.T) {
	urls := startCluster(t)
	var c *bus.Conn
	testkit.Eventually(t, 60*time.Second, func() (err error) { // they elect a leader first
		if c == nil {
			c, err = bus.Connect(t.Context(), bus.Config{URL: urls, Batches: true, Replicas: 3, AckTimeout: 300 * time.Millisecond})
			if err != nil {
				return err
			}
			t.Cleanup(c.Close)
		}
		return c.Setup(t.Context())
	})
	nc, err := nats.Connect(urls)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	next := 0
	for range 4 {
		var last bus.Seq
		testkit.Eventually(t, 30*time.Second, func() (err error) {
			last, _, err = c.CDCTail(t.Context())
			if errors.Is(err, bus.ErrNoMessage) && last == 0 {
				return nil
			}
			return err
		})
		if int(last) < next {
			t.Fatalf("the stream is at %d, %d were acknowledged", last, next)
		}
		w := newBatchWriter(t, c, last)
		published := flood(t.Context(), c, w, int(last))
		for w.Err() == nil && w.Acked() < last+1500 {
			receive(t, w.Notify())
		}
		if _, err := nc.Request("$JS.API.STREAM.LEADER.STEPDOWN."+c.CDCStream(), nil, 10*time.Second); err != nil {
			t.Fatal(err)
		}
		for w.Err() == nil && w.Acked() < last+6000 { // it may go on as if nothing had been
			receive(t, w.Notify())
		}
		w.Close()
		t.Log(receive(t, published))
		next = int(w.Acked())
	}
	if n := wantPrefix(t, stored(t, c)); n < next {
		t.Errorf("%d messages are stored, %d were acknowledged", n, next)
	}
}
