package change

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"
)

// scanner walks JSON text without building anything. encoding/json takes
// several times as long for a step, and the checker reads nothing else.
type scanner struct {
	data []byte
	pos  int
}

var errTruncated = errors.New("JSON ends in the middle")

// maxDepth bounds how deep a skipped value may nest.
const maxDepth = 1000

func (s *scanner) space() {
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// peek is the next byte that is not white space, or 0 at the end.
func (s *scanner) peek() byte {
	if s.pos < len(s.data) && s.data[s.pos] > ' ' {
		return s.data[s.pos]
	}
	s.space()
	if s.pos >= len(s.data) {
		return 0
	}
	return s.data[s.pos]
}

func (s *scanner) expect(c byte) error {
	switch got := s.peek(); got {
	case c:
		s.pos++
		return nil
	case 0:
		return errTruncated
	default:
		return fmt.Errorf("want %q at byte %d, have %q", c, s.pos, got)
	}
}

// end reports an error when anything follows the value.
func (s *scanner) end() error {
	if s.peek() != 0 || s.pos < len(s.data) {
		return fmt.Errorf("more after the JSON value at byte %d", s.pos)
	}
	return nil
}

// object calls field for each key; field must consume the value.
func (s *scanner) object(field func(key []byte) error) error {
	if err := s.expect('{'); err != nil {
		return err
	}
	if s.peek() == '}' {
		s.pos++
		return nil
	}
	for {
		key, err := s.str()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := field(key); err != nil {
			return err
		}
		if s.peek() != ',' {
			return s.expect('}')
		}
		s.pos++
	}
}

// array calls item at the start of each element; item must consume it.
func (s *scanner) array(item func() error) error {
	if err := s.expect('['); err != nil {
		return err
	}
	if s.peek() == ']' {
		s.pos++
		return nil
	}
	for {
		if err := item(); err != nil {
			return err
		}
		if s.peek() != ',' {
			return s.expect(']')
		}
		s.pos++
	}
}

// quoted consumes a string and returns it with its quotes. What it returns is a
// valid JSON string, so that whoever skips it needs no second look.
func (s *scanner) quoted() (text []byte, escaped bool, err error) {
	if err := s.expect('"'); err != nil {
		return nil, false, err
	}
	start, all := s.pos-1, byte(0)
	for s.pos < len(s.data) {
		c := s.data[s.pos]
		all |= c
		switch {
		case c == '"':
			s.pos++
			text = s.data[start:s.pos]
			if all >= utf8.RuneSelf && !utf8.Valid(text) {
				return nil, false, fmt.Errorf("string at byte %d is not UTF-8", start)
			}
			return text, escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		case c < ' ':
			return nil, false, fmt.Errorf("control character in a string at byte %d", s.pos)
		default:
			s.pos++
		}
	}
	return nil, false, errTruncated
}

// escape consumes a backslash and what belongs to it.
func (s *scanner) escape() error {
	rest := s.data[s.pos+1:]
	if len(rest) == 0 {
		return errTruncated
	}
	switch rest[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		s.pos += 2
		return nil
	case 'u':
		if len(rest) < 5 {
			return errTruncated
		}
		for _, c := range rest[1:5] {
			if !isHex(c) {
				return fmt.Errorf("bad escape at byte %d", s.pos)
			}
		}
		s.pos += 6
		return nil
	}
	return fmt.Errorf("bad escape at byte %d", s.pos)
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// str consumes a string and returns its text, a part of the input where the
// string has no escapes.
func (s *scanner) str() ([]byte, error) {
	text, escaped, err := s.quoted()
	if err != nil {
		return nil, err
	}
	if !escaped {
		return text[1 : len(text)-1], nil
	}
	var out string
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("read string: %w", err)
	}
	return []byte(out), nil
}

// Text is the text of a JSON string, such as a column's value.
func Text(value []byte) (string, error) {
	text, err := TextBytes(value)
	return string(text), err
}

// TextBytes is the same without a copy where the string has no escapes: the
// result is then a part of value.
func TextBytes(value []byte) ([]byte, error) {
	s := scanner{data: value}
	text, err := s.str()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return nil, err
	}
	return text, nil
}

