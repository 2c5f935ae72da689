package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/testkit"
)

// play replays, with what is shown.
func play(t *testing.T, c config.Config, p Play) (*replay.Played, string, error) {
	t.Helper()
	return playFor(t.Context(), t, c, p)
}

func playFor(ctx context.Context, t *testing.T, c config.Config, p Play) (*replay.Played, string, error) {
	t.Helper()
	var out bytes.Buffer
	if p.Out == nil {
		p.Out = &out
	}
	if p.Kind == "" {
		p.Kind = replay.KindCDC
	}
	p.Progress = func(int64, int64) {}
	played, err := Replay(ctx, &c, &p, testLogger(t))
	return played, out.String(), err
}

func pointOf(t *testing.T, text string) replay.Point {
	t.Helper()
	p, err := replay.ParsePoint(text, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// written fills a stream as an instance would, with commit times that are out of order
// by seconds: quest n is written at second n, the even ones three seconds later.
func written(t *testing.T, c *config.Config, url string, quests int) (base change.Millis) {
	t.Helper()
	c.NATS.URL = url
	conn, err := bus.Connect(t.Context(), bus.Config{URL: url, Namespace: c.Namespace, Manage: c.NATS.Manage, Checkpoints: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Setup(t.Context()); err != nil {
		t.Fatal(err)
	}
	base = change.MillisOf(time.Now().Add(-time.Hour))
	w := conn.NewWriter(0)
	for n := range quests {
		lsn := change.LSN(1000 * (n + 1))
		at := base + change.Millis(1000*n+n%2*3000)
		s := change.Step{
			QuestID: int64(n + 1), Source: change.Source{DB: "test", Epoch: 1},
			Transaction: change.Transaction{ID: uint64(n + 500), CommitLSN: lsn, EndLSN: lsn + 10, Time: at, Message: 1, Messages: 1},
			Changes:     approval(int64(n+1), change.Update, "open", "pending")[:4],
		}
		if _, err := w.Publish(t.Context(), conn.StepSubject(s.QuestID), change.AppendStep(nil, &s)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	return base
}

// sequences are those of what is shown as JSON.
func sequences(t *testing.T, text string) (all []int) {
	t.Helper()
	for line := range strings.Lines(text) {
		var m struct{ Sequence int }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		all = append(all, m.Sequence)
	}
	return all
}

func TestReplayRangesAreExact(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	c := settings(t, "postgres://nobody@127.0.0.1:1/none")
	base := written(t, &c, server.URL(), 200)
	second := func(n int) string { return event.Stamp(base + change.Millis(1000*n)) }
	stretch := func(from, to int) (want []int) {
		for n := range 200 { // by what was written, not by how it is searched
			if at := n + n%2*3; at >= from && at <= to {
				want = append(want, n+1)
			}
		}
		return want
	}
	user := "8f14e45f-ceea-467f-9b5c-000000000007"
	for name, test := range map[string]struct {
		from, to string
		sel      replay.Selection
		want     []int
	}{
		"times":         {from: second(100), to: second(105), want: stretch(100, 105)},
		"one time":      {from: second(50), to: second(50), want: stretch(50, 50)},
		"a sequence":    {from: "198", want: []int{198, 199, 200}},
		"sequences":     {from: "5", to: "7", want: []int{5, 6, 7}},
		"positions":     {from: change.LSN(5000).String(), to: change.LSN(6999).String(), want: []int{5, 6}},
		"going on":      {from: "103@" + second(104), to: second(105), want: slices.DeleteFunc(stretch(104, 105), func(n int) bool { return n < 103 })},
		"a quest":       {sel: replay.Selection{Quests: []int64{42}}, want: []int{42}},
		"quests":        {sel: replay.Selection{Quests: []int64{42, 7}}, want: []int{7, 42}},
		"not in range":  {from: "50", sel: replay.Selection{Quests: []int64{42}}},
		"a user":        {sel: replay.Selection{User: user}, want: []int{5, 6, 7}},
		"a transaction": {sel: replay.Selection{Transaction: 510}, want: []int{11}},
		"all of it":     {sel: replay.Selection{User: user, Entity: "quest"}},
	} {
		p := Play{JSON: true, Playing: replay.Playing{Select: test.sel}}
		p.From, p.To = pointOf(t, test.from), pointOf(t, test.to)
		played, out, err := play(t, c, p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := sequences(t, out); !slices.Equal(got, test.want) || int(played.Messages) != len(got) {
			t.Errorf("%s: %v (%s), want %v", name, got, played, test.want)
		}
	}
	for from := 20; from < 70; from++ { // a search may hit by luck
		p := Play{JSON: true}
		p.From, p.To = pointOf(t, second(from)), pointOf(t, second(from+from%7))
		_, out, err := play(t, c, p)
		if got, want := sequences(t, out), stretch(from, from+from%7); err != nil || !slices.Equal(got, want) {
			t.Errorf("from second %d to %d: %v, want %v, %v", from, from+from%7, got, want, err)
		}
	}
	for name, test := range map[string]struct{ from, to, want string }{
		"reversed times": {second(105), second(50), "the range is reversed"},
		"behind the end": {"201", "", "behind the end of the stream, message 200"},
		"a late time":    {second(3000), "", "behind the end"},
		"no baseline":    {"baseline", "", "not in the stream any more"},
	} {
		p := Play{}
		p.From, p.To = pointOf(t, test.from), pointOf(t, test.to)
		var point *replay.PointError
		if _, _, err := play(t, c, p); !errors.As(err, &point) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	p := Play{}
	p.Select.Quests = []int64{4711}
	if _, _, err := play(t, c, p); !errors.Is(err, replay.ErrNoQuest) {
		t.Errorf("an unknown quest: %v", err)
	}
}

// TestReplayPaces plays at a pace: 19 messages that came within some 20 s.
func TestReplayPaces(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	c := settings(t, "postgres://nobody@127.0.0.1:1/none")
	written(t, &c, server.URL(), 19)
	for _, pace := range []replay.Pace{{Speed: 20}, {Rate: 19}} {
		began := time.Now()
		p := Play{DryRun: true}
		p.Pace = pace
		played, _, err := play(t, c, p)
		if took := time.Since(began); err != nil || played.Messages != 19 || took < 900*time.Millisecond {
			t.Errorf("%+v: %v after %s, %v", pace, played, took, err)
		}
	}
}

// stopping is a sink's context that ends when so many lines were shown.
type stopping struct {
	bytes.Buffer
	left int
	stop func()
}

func (s *stopping) Write(p []byte) (int, error) {
	if s.left -= bytes.Count(p, []byte("\n")); s.left <= 0 {
		s.stop()
	}
	return s.Buffer.Write(p)
}

func TestReplayGoesOnAfterAnInterrupt(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	c := settings(t, "postgres://nobody@127.0.0.1:1/none")
	base := written(t, &c, server.URL(), 200)
	from, to := pointOf(t, event.Stamp(base+20_000)), pointOf(t, event.Stamp(base+120_000))
	p := Play{JSON: true, Playing: replay.Playing{From: from, To: to}}
	_, whole, err := play(t, c, p)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	first := &stopping{left: 30, stop: cancel}
	p.Out, p.Pace = first, replay.Pace{Rate: 1e6} // shown line by line
	played, _, err := playFor(ctx, t, c, p)
	if !errors.Is(err, context.Canceled) || played.Messages < 30 || played.Messages > 60 {
		t.Fatalf("%s, %v", played, err)
	}
	rest := Play{JSON: true, Playing: replay.Playing{From: pointOf(t, played.Again), To: pointOf(t, played.To)}}
	_, more, err := play(t, c, rest)
	if err != nil || first.String()+more != whole {
		t.Errorf("%s to %s: %v and %v are not %v, %v", played.Again, played.To, sequences(t, first.String()), sequences(t, more), sequences(t, whole), err)
	}
}

func TestReplayFiles(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	c := settings(t, "postgres://nobody@127.0.0.1:1/none")
	written(t, &c, server.URL(), 200)
	dir := t.TempDir()
	path := filepath.Join(dir, "a.replay")
	p := Play{JSON: true, Playing: replay.Playing{From: pointOf(t, "11"), To: pointOf(t, "190")}}
	_, whole, err := play(t, c, p)
	if err != nil {
		t.Fatal(err)
	}
	p.ToFile = path
	if played, _, err := play(t, c, p); err != nil || played.Messages != 180 {
		t.Fatalf("%s, %v", played, err)
	}
	offline := c
	offline.NATS.URL = "nats://127.0.0.1:1" // a file needs no server
	if _, out, err := play(t, offline, Play{JSON: true, FromFile: path}); err != nil || out != whole {
		t.Errorf("read back: %v, %d bytes of %d", err, len(out), len(whole))
	}
	some := Play{JSON: true, FromFile: path, Playing: replay.Playing{From: pointOf(t, "20"), To: pointOf(t, change.LSN(22_000).String())}}
	if _, out, err := play(t, offline, some); err != nil || !slices.Equal(sequences(t, out), []int{20, 21, 22}) {
		t.Errorf("a part: %q, %v", out, err)
	}
	if _, _, err := play(t, c, p); !errors.Is(err, os.ErrExist) {
		t.Errorf("over a file: %v", err)
	}
	full, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}

	// Wherever it was cut off, it is found, and what was begun is ended the same.
	lines := bytes.SplitAfter(full, []byte("\n"))
	head, last := len(lines[0]), len(lines[len(lines)-2])
	for _, keep := range []int{head, head + 1, head + 5000, len(full) - last, len(full) - last - 1, len(full) - 1} {
		cut := filepath.Join(dir, fmt.Sprintf("cut%d", keep))
		if err := os.WriteFile(cut, full[:keep], 0o600); err != nil {
			t.Fatal(err)
		}
		var damaged *replay.FileError
		if _, _, err := play(t, offline, Play{JSON: true, FromFile: cut}); !errors.As(err, &damaged) || damaged.Line < 2 {
			t.Errorf("cut off at %d: %v", keep, err)
		}
		_, _, err := play(t, c, Play{ToFile: cut, Continue: true})
		if got, _ := os.ReadFile(cut); err != nil || !bytes.Equal(got, full) {
			t.Errorf("gone on at %d: %v, %d bytes of %d", keep, err, len(got), len(full))
		}
	}
	if _, _, err := play(t, c, Play{ToFile: path, Continue: true}); !errors.Is(err, replay.ErrFinished) {
		t.Errorf("a finished file: %v", err)
	}
	if _, _, err := play(t, c, Play{ToFile: filepath.Join(path, "x")}); err == nil {
		t.Error("a file in a file was written")
	}
}

func TestReplayToASubject(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	c := settings(t, "postgres://nobody@127.0.0.1:1/none")
	written(t, &c, server.URL(), 600)
	var before *jetstream.StreamInfo
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		cdc, err := js.Stream(ctx, "QUESTWATCH_CDC")
		if err != nil {
			return err
		}
		before = cdc.CachedInfo()
		for name, subjects := range map[string][]string{"COPIES": {"copy.>"}, "OTHER_CDC": {"other.cdc.>"}} {
			if _, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: name, Subjects: subjects}); err != nil {
				return err
			}
		}
		return nil
	})
	for _, prefix := range []string{
		"questwatch", "questwatch.copy", "questwatch.cdc", "*", "copy.*", "copy.>", ">", "copy..x", ".copy", "copy.", "a b", "$JS.API", "$KV.x", "_INBOX.x",
		"nobody.takes.it", "other",
	} {
		p := Play{ToSubject: prefix}
		if _, _, err := play(t, c, p); !errors.Is(err, bus.ErrNoCopies) || hint.Of(err) == "" {
			t.Errorf("%q: %v", prefix, err)
		}
	}
	// A second time, it is there once.
	for range 2 {
		played, _, err := play(t, c, Play{ToSubject: "copy.here"})
		if err != nil || played.Messages != 600 {
			t.Fatalf("%s, %v", played, err)
		}
	}
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		copies, err := js.Stream(ctx, "COPIES")
		if err != nil {
			return err
		}
		cdc, err := js.Stream(ctx, "QUESTWATCH_CDC")
		if err != nil {
			return err
		}
		if n := copies.CachedInfo().State.Msgs; n != 600 {
			t.Errorf("%d copies", n)
		}
		if now := cdc.CachedInfo().State; now.LastSeq != before.State.LastSeq {
			t.Errorf("the stream went from %d to %d", before.State.LastSeq, now.LastSeq)
		}
		for seq := uint64(1); seq <= 600; seq++ {
			is, err := copies.GetMsg(ctx, seq)
			if err != nil {
				return err
			}
			was, err := cdc.GetMsg(ctx, seq)
			if err != nil {
				return err
			}
			want := "copy.here." + strings.TrimPrefix(was.Subject, "questwatch.")
			if is.Subject != want || !bytes.Equal(is.Data, was.Data) || is.Header.Get("replayof") != fmt.Sprintf("QUESTWATCH_CDC/%d", seq) ||
				is.Header.Get(jetstream.MsgIDHeader) != was.Header.Get(jetstream.MsgIDHeader) {
				t.Fatalf("copy %d: %s %v", seq, is.Subject, is.Header)
			}
		}
		return nil
	})
}

// TestReplayToASubjectGoesOn breaks a replay to a subject off, and goes on as it says.
func TestReplayToASubjectGoesOn(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	c := settings(t, "postgres://nobody@127.0.0.1:1/none")
	written(t, &c, server.URL(), 200)
	count := func() (n uint64) {
		withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
			s, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "COPIES", Subjects: []string{"copy.>"}})
			if err == nil {
				n = s.CachedInfo().State.Msgs
			}
			return err
		})
		return n
	}
	count()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := Play{ToSubject: "copy"}
	p.Pace = replay.Pace{Rate: 100}
	type ended struct {
		played *replay.Played
		err    error
	}
	done := make(chan ended, 1)
	go func() {
		played, _, err := playFor(ctx, t, c, p)
		done <- ended{played, err}
	}()
	testkit.Eventually(t, 20*time.Second, func() error {
		if n := count(); n < 20 {
			return fmt.Errorf("%d copies", n)
		}
		return nil
	})
	cancel()
	first := <-done
	if !errors.Is(first.err, context.Canceled) || first.played.Messages != count() {
		t.Fatalf("%s, %v, %d copies", first.played, first.err, count())
	}
	rest := Play{ToSubject: "copy", Playing: replay.Playing{From: pointOf(t, first.played.Again), To: pointOf(t, first.played.To)}}
	second, _, err := play(t, c, rest)
	if err != nil || first.played.Messages+second.Messages != 200 || count() != 200 {
		t.Errorf("%s, then %s, %v, %d copies", first.played, second, err, count())
	}
}

// TestReplayEvents shows events of a running instance, and copies them.
func TestReplayEvents(t *testing.T) {
	t.Parallel()
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	c.NATS.URL = server.URL()
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
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		cdc, err := js.Stream(ctx, "QUESTWATCH_CDC")
		if err != nil {
			return err
		}
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
	withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
		copies, err := js.Stream(ctx, "COPIES")
		if err != nil {
			return err
		}
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
			withJetStream(t, server.URL(), func(ctx context.Context, js jetstream.JetStream) error {
				cdc, err := js.Stream(ctx, strings.ToUpper(c.Namespace)+"_CDC")
				if err != nil {
					return err
				}
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
