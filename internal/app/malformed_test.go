package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/testkit"
)

// marker is a title that does not arrive whole.
const marker = "geheim-7c1f"

// spoiled leads to a database, and changes one byte of whatever the server sends
// with the marker in it: the kind of the value.
func spoiled(t *testing.T, dsn string) string {
	t.Helper()
	conn, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	target := fmt.Sprintf("%s:%d", conn.Host, conn.Port)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() { l.Close(); all.Wait() })
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { relay(client, target) })
		}
	})
	return strings.Replace(dsn, target, l.Addr().String(), 1)
}

func relay(client net.Conn, target string) {
	defer client.Close()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	var up sync.WaitGroup
	up.Go(func() { _, _ = io.Copy(server, client); server.Close() })
	defer up.Wait()
	defer client.Close()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		// A text value is 't', its length in four bytes, and itself.
		if at := bytes.Index(buf[:n], []byte(marker)); at >= 5 && buf[at-5] == 't' {
			buf[at-5] = '?'
		}
		if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// Data that cannot be decoded ends the program. It says so first, and where, and
// nothing of what is in it. The next start meets it again: nothing was skipped.
func TestMalformedDataEndsTheProgram(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, spoiled(t, dsn))
	c.NATS.URL = server.URL()
	for attempt := range 2 {
		a, err := New(t.Context(), c, testLogger(t))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
		done := make(chan error, 1)
		go func() { done <- a.Run(ctx, true) }()
		if attempt == 0 {
			(&running{App: a, dsn: dsn}).ready(t)
			exec1(t, dsn, "UPDATE quests_quest SET title = '"+marker+"' WHERE id = 3")
		}
		err = <-done
		cancel()
		if !errors.Is(err, change.ErrMalformed) || hint.Of(err) == "" {
			t.Fatalf("the program ended with %v, advice %q", err, hint.Of(err))
		}
		list := alarmEvents(t, a.Bus(), "malformed")
		if len(list) != attempt+1 {
			t.Fatalf("events %+v", list)
		}
		if e := list[attempt].Data; e.LSN == 0 || e.Severity != "critical" || e.What != "message 'U'" {
			t.Errorf("event %+v", e)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
	// Whoever can read it goes on where the stream ends, and says that it is over.
	c.Postgres.DSN = dsn
	r := start(t, c, dsn)
	testkit.Eventually(t, 30*time.Second, func() error {
		list := alarmEvents(t, r.Bus(), "malformed")
		if last := list[len(list)-1]; !last.recovered() || last.Data.Since != list[1].Data.Since {
			return fmt.Errorf("events %+v", list)
		}
		return nil
	})
	if s := r.verify(t); s.count("baseline_end") != 1 || s.count("gap") != 0 {
		t.Errorf("%d baselines, %d gaps", s.count("baseline_end"), s.count("gap"))
	}
	withStream(t, server.URL(), "QUESTWATCH_EVENTS", func(ctx context.Context, stream jetstream.Stream) error {
		m, err := stream.GetLastMsgForSubject(ctx, "questwatch.events.stream.stalled.malformed._")
		if err == nil && bytes.Contains(m.Data, []byte(marker)) {
			t.Errorf("the row is in the event: %s", m.Data)
		}
		return err
	})
}

// A message of ours on the stream that says nonsense is the same.
func TestMalformedStreamEndsTheProgram(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	a, err := New(t.Context(), settings(t, dsn), testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Run(t.Context(), true) }()
	r := &running{App: a, dsn: dsn}
	r.ready(t)
	testkit.Eventually(t, 20*time.Second, func() error { // the flow's own messages come in between
		state, err := a.Bus().CDCState(t.Context())
		if err != nil {
			return err
		}
		w := a.Bus().NewWriter(state.Last)
		defer w.Close()
		if _, err := w.Publish(t.Context(), a.Bus().StepSubject(1), []byte(`{"quest_id":"`+marker+`"}`)); err != nil {
			return err
		}
		return w.Flush(t.Context())
	})
	err = <-done
	if !errors.Is(err, change.ErrMalformed) || hint.Of(err) == "" {
		t.Errorf("the program ended with %v, advice %q", err, hint.Of(err))
	}
	list := alarmEvents(t, a.Bus(), "malformed")
	if len(list) != 1 || list[0].Data.Sequence == 0 || list[0].Data.What != "message of the stream" {
		t.Errorf("events %+v", list)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}
