package change

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// quoted consumes a string and returns it with its quotes. What it returns is a
// valid JSON string, so that whoever skips it needs no second look.
func (s *scanner) quoted() (text []byte, escaped bool, err error) {
	if err := s.expect('"'); err != nil {
		return nil, false, err
	}
	start := s.pos - 1
	for {
		s.pos = plain(s.data, s.pos)
		if s.pos == len(s.data) {
			return nil, false, errTruncated
		}
		switch c := s.data[s.pos]; {
		case c == '"':
			s.pos++
			return s.data[start:s.pos], escaped, nil
		case c == '\\':
			escaped = true
			if err := s.escape(); err != nil {
				return nil, false, err
			}
		case c < ' ':
			return nil, false, fmt.Errorf("control character in a string at byte %d", s.pos)
		default:
			if err := s.beyondASCII(); err != nil {
				return nil, false, err
			}
		}
	}
}

// beyondASCII consumes the characters up to the next one of ASCII.
func (s *scanner) beyondASCII() error {
	for s.pos < len(s.data) && s.data[s.pos] >= utf8.RuneSelf {
		r, size := utf8.DecodeRune(s.data[s.pos:])
		if r == utf8.RuneError && size == 1 {
			return fmt.Errorf("string is not UTF-8 at byte %d", s.pos)
		}
		s.pos += size
	}
	return nil
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
	if last := len(value) - 1; last > 0 && value[0] == '"' && value[last] == '"' && plain(value, 1) == last {
		return value[1:last], nil
	}
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
