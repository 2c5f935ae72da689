package pgjson

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

func appendInteger(dst, value []byte) ([]byte, error) {
	digits := value
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
	}
	if n := leadingDigits(digits); n == 0 || n != len(digits) || n > 1 && digits[0] == '0' {
		return nil, fmt.Errorf("integer %.40q", value)
	}
	return append(dst, value...), nil
}

func appendNumber(dst, value []byte) ([]byte, error) {
	switch {
	case isNumber(value):
		return append(dst, value...), nil
	case string(value) == "NaN", string(value) == "Infinity", string(value) == "-Infinity":
		dst = append(append(dst, '"'), value...)
		return append(dst, '"'), nil
	}
	return nil, fmt.Errorf("number %.40q", value)
}

// isNumber reports whether a text is a number by JSON's grammar.
func isNumber(s []byte) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	n := leadingDigits(s)
	if n == 0 || n > 1 && s[0] == '0' {
		return false
	}
	s = s[n:]
	if len(s) > 0 && s[0] == '.' {
		if n = leadingDigits(s[1:]); n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if len(s) > 0 && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if n = leadingDigits(s); n == 0 {
			return false
		}
		s = s[n:]
	}
	return len(s) == 0
}

func leadingDigits(s []byte) int {
	for i, c := range s {
		if c < '0' || c > '9' {
			return i
		}
	}
	return len(s)
}

func appendBoolean(dst, value []byte) ([]byte, error) {
	switch string(value) {
	case "t":
		return append(dst, "true"...), nil
	case "f":
		return append(dst, "false"...), nil
	}
	return nil, fmt.Errorf("boolean %.20q", value)
}

// maxDepth bounds how deep json may nest. Postgres takes tens of thousands of
// levels, readers of JSON mostly a thousand or less, and a row has levels around
// it.
const maxDepth = 500

func appendDocument(dst, value []byte) ([]byte, error) {
	if depth(value) > maxDepth {
		return appendText(dst, value), nil
	}
	if !json.Valid(value) {
		return nil, fmt.Errorf("json %.40q", value)
	}
	return append(dst, value...), nil
}

// depth is how deep a text nests if it is JSON.
func depth(value []byte) (deepest int) {
	level, quoted := 0, false
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '"':
			quoted = !quoted
		case quoted && c == '\\':
			i++
		case quoted:
		case c == '[' || c == '{':
			level++
			deepest = max(deepest, level)
		case c == ']' || c == '}':
			level--
		}
	}
	return deepest
}

var errMoment = errors.New("date and time")

// appendMoment turns 2025-07-01 13:22:32.5+00 into "2025-07-01T13:22:32.5+00:00".
// The zone is UTC because the session's is. Infinities stay as they are, and so
// does the BC behind very old times.
func appendMoment(dst, value []byte) ([]byte, error) {
	for _, c := range value {
		if c < ' ' || c == '"' || c == '\\' || c > '~' {
			return nil, fmt.Errorf("%w %.40q", errMoment, value)
		}
	}
	dst = append(dst, '"')
	space := bytes.IndexByte(value, ' ')
	if space < 0 {
		return append(append(dst, value...), '"'), nil
	}
	dst = append(append(dst, value[:space]...), 'T')
	clock, era := value[space+1:], []byte(nil)
	if space = bytes.IndexByte(clock, ' '); space >= 0 {
		clock, era = clock[:space], clock[space:]
	}
	dst = append(dst, clock...)
	if bytes.HasSuffix(clock, []byte("+00")) {
		dst = append(dst, ":00"...)
	}
	return append(append(dst, era...), '"'), nil
}

const hexDigits = "0123456789abcdef"

// appendText appends a text as a JSON string, with the escapes that the server
// uses. Bytes that are not UTF-8 become U+FFFD; only a database without an
// encoding has any.
func appendText(dst, value []byte) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(value); {
		c := value[i]
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRune(value[i:])
			if r == utf8.RuneError && size == 1 {
				dst = append(append(dst, value[start:i]...), "\ufffd"...)
				start = i + 1
			}
			i += size
			continue
		}
		if c < ' ' || c == '"' || c == '\\' {
			dst = appendEscaped(append(dst, value[start:i]...), c)
			start = i + 1
		}
		i++
	}
	return append(append(dst, value[start:]...), '"')
}

func appendEscaped(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\b':
		return append(dst, '\\', 'b')
	case '\f':
		return append(dst, '\\', 'f')
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
