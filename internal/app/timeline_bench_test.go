package app

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/watch"
)

var timelineOf = flag.Int("timeline", 1_000_000, "BenchmarkTimeline: changes in the stream, one a message")

// BenchmarkTimeline shows one quest, a hundred of the changes that a server in a process of
// its own holds: its timeline, and what it was at the end and in the middle of the stream. The
// changes of most quests lie in a tenth of the stream, as they do where a quest lives for a day
// of ten; those of one lie all over it. It logs how long the first look took, for which the
// server has nothing in memory:
//
//	go test ./internal/app -run '^$' -bench Timeline -benchtime 5x -timeline 10000000 -timeout 30m
func BenchmarkTimeline(b *testing.B) {
	const each = 100
	quests := int64(*timelineOf / each)
	server, c, conn := streamAlone(b)
	began := time.Now()
	writeUpdates(b, conn, quests, each)
	b.Logf("%d messages were written in %s", quests*each, time.Since(began).Round(time.Second))
	began = time.Now()
	checkpointed(b, &c, conn)
	b.Logf("they were judged, with checkpoints, in %s", time.Since(began).Round(time.Second))
	middle, err := replay.ParsePoint(strconv.FormatInt(quests*each/2, 10), time.Now())
	if err != nil {
		b.Fatal(err)
	}
	for _, where := range []struct {
		name  string
		quest int64
	}{{"within a tenth", quests/20 + 1}, {"all over", quests}} {
		timeline := func(b *testing.B) {
			p := &Play{Out: io.Discard, Playing: replay.Playing{
				Kind: replay.KindCDC, Select: replay.Selection{Quests: []int64{where.quest}}, Progress: func(int64, int64) {},
			}}
			played, err := Replay(b.Context(), &c, p, testLogger(b))
			if err != nil || played.Changes != each {
				b.Fatalf("%s, %v", played, err)
			}
		}
		show := func(at replay.Point) func(*testing.B) {
			return func(b *testing.B) {
				m, err := ShowQuest(b.Context(), &c, where.quest, at, replay.DefaultLimit, false, testLogger(b))
				if err != nil || !m.Exists {
					b.Fatalf("%+v, %v", m, err)
				}
			}
		}
		for _, look := range []struct {
			name string
			at   func(*testing.B)
		}{{"timeline", timeline}, {"now", show(replay.Point{})}, {"in the middle", show(middle)}} {
			if err := errors.Join(server.Stop(), server.Start()); err != nil {
				b.Fatal(err)
			}
			touchMemory()
			first := true
			b.Run(where.name+"/"+look.name, func(b *testing.B) {
				for b.Loop() {
					began, spent := time.Now(), cpuOf(b, server.PID())
					look.at(b)
					if first {
						b.Logf("the first took %s, of which the server worked %s", time.Since(began), cpuOf(b, server.PID())-spent)
					}
					first = false
				}
			})
		}
	}
}

// checkpointed has the stream judged, and with that checkpoints stored.
func checkpointed(b *testing.B, c *config.Config, conn *bus.Conn) {
	b.Helper()
	cdc := cdcPort{bus: conn}
	flow := watch.New(Rules(c), cdc, eventsPort{conn}, findingsPort{conn.Findings()}, nil, testLogger(b))
	room := func(context.Context) (int64, bool, error) { return 0, false, nil }
	flow.Keep(watch.Keeping{
		Store:  checkpointsPort{conn.Checkpoints(), room, &spread{c.Watch.KeepCheckpoints, c.Stream.KeepBytes, conn.CDCState}},
		Stream: cdc, Every: time.Hour, Messages: *timelineOf / 30,
	})
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- flow.Run(ctx, watch.Writer{Epoch: 1, Instance: "bench"}) }()
	testkit.Eventually(b, 10*time.Minute, func() error {
		if s := flow.Status(); !s.CaughtUp {
			return fmt.Errorf("read up to message %d; %s", s.Read, s.Err)
		}
		return nil
	})
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		b.Fatal(err)
	}
}

// touchMemory has the machine give as much memory as a first look makes the server take.
// A virtual machine asks its host for memory that it never used: here that took eight times
// as long as filling what it had, and longer than all else in a first look.
func touchMemory() {
	const bytes = 2 << 30
	memory := make([]byte, bytes)
	for i := 0; i < len(memory); i += os.Getpagesize() {
		memory[i] = 1
	}
	runtime.KeepAlive(memory)
	memory = nil
	debug.FreeOSMemory()
}

// cpuOf is what a process has taken of a core, by the kernel's clock of 100 ticks a second.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.Atoi(fields[11])
	system, _ := strconv.Atoi(fields[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// changesAMark come between two marks, four of which come in a second: ten million changes a
// day.
const changesAMark = 30

// writeUpdates fills a stream: quests are written so many times each, a tenth of them in
// turn and then the next, and the last one now and then among all of them.
func writeUpdates(b *testing.B, conn *bus.Conn, quests int64, each int) {
	b.Helper()
	w := conn.NewWriter(0)
	source := change.Source{DB: "bench", Epoch: 1}
	clock := change.MillisOf(time.Now().Add(-time.Hour))
	var subject, data []byte
	lsn := change.LSN(1000)
	control := func(kind change.Kind) {
		r := change.Control{Kind: kind, Source: source, LSN: lsn, Time: clock + change.Millis(lsn/1000), Instance: "bench"}
		record, err := change.AppendControl(nil, &r)
		if err == nil {
			_, err = w.Publish(b.Context(), conn.ControlSubject(), record)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	for _, kind := range []change.Kind{change.Epoch, change.BaselineBegin, change.BaselineEnd} {
		control(kind)
	}
	write := func(id int64) {
		if lsn += 100; lsn%(100*changesAMark) == 0 {
			control(change.Progress)
		}
		row := change.Row(fmt.Appendf(nil, `{"id":%d,"title":"Quest","status":"open","assigned_to_id":null,"is_deleted":false}`, id))
		s := change.Step{
			QuestID: id, Source: source,
			Changes:     []change.Change{{Op: change.Update, Entity: change.Quest, Table: "public.quests_quest", Order: 1, Before: row, After: row}},
			Transaction: change.Transaction{ID: uint64(lsn), CommitLSN: lsn, EndLSN: lsn + 50, Time: clock + change.Millis(lsn/1000), Message: 1, Messages: 1},
		}
		subject, data = conn.AppendStepSubject(subject[:0], s.QuestID), change.AppendStep(data[:0], &s)
		if _, err := w.Publish(b.Context(), string(subject), data); err != nil {
			b.Fatal(err)
		}
	}
	for n := range 10 * each {
		group := int64(n/each) * (quests / 10)
		for id := range quests / 10 {
			if last := group+id+1 == quests; !last {
				write(group + id + 1)
			}
		}
		if n%10 == 0 {
			write(quests)
		}
	}
	if err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}
