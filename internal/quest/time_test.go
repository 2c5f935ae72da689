package quest

import (
	"math"
	"testing"
)

// Every time that Postgres can hold is read: one person's odd row must not stop
// the checker.
func TestTimesThatGoCannotWrite(t *testing.T) {
	for text, want := range map[string]int64{
		`"1970-01-01T00:00:01.000002+00:00"`:    1_000_002,
		`"1970-01-01T00:00:01"`:                 1_000_000,
		`"infinity"`:                            math.MaxInt64,
		`"-infinity"`:                           math.MinInt64,
		`"12345-06-07T00:00:00+00:00"`:          math.MaxInt64,
		`"294276-12-31T23:59:59.999999"`:        math.MaxInt64,
		`"0044-03-15T12:00:00.000001+00:00 BC"`: math.MinInt64,
	} {
		if got, err := readMicros([]byte(text)); err != nil || got != want {
			t.Errorf("%s: %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{`""`, `"yesterday"`, `"2025-07-01"`, `"x12345-06-07T00:00:00"`, `7`} {
		if got, err := readMicros([]byte(text)); err == nil {
			t.Errorf("%s: %d", text, got)
		}
	}
}
