package app

import (
	"fmt"
	"io"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/replay"
	"github.com/peerquest/questwatch/internal/testkit"
)

// BenchmarkReplay plays a stored stream, which a server in a process of its own holds:
// approvals of five rows each; and judges it anew. It reports row changes by the clock, and by
// what this process took of a core:
//
//	go test ./internal/app -run '^$' -bench Replay -benchtime 3x
func BenchmarkReplay(b *testing.B) {
	const quests, rounds = 2000, 50
	_, c, conn := streamAlone(b)
	writeApprovals(b, conn, quests, rounds)
	play := func(b *testing.B, p Play) (changes uint64, seconds float64) {
		began := time.Now()
		p.Out, p.Playing = io.Discard, replay.Playing{Kind: replay.KindCDC, Progress: func(int64, int64) {}}
		played, err := Replay(b.Context(), &c, &p, testLogger(b))
		if err != nil {
			b.Fatal(err)
		}
		return played.Changes, time.Since(began).Seconds()
	}
	for _, to := range []struct {
		name string
		run  func(b *testing.B) (changes uint64, seconds float64)
	}{
		{"check", func(b *testing.B) (uint64, float64) {
			k := replay.Checking{Differs: func(replay.Difference) error { return nil }, Progress: func(int64, int64) {}}
			result, err := Recheck(b.Context(), &c, k, testLogger(b))
			if err != nil {
				b.Fatal(err)
			}
			return result.Changes, result.Seconds // without the wait for an instance to tell what it found last
		}},
		{"json", func(b *testing.B) (uint64, float64) { return play(b, Play{JSON: true}) }},
		{"text", func(b *testing.B) (uint64, float64) { return play(b, Play{}) }},
		{"file", func(b *testing.B) (uint64, float64) { return play(b, Play{ToFile: filepath.Join(b.TempDir(), "file")}) }},
	} {
		b.Run(to.name, func(b *testing.B) {
			var changes uint64
			var spent float64
			before := cpu(b)
			for b.Loop() {
				n, seconds := to.run(b)
				changes, spent = changes+n, spent+seconds
			}
			b.ReportMetric(float64(changes)/spent, "changes/s")
			b.ReportMetric(float64(changes)/(cpu(b)-before).Seconds(), "changes/cpu-s")
		})
	}
}

// streamAlone is a server in a process of its own with the streams of an instance that
// needs no database.
func streamAlone(b *testing.B) (*testkit.NATS, config.Config, *bus.Conn) {
	b.Helper()
	server := testkit.NewNATS(b, testkit.NATSOptions{})
	c := settings(b, "postgres://nobody@127.0.0.1:1/none")
	c.NATS.URL = server.URL()
	conn, err := bus.Connect(b.Context(), bus.Config{URL: server.URL(), Namespace: c.Namespace, Manage: c.NATS.Manage, Checkpoints: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(conn.Close)
	if err := conn.Setup(b.Context()); err != nil {
		b.Fatal(err)
	}
	return server, c, conn
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// writeApprovals fills a stream: a baseline of open quests, and then each is given to
// somebody and taken back, round after round.
func writeApprovals(b *testing.B, conn *bus.Conn, quests, rounds int) {
	b.Helper()
	w := conn.NewWriter(0)
	publish := func(subject string, data []byte, err error) {
		if err == nil {
			_, err = w.Publish(b.Context(), subject, data)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	source := change.Source{DB: "bench", Epoch: 1}
	lsn, clock := change.LSN(1000), change.MillisOf(time.Now().Add(-time.Hour))
	control := func(r change.Control) {
		r.Source, r.LSN, r.Time = source, lsn, clock
		data, err := change.AppendControl(nil, &r)
		publish(conn.ControlSubject(), data, err)
	}
	step := func(tx change.Transaction, snapshot bool, quest int64, changes []change.Change) {
		s := change.Step{QuestID: quest, Transaction: tx, Source: source, Changes: changes}
		s.Source.Snapshot = snapshot
		publish(conn.StepSubject(quest), change.AppendStep(nil, &s), nil)
	}
	control(change.Control{Kind: change.BaselineBegin})
	for id := range int64(quests) {
		all := approval(id+1, change.Read, "open", "pending")
		step(change.Transaction{CommitLSN: lsn - 1, Time: clock, Message: int(id) + 1}, true, id+1, all[:4])
	}
	control(change.Control{Kind: change.BaselineEnd})
	for round := range rounds {
		for id := range int64(quests) {
			lsn, clock = lsn+100, clock+2
			all := approval(id+1, change.Update, "in-progress", "approved")
			if all[4].Op = change.Create; round%2 == 1 {
				all = approval(id+1, change.Update, "open", "pending")
				all[4].Op, all[4].Before, all[4].After = change.Delete, all[4].After, nil
			}
			step(change.Transaction{ID: uint64(lsn), CommitLSN: lsn, EndLSN: lsn + 50, Time: clock, Message: 1, Messages: 1}, false, id+1, all)
		}
		control(change.Control{Kind: change.Progress})
	}
	if err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

// approval is the quest's row, three applications and the participant.
func approval(id int64, op change.Op, status, first string) []change.Change {
	user := func(i int64) string { return fmt.Sprintf("8f14e45f-ceea-467f-9b5c-%012d", (id+i)%500) }
	assigned := "null"
	if status != "open" {
		assigned = `"` + user(0) + `"`
	}
	of := func(e change.Entity, row string) change.Change {
		c := change.Change{Op: op, Entity: e, Table: "public." + e.String(), After: change.Row(row)}
		if op == change.Update {
			c.Before = change.Row(row)
		}
		return c
	}
	all := []change.Change{of(change.Quest, fmt.Sprintf(`{"id":%d,"title":"Quest number %d","status":%q,"assigned_to_id":%s,"is_deleted":false}`, id, id, status, assigned))}
	for i := range int64(3) {
		now := "pending"
		if i == 0 {
			now = first
		}
		all = append(all, of(change.Application, fmt.Sprintf(`{"id":%d,"quest_id":%d,"applicant_id":%q,"status":%q}`, 3*id+i, id, user(i), now)))
	}
	participant := of(change.Participant, fmt.Sprintf(`{"id":%d,"quest_id":%d,"user_id":%q,"status":"joined"}`, id, id, user(0)))
	participant.Before = nil
	return append(all, participant)
}
