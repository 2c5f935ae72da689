package bus_test

import (
	"fmt"
	"testing"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/bus/embedded"
)

// BenchmarkBatchWriter writes to a server that syncs every batch; 1000 is what a
// server takes by default, and the other what the embedded one takes.
func BenchmarkBatchWriter(b *testing.B) {
	for _, batch := range []int{1000, embedded.MaxBatch} {
		b.Run(fmt.Sprint(batch), func(b *testing.B) {
			_, c := openBatches(b, bus.Config{BatchMessages: batch, Window: 2 * batch})
			w := c.NewBatchWriter(0)
			defer w.Close()
			data := make([]byte, 256)
			subject := c.StepSubject(42)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Publish(b.Context(), subject, data); err != nil {
					b.Fatal(err)
				}
			}
			if err := w.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
		})
	}
}

// BenchmarkWriterSyncAlways is what a BatchWriter has to beat: a Writer on a
// server that syncs every message.
func BenchmarkWriterSyncAlways(b *testing.B) {
	s := startServer(b, embedded.Config{SyncAlways: true})
	c := connect(b, bus.Config{Options: s.InProcess()})
	if err := c.Setup(b.Context()); err != nil {
		b.Fatal(err)
	}
	w := c.NewWriter(0)
	defer w.Close()
	data := make([]byte, 256)
	subject := c.StepSubject(42)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Publish(b.Context(), subject, data); err != nil {
			b.Fatal(err)
		}
	}
	if err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msgs/s")
}

// BenchmarkLoneMessage is the time from Publish to the ack when nothing else is
// under way.
func BenchmarkLoneMessage(b *testing.B) {
	for _, always := range []bool{false, true} {
		b.Run(fmt.Sprintf("always=%t", always), func(b *testing.B) {
			s := startServer(b, embedded.Config{SyncAlways: always})
			c := connect(b, bus.Config{Options: s.InProcess(), Batches: true})
			if err := c.Setup(b.Context()); err != nil {
				b.Fatal(err)
			}
			w := c.NewBatchWriter(0)
			defer w.Close()
			data := make([]byte, 256)
			for b.Loop() {
				if _, err := w.Publish(b.Context(), c.ControlSubject(), data); err != nil {
					b.Fatal(err)
				}
				if err := w.Flush(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
