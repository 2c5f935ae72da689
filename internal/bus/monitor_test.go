package bus_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/peerquest/questwatch/internal/bus"
)

// monitored is a server with monitoring, named name, a connection to it, and the
// address of its pages.
func monitored(t *testing.T, name string, opts server.Options) (*bus.Conn, string) {
	t.Helper()
	opts.ServerName, opts.JetStream = name, true
	opts.HTTPHost, opts.HTTPPort = "127.0.0.1", server.RANDOM_PORT
	opts.Host, opts.Port, opts.NoSigs, opts.NoLog, opts.StoreDir = "127.0.0.1", server.RANDOM_PORT, true, true, t.TempDir()
	s, err := server.NewServer(&opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("server is not ready")
	}
	return connect(t, bus.Config{URL: s.ClientURL()}), "http://" + s.MonitorAddr().String()
}

func TestSyncPolicyOfRealServers(t *testing.T) {
	byDefault, defaultURL := monitored(t, "a", server.Options{})
	_, seconds := monitored(t, "b", server.Options{SyncInterval: 7 * time.Second})
	_, always := monitored(t, "c", server.Options{SyncAlways: true})
	every := func(d time.Duration) bus.SyncPolicy { return bus.SyncPolicy{Interval: d} }
	for urls, want := range map[string]bus.SyncPolicy{
		defaultURL:                 every(2 * time.Minute),
		seconds + "/":              every(7 * time.Second),
		always:                     {Always: true},
		always + ", " + seconds:    every(7 * time.Second),
		seconds + "," + always:     every(7 * time.Second),
		seconds + "," + defaultURL: every(2 * time.Minute),
	} {
		if got, err := byDefault.SyncPolicy(t.Context(), urls); err != nil || got != want {
			t.Errorf("%s: %v, want %v, error %v", urls, got, want, err)
		}
	}
}

// The page has to be of the server that the stream is on.
func TestSyncPolicyOfAnotherServer(t *testing.T) {
	c, own := monitored(t, "mine", server.Options{SyncInterval: time.Second})
	_, other := monitored(t, "theirs", server.Options{SyncAlways: true})
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, err := c.SyncPolicy(t.Context(), other); !errors.Is(err, bus.ErrNotMonitored) || !strings.Contains(err.Error(), "mine") {
		t.Errorf("%v, error %v", got, err)
	}
	if got, err := c.SyncPolicy(t.Context(), other+","+own); err != nil || got.Always || got.Interval != time.Second {
		t.Errorf("%v, error %v", got, err)
	}
}

func TestSyncPolicyOfBadPages(t *testing.T) {
	c, _ := monitored(t, "s", server.Options{})
	hang := make(chan struct{})
	page := func(text string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, text) }
	}
	const config = `{"server_name":"s","jetstream":{"config":%s}}`
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"not there":     {http.NotFound, "Not Found"},
		"forbidden":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }, "Forbidden"},
		"empty":         {page(""), "decode"},
		"garbage":       {page("<html>hello"), "decode"},
		"half":          {page(`{"server_name":"s","jetstream":{"config":{"sync_inter`), "decode"},
		"a list":        {page("[]"), "decode"},
		"null":          {page("null"), "not a NATS server's"},
		"of another":    {page(`{"hello":"world"}`), "not a NATS server's"},
		"no JetStream":  {page(`{"server_name":"s","jetstream":{}}`), "not enabled"},
		"no interval":   {page(fmt.Sprintf(config, `{}`)), "does not say"},
		"zero":          {page(fmt.Sprintf(config, `{"sync_interval":0}`)), "does not say"},
		"negative":      {page(fmt.Sprintf(config, `{"sync_interval":-5}`)), "does not say"},
		"a text":        {page(fmt.Sprintf(config, `{"sync_interval":"2m"}`)), "decode"},
		"a fraction":    {page(fmt.Sprintf(config, `{"sync_interval":1.5}`)), "decode"},
		"too large":     {page(fmt.Sprintf(config, `{"sync_interval":99999999999999999999}`)), "decode"},
		"always a text": {page(fmt.Sprintf(config, `{"sync_interval":1,"sync_always":"yes"}`)), "decode"},
		"endless":       {page(fmt.Sprintf(config, `{"sync_interval":1,"x":"`+strings.Repeat("x", 5<<20)+`"}`)), "decode"},
		"hangs":         {func(http.ResponseWriter, *http.Request) { <-hang }, "deadline"},
		"hangs up": {func(w http.ResponseWriter, _ *http.Request) {
			nc, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = nc.Close()
			}
		}, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(test.handler)
			if name == "hangs" {
				defer close(hang)
			}
			t.Cleanup(s.Close)
			address := strings.Replace(s.URL, "http://", "http://user:geheim@", 1)
			got, err := c.SyncPolicy(t.Context(), address)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Fatalf("%v, error %v, want %q", got, err, test.want)
			}
			if strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error holds the password: %v", err)
			}
		})
	}
	for _, address := range []string{"http://127.0.0.1:1", "http://ge heim", "geheim", ""} {
		if got, err := c.SyncPolicy(t.Context(), address); err == nil || strings.Contains(err.Error(), "heim") {
			t.Errorf("%q: %v, error %v", address, got, err)
		}
	}
}
