package timetable

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// Lengths is what ParseLength reads, for who wrote something else.
const Lengths = "a length of time such as 3s, 90m, 24h or 7d"

// ParseLength reads a length of time as people write it: as Go does, and with weeks and
// days before that, of 24 hours each: 2w, 7d, 1d12h.
func ParseLength(text string) (time.Duration, error) {
	wrong := errors.New("want " + Lengths)
	rest, negative := strings.CutPrefix(text, "-")
	long := time.Duration(0)
	for _, unit := range []struct {
		name string
		is   time.Duration
	}{{"w", 7 * 24 * time.Hour}, {"d", 24 * time.Hour}} {
		number, behind, found := strings.Cut(rest, unit.name)
		if !found {
			continue
		}
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > (math.MaxInt64-int64(long))/int64(unit.is) {
			return 0, wrong
		}
		long, rest = long+time.Duration(n)*unit.is, behind
		if rest == "" {
			rest = "0"
		}
	}
	short, err := time.ParseDuration(rest)
	if err != nil || short < 0 || short > math.MaxInt64-long {
		return 0, wrong
	}
	if negative {
		return -long - short, nil
	}
	return long + short, nil
}
