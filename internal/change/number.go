package change

import (
	"fmt"
	"math"
	"math/bits"
)

// Int is the value of a JSON integer, such as a column's value.
func Int(value []byte) (int64, error) {
	if n, end := natural(value, 0); end == len(value) {
		return int64(n), nil
	}
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

// digits consumes digits and returns how many there were.
func (s *scanner) digits() int {
	start := s.pos
	s.pos = digits(s.data, s.pos)
	return s.pos - start
}

// uint consumes an integer of 0 or more.
func (s *scanner) uint() (uint64, error) {
	s.space()
	return s.magnitude()
}

// magnitude consumes the digits of an integer.
func (s *scanner) magnitude() (uint64, error) {
	if n, end := natural(s.data, s.pos); end != lost {
		s.pos = end
		return n, nil
	}
	start, n := s.pos, uint64(0)
	for s.pos < len(s.data) && s.data[s.pos] >= '0' && s.data[s.pos] <= '9' {
		high, low := bits.Mul64(n, 10)
		sum, carry := bits.Add64(low, uint64(s.data[s.pos]-'0'), 0)
		if high+carry != 0 {
			return 0, fmt.Errorf("integer at byte %d is too large", start)
		}
		n = sum
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
