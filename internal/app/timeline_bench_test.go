package app

import (
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
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/testkit"
)

var timelineOf = flag.Int("timeline", 1_000_000, "BenchmarkTimeline: changes in the stream, one a message")

// BenchmarkTimeline shows one quest's timeline, a hundred of the changes that a server in a
// process of its own holds. The changes of most quests lie in a tenth of the stream, as they
// do where a quest lives for a day of ten; those of one lie all over it. It logs how long the
// first look took, for which the server has nothing in memory:
//
//	go test ./internal/app -run '^$' -bench Timeline -benchtime 5x -timeline 10000000 -timeout 30m
func BenchmarkTimeline(b *testing.B) {
	const each = 100
	quests := int64(*timelineOf / each)
	server := testkit.NewNATS(b, testkit.NATSOptions{})
	c := settings(b, "postgres://nobody@127.0.0.1:1/none")
	c.NATS.URL = server.URL()
	conn, err := bus.Connect(b.Context(), bus.Config{URL: server.URL(), Namespace: c.Namespace, Manage: c.NATS.Manage, Checkpoints: true})
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	if err := conn.Setup(b.Context()); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	writeUpdates(b, conn, quests, each)
	b.Logf("%d messages were written in %s", quests*each, time.Since(began).Round(time.Second))
	touchMemory()
	for _, where := range []struct {
		name  string
		quest int64
	}{{"within a tenth", quests/20 + 1}, {"all over", quests}} {
		first := true
		b.Run(where.name, func(b *testing.B) {
			for b.Loop() {
				began, spent := time.Now(), cpuOf(b, server.PID())
				p := &Play{Out: io.Discard, Playing: replay.Playing{
					Kind: replay.KindCDC, Select: replay.Selection{Quests: []int64{where.quest}}, Progress: func(int64, int64) {},
				}}
				played, err := Replay(b.Context(), &c, p, testLogger(b))
				if err != nil || played.Changes != each {
					b.Fatalf("%s, %v", played, err)
				}
				if first {
					b.Logf("the first took %s, of which the server worked %s", time.Since(began), cpuOf(b, server.PID())-spent)
				}
				first = false
			}
		})
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

// writeUpdates fills a stream: quests are written so many times each, a tenth of them in
// turn and then the next, and the last one now and then among all of them.
func writeUpdates(b *testing.B, conn *bus.Conn, quests int64, each int) {
	b.Helper()
	w := conn.NewWriter(0)
	source := change.Source{DB: "bench", Epoch: 1}
	clock := change.MillisOf(time.Now().Add(-time.Hour))
	var subject, data []byte
	lsn := change.LSN(1000)
	row := change.Row(`{"id":1,"status":"open"}`)
	changes := []change.Change{{Op: change.Update, Entity: change.Quest, Table: "public.quests_quest", Order: 1, Before: row, After: row}}
	write := func(id int64) {
		lsn += 100
		s := change.Step{
			QuestID: id, Source: source, Changes: changes,
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
