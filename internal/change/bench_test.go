package change_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

func BenchmarkAppendStep(b *testing.B) {
	s, buffer := documentedStep(), make([]byte, 0, 4096)
	b.SetBytes(int64(len(documented)))
	b.ReportAllocs()
	for b.Loop() {
		buffer = change.AppendStep(buffer[:0], &s)
	}
}

func BenchmarkDecodeStep(b *testing.B) {
	var d change.Decoder
	var s change.Step
	data := []byte(documented)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Step(data, &s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkReadRow is what the state does with a row: look at every column.
func BenchmarkReadRow(b *testing.B) {
	row := change.Row(`{"id":7,"quest_id":42,"applicant_id":"8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c","status":"approved",` +
		`"applied_at":"2026-07-01T13:22:32.000000+00:00","reviewed_at":null}`)
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := row.Each(func(_, value []byte) error { n += len(value); return nil }); err != nil {
			b.Fatal(err)
		}
	}
}
