package app

import (
	"flag"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/testkit"
)

var timelineOf = flag.Int("timeline", 1_000_000, "BenchmarkTimeline: changes in the stream, one a message")

// BenchmarkTimeline shows one quest's timeline, a hundred of the changes that a server in a
// process of its own holds:
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
	for b.Loop() {
		p := &Play{Out: io.Discard, Playing: replay.Playing{
			Kind: replay.KindCDC, Select: replay.Selection{Quests: []int64{quests / 2}}, Progress: func(int64, int64) {},
		}}
		played, err := Replay(b.Context(), &c, p, testLogger(b))
		if err != nil || played.Changes != each {
			b.Fatalf("%s, %v", played, err)
		}
	}
}

// writeUpdates fills a stream: each quest is written so many times, all in turn.
func writeUpdates(b *testing.B, conn *bus.Conn, quests int64, each int) {
	b.Helper()
	w := conn.NewWriter(0)
	source := change.Source{DB: "bench", Epoch: 1}
	clock := change.MillisOf(time.Now().Add(-time.Hour))
	var subject, data []byte
	lsn := change.LSN(1000)
	for n := range each {
		was := change.Row(fmt.Sprintf(`{"id":1,"status":"open","n":%d}`, n))
		is := change.Row(fmt.Sprintf(`{"id":1,"status":"open","n":%d}`, n+1))
		changes := []change.Change{{Op: change.Update, Entity: change.Quest, Table: "public.quests_quest", Order: 1, Before: was, After: is}}
		for id := range quests {
			lsn += 100
			s := change.Step{
				QuestID: id + 1, Source: source, Changes: changes,
				Transaction: change.Transaction{ID: uint64(lsn), CommitLSN: lsn, EndLSN: lsn + 50, Time: clock + change.Millis(lsn/1000), Message: 1, Messages: 1},
			}
			subject, data = conn.AppendStepSubject(subject[:0], s.QuestID), change.AppendStep(data[:0], &s)
			if _, err := w.Publish(b.Context(), string(subject), data); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}
