package bus_test

import (
	"errors"
	"hash/fnv"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

func TestSubjects(t *testing.T) {
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess(), Namespace: "my-app"})
	if c.CDCStream() != "MY_APP_CDC" || c.ControlSubject() != "my-app.cdc.control" || c.EventsStream() != "MY_APP_EVENTS" {
		t.Error(c.CDCStream(), c.ControlSubject(), c.EventsStream())
	}
	for _, id := range []int64{0, 1, 42, -7, 1 << 62} {
		text := strconv.FormatInt(id, 10)
		h := fnv.New32a()
		_, _ = h.Write([]byte(text))
		want := "my-app.cdc." + strconv.Itoa(int(h.Sum32()%16)) + "." + text
		if got := c.StepSubject(id); got != want {
			t.Errorf("subject of %d is %s, not %s", id, got, want)
		}
	}
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() { buf = c.AppendStepSubject(buf[:0], 123456789) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	_, err := bus.Connect(t.Context(), bus.Config{Options: s.InProcess(), Namespace: "a.b"})
	advice(t, err)
}

// plainServer is a server that is not ours.
func plainServer(t *testing.T, opts *server.Options) string {
	t.Helper()
	opts.Host, opts.Port, opts.NoSigs, opts.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	opts.StoreDir = t.TempDir()
	s, err := server.NewServer(opts)
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(20 * time.Second) {
		t.Fatal("server is not ready")
	}
	return s.ClientURL()
}

func TestConnectErrors(t *testing.T) {
	own := startServer(t, embedded.Config{})
	without := plainServer(t, &server.Options{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := "nats://" + l.Addr().String()
	_ = l.Close()
	for name, test := range map[string]struct {
		cfg  bus.Config
		want error
	}{
		"unreachable":       {bus.Config{URL: closed}, bus.ErrUnreachable},
		"bad password":      {bus.Config{URL: own.ClientURL(), Options: []nats.Option{nats.UserInfo("questwatch", "no")}}, bus.ErrAuth},
		"without jetstream": {bus.Config{URL: without}, bus.ErrNoJetStream},
	} {
		_, err := bus.Connect(t.Context(), test.cfg)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		advice(t, err)
	}
	_, err = bus.Connect(t.Context(), bus.Config{URL: own.ClientURL(), Manage: "maybe"})
	advice(t, err)
}

func TestRestrictedPermissionsNameTheSubject(t *testing.T) {
	restricted := func(allow ...string) string {
		return plainServer(t, &server.Options{JetStream: true, NoAuthUser: "u", Users: []*server.User{{
			Username: "u", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Allow: allow}},
		}}})
	}
	_, err := bus.Connect(t.Context(), bus.Config{URL: restricted("nothing")})
	var p *bus.PermissionError
	if !errors.As(err, &p) || p.Subject != "$JS.API.INFO" {
		t.Errorf("connect: %v", err)
	}
	c := connect(t, bus.Config{URL: restricted("$JS.API.INFO", "$JS.API.STREAM.INFO.*")})
	err = c.Setup(t.Context())
	if !errors.As(err, &p) || p.Subject != "$JS.API.STREAM.CREATE.QUESTWATCH_CDC" {
		t.Errorf("setup: %v", err)
	}
	if h := advice(t, err); !strings.Contains(h, p.Subject) {
		t.Error(h)
	}
}

func TestSetupIsIdempotentAndAdjustsLimits(t *testing.T) {
	s, c := open(t)
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	changed := connect(t, bus.Config{Options: s.InProcess(), CDCMaxAge: time.Hour, CDCMaxBytes: 1 << 30})
	verify := connect(t, bus.Config{Options: s.InProcess(), CDCMaxAge: time.Minute, Manage: bus.ManageVerify})
	if err := errors.Join(changed.Setup(t.Context()), verify.Setup(t.Context())); err != nil {
		t.Fatal(err)
	}
	stream, err := raw(t, s).Stream(t.Context(), c.CDCStream())
	if err != nil {
		t.Fatal(err)
	}
	if cfg := stream.CachedInfo().Config; cfg.MaxAge != time.Hour || cfg.MaxBytes != 1<<30 {
		t.Errorf("limits are %v, %d", cfg.MaxAge, cfg.MaxBytes)
	}
}

func TestSetupRefusesAnotherKindOfStream(t *testing.T) {
	s := startServer(t, embedded.Config{})
	_, err := raw(t, s).CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "QUESTWATCH_CDC", Subjects: []string{"questwatch.cdc.*"}, MaxMsgsPerSubject: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	err = connect(t, bus.Config{Options: s.InProcess()}).Setup(t.Context())
	if !errors.Is(err, bus.ErrSetup) || !strings.Contains(err.Error(), "subjects") || !strings.Contains(err.Error(), "messages per subject") {
		t.Errorf("setup: %v", err)
	}
	advice(t, err)
}

func TestVerifyNamesTheCommand(t *testing.T) {
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess(), Manage: bus.ManageVerify})
	err := c.Setup(t.Context())
	if h := advice(t, err); !errors.Is(err, bus.ErrSetup) || !strings.Contains(h, "nats stream add QUESTWATCH_CDC --subjects='questwatch.cdc.>'") {
		t.Errorf("%v: %s", err, h)
	}
	js := raw(t, s)
	for name, subject := range map[string]string{"QUESTWATCH_CDC": "questwatch.cdc.>", "QUESTWATCH_EVENTS": "questwatch.events.>"} {
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: name, Subjects: []string{subject}}); err != nil {
			t.Fatal(err)
		}
	}
	err = c.Setup(t.Context())
	if h := advice(t, err); !errors.Is(err, bus.ErrSetup) || !strings.Contains(h, "nats kv add questwatch-findings") {
		t.Errorf("%v: %s", err, h)
	}
	if _, err := c.Findings().Get(t.Context(), "k"); !errors.Is(err, bus.ErrSetup) {
		t.Errorf("get from a missing bucket: %v", err)
	}
}

func TestSetupWithTooLittleStorage(t *testing.T) {
	s := startServer(t, embedded.Config{MaxStore: 1 << 20})
	err := connect(t, bus.Config{Options: s.InProcess()}).Setup(t.Context())
	if !errors.Is(err, bus.ErrFull) {
		t.Fatal(err)
	}
	advice(t, err)
}
