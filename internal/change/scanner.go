package change

import (
	"bytes"
	"errors"
	"fmt"
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
	if err := s.member(field); err != nil {
		return err
	}
	return s.members(field)
}

// members reads an object from behind one of its members to the end.
func (s *scanner) members(field func(key []byte) error) error {
	for s.peek() == ',' {
		s.pos++
		if err := s.member(field); err != nil {
			return err
		}
	}
	return s.expect('}')
}

func (s *scanner) member(field func(key []byte) error) error {
	key, err := s.str()
	if err != nil {
		return err
	}
	if err := s.expect(':'); err != nil {
		return err
	}
	return field(key)
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

func (s *scanner) bool() (bool, error) {
	text, err := s.raw()
	if err != nil {
		return false, err
	}
	return Bool(text)
}
