package pgsource

import (
	"bytes"
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
)

// Type OIDs of Postgres (src/include/catalog/pg_type.dat) whose JSON form is not
// their text as a string.
const (
	oidBool        = 16
	oidInt8        = 20
	oidInt2        = 21
	oidInt4        = 23
	oidJSON        = 114
	oidFloat4      = 700
	oidFloat8      = 701
	oidTimestamp   = 1114
	oidTimestamptz = 1184
	oidNumeric     = 1700
	oidJSONB       = 3802
)

// appendJSON appends a value in Postgres's text form as to_json would give it.
func appendJSON(dst []byte, oid uint32, text []byte) ([]byte, error) {
	switch oid {
	case oidInt2, oidInt4, oidInt8:
		return append(dst, text...), nil
	case oidBool:
		if len(text) != 1 || text[0] != 't' && text[0] != 'f' {
			return nil, fmt.Errorf("boolean %.20q", text)
		}
		if text[0] == 't' {
			return append(dst, "true"...), nil
		}
		return append(dst, "false"...), nil
	case oidFloat4, oidFloat8, oidNumeric:
		if finite(text) {
			return append(dst, text...), nil
		}
	case oidJSON, oidJSONB:
		return append(dst, text...), nil
	case oidTimestamp, oidTimestamptz:
		return appendTime(dst, text), nil
	}
	return change.AppendString(dst, string(text)), nil
}

// finite reports whether a number's text is one in JSON too: not NaN, not
// Infinity.
func finite(text []byte) bool {
	digits := bytes.TrimPrefix(text, []byte("-"))
	return len(digits) > 0 && digits[0] >= '0' && digits[0] <= '9'
}

// appendTime turns 2025-07-01 13:22:32.5+00 into "2025-07-01T13:22:32.5+00:00".
// The zone is UTC because the connection's is. Infinities stay as they are.
func appendTime(dst, text []byte) []byte {
	dst = append(dst, '"')
	day, clock, found := bytes.Cut(text, []byte(" "))
	dst = append(dst, day...)
	if found {
		clock, era, hasEra := bytes.Cut(clock, []byte(" "))
		dst = append(dst, 'T')
		dst = append(dst, clock...)
		if bytes.HasSuffix(clock, []byte("+00")) {
			dst = append(dst, ":00"...)
		}
		if hasEra {
			dst = append(dst, ' ')
			dst = append(dst, era...)
		}
	}
	return append(dst, '"')
}
