package bus_test

import (
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

func TestCDCRoom(t *testing.T) {
	s := startServer(t, embedded.Config{})
	c := connect(t, bus.Config{Options: s.InProcess(), CDCMaxAge: time.Hour, CDCMaxBytes: 1 << 20})
	if _, err := c.CDCRoom(t.Context()); err == nil {
		t.Error("a stream that is not there has room")
	}
	if err := c.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := c.CDCRoom(t.Context())
	if err != nil || r.MaxAge != time.Hour || r.MaxBytes != 1<<20 || r.Bytes != 0 || r.First != 1 || r.Last != 0 {
		t.Errorf("empty: %+v, %v", r, err)
	}
	publish(t, c, newWriter(t, c, 0), 1, 10)
	r, err = c.CDCRoom(t.Context())
	if err != nil || r.Bytes == 0 || r.First != 1 || r.Last != 10 || r.Messages != 10 {
		t.Errorf("with messages: %+v, %v", r, err)
	}
}
