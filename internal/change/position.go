package change

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// LSN is a position in Postgres's write-ahead log, in bytes. On the wire it is
// a JSON integer; people see Postgres's own form, 16/B374D848.
type LSN uint64

func (l LSN) String() string { return fmt.Sprintf("%X/%X", uint32(l>>32), uint32(l)) }

// ParseLSN reads Postgres's text form.
func ParseLSN(s string) (LSN, error) {
	hi, lo, ok := strings.Cut(s, "/")
	if !ok {
		return 0, fmt.Errorf("parse LSN %q: want the form 16/B374D848", s)
	}
	h, errHi := strconv.ParseUint(hi, 16, 32)
	l, errLo := strconv.ParseUint(lo, 16, 32)
	if errHi != nil || errLo != nil {
		return 0, fmt.Errorf("parse LSN %q: %w", s, errors.Join(errHi, errLo))
	}
	return LSN(h<<32 | l), nil
}

// Millis is a moment of the database's clock: milliseconds since 1970, UTC.
type Millis int64

// MillisOf cuts t to milliseconds.
func MillisOf(t time.Time) Millis { return Millis(t.UnixMilli()) }

// Time is the moment as a UTC time.
func (m Millis) Time() time.Time { return time.UnixMilli(int64(m)).UTC() }

// Add moves the moment by d, cut to milliseconds.
func (m Millis) Add(d time.Duration) Millis { return m + Millis(d.Milliseconds()) }