// Int is the value of a JSON integer, such as a column's value.
func Int(value []byte) (int64, error) {
	s := scanner{data: value}
	n, err := s.int()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return 0, fmt.Errorf("read integer %.40q: %w", value, err)
	}
	return n, nil
}

// Bool is the value of a JSON boolean.
func Bool(value []byte) (bool, error) {
	switch string(value) {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, fmt.Errorf("read boolean %.40q", value)
}

// raw consumes any value and returns its text.
func (s *scanner) raw() ([]byte, error) {
	s.space()
	start := s.pos
	if err := s.skip(0); err != nil {
		return nil, err
	}
	return s.data[start:s.pos], nil
}

func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return errors.New("JSON nests too deep")
	}
	switch c := s.peek(); c {
	case 0:
		return errTruncated
	case '{':
		return s.object(func([]byte) error { return s.skip(depth + 1) })
	case '[':
		return s.array(func() error { return s.skip(depth + 1) })
	case '"':
		_, _, err := s.quoted()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

func (s *scanner) literal(word string) error {
	if !bytes.HasPrefix(s.data[s.pos:], []byte(word)) {
		return fmt.Errorf("want %s at byte %d", word, s.pos)
	}
	s.pos += len(word)
	return nil
}

// number consumes a JSON number by the grammar of RFC 8259.
func (s *scanner) number() error {
	start := s.pos
	if s.pos < len(s.data) && s.data[s.pos] == '-' {
		s.pos++
	}
	whole := s.digits()
	if whole == 0 || whole > 1 && s.data[s.pos-whole] == '0' {
		return fmt.Errorf("no JSON value at byte %d", start)
	}
	if s.pos < len(s.data) && s.data[s.pos] == '.' {
		s.pos++
		if s.digits() == 0 {
			return fmt.Errorf("no digit after the point at byte %d", s.pos)
		}
	}
	if s.pos < len(s.data) && (s.data[s.pos] == 'e' || s.data[s.pos] == 'E') {
		s.pos++
		if s.pos < len(s.data) && (s.data[s.pos] == '+' || s.data[s.pos] == '-') {
			s.pos++
		}
		if s.digits() == 0 {
			return fmt.Errorf("no digit in the exponent at byte %d", s.pos)
		}
	}
	return nil
}

func (s *scanner) digits() int {
	start := s.pos
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}

// uint consumes an integer of 0 or more.
func (s *scanner) uint() (uint64, error) {
	s.space()
	return s.magnitude()
}

// magnitude consumes the digits of an integer.
func (s *scanner) magnitude() (uint64, error) {
	start, n := s.pos, uint64(0)
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		digit := uint64(s.data[s.pos] - '0')
		if n > (math.MaxUint64-digit)/10 {
			return 0, fmt.Errorf("integer at byte %d is too large", start)
		}
		n = n*10 + digit
		s.pos++
	}
	if s.pos == start || s.data[start] == '0' && s.pos > start+1 {
		return 0, fmt.Errorf("want an integer at byte %d", start)
	}
	return n, nil
}

// int consumes an integer.
func (s *scanner) int() (int64, error) {
	negative := s.peek() == '-'
	if negative {
		s.pos++
	}
	n, err := s.magnitude()
	if err != nil {
		return 0, err
	}
	switch {
	case negative && n <= -math.MinInt64:
		return -int64(n), nil
	case !negative && n <= math.MaxInt64:
		return int64(n), nil
	}
	return 0, fmt.Errorf("integer before byte %d is too large", s.pos)
}

func (s *scanner) bool() (bool, error) {
	text, err := s.raw()
	if err != nil {
		return false, err
	}
	return Bool(text)
}
