package app

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// TestEndWithHangingChannels: whoever stops the program need not wait for a webhook, a mail
// server and a command that do not answer.
func TestEndWithHangingChannels(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}, 100), make(chan struct{})
	hung := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-release
	}))
	t.Cleanup(func() { close(release); hung.Close() })
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mute.Close() })
	_, port, err := net.SplitHostPort(mute.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := settings(t, dsn)
	c.Alert.Webhook.URL = hung.URL
	c.Alert.Email.Host, c.Alert.Email.From, c.Alert.Email.To, c.Alert.Email.TLS = "127.0.0.1", "a@example.com", "b@example.com", "none"
	if c.Alert.Email.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	c.Alert.Command.Command, c.Alert.Command.Timeout = []string{"sh", "-c", "trap '' TERM INT; sleep 600 & wait; sleep 600"}, time.Hour
	r := start(t, c, dsn)
	r.ready(t)
	failIn(t, dsn, 101)
	<-asked
	conn, err := mute.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	began := time.Now()
	r.stop(t)
	if took := time.Since(began); took > 12*time.Second { // of a webhook's 15, a mail's 60 and a command's 3600
		t.Errorf("it took %s", took)
	}
}
