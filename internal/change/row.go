package change

import (
	"fmt"
	"math"
)

// Row is a row's columns as one JSON object, in the wire form itself. A nil Row
// is no row. Values are what Postgres's to_json gives in a UTC session.
type Row []byte

// Each calls fn for each column in order, with the value's JSON text. The
// arguments are valid during the call only. It stops at the first error.
func (r Row) Each(fn func(column, value []byte) error) error {
	i, opens := 0, byte('{')
	for i < len(r) && r[i] == opens {
		middle, end := column(r, i+1)
		if end == lost {
			break
		}
		if err := fn(r[i+2:middle-1], r[middle+1:end]); err != nil {
			return fmt.Errorf("read row: %w", err)
		}
		i, opens = end, ','
	}
	if i == len(r)-1 && r[i] == '}' && i > 0 {
		return nil
	}
	return r.rest(i, fn)
}

// rest goes on at i, where Each met something unusual or wrong.
func (r Row) rest(i int, fn func(column, value []byte) error) error {
	s := scanner{data: r, pos: i}
	field := func(key []byte) error {
		value, err := s.raw()
		if err != nil {
			return err
		}
		return fn(key, value)
	}
	var err error
	if i == 0 {
		err = s.object(field)
	} else {
		err = s.members(field)
	}
	if err != nil {
		return fmt.Errorf("read row: %w", err)
	}
	return s.end()
}

// columns is where the columns of a decoded row are, so that nobody needs to look
// for them, and check them, once more. It is a part of the change, and is copied
// with it. There is room for what is usually streamed; rows with more columns, or
// longer ones, are walked again.
type columns struct {
	of    *byte // the row's first byte
	count int   // of all columns, more than there is room for when they are not known
	// The colons, and the ends of the values, from the row's beginning.
	middles, ends [8]uint16
}

// note adds a column, all in the row's order.
func (c *columns) note(middle, end int) {
	if c.count < len(c.ends) && end < math.MaxUint16 {
		c.middles[c.count], c.ends[c.count] = uint16(middle), uint16(end)
		c.count++
	} else {
		c.count = len(c.ends) + 1
	}
}

// are reports whether these are the row's: it is the very text that they were
// found in.
func (c *columns) are(row Row) bool {
	return c.of != nil && len(row) > 0 && c.of == &row[0] && c.count <= len(c.ends) && int(c.ends[c.count-1])+1 == len(row)
}

func (c *columns) each(row Row, fn func(column, value []byte) error) error {
	start := 0
	for i := range c.count {
		middle, end := int(c.middles[i]), int(c.ends[i])
		if err := fn(row[start+2:middle-1], row[middle+1:end]); err != nil {
			return fmt.Errorf("read row: %w", err)
		}
		start = end
	}
	return nil
}

// Null reports whether a column's value is SQL NULL.
func Null(value []byte) bool { return string(value) == "null" }

// AppendValue appends `"column":value` to a row under construction, with the
// comma that it needs. value is JSON text. Start with AppendValue(nil, …) and
// close with CloseRow.
func AppendValue(row Row, column string, value []byte) Row {
	row = AppendColumn(row, column)
	return append(row, value...)
}

// AppendText does the same for a value that is a text.
func AppendText(row Row, column, text string) Row {
	row = AppendColumn(row, column)
	return AppendString(row, text)
}

// AppendColumn appends a column's name and the colon, with the comma that it
// needs, for a value that the caller appends.
func AppendColumn(row Row, column string) Row {
	if len(row) == 0 {
		row = append(row, '{')
	} else {
		row = append(row, ',')
	}
	row = AppendString(row, column)
	return append(row, ':')
}

// CloseRow ends a row under construction.
func CloseRow(row Row) Row {
	if len(row) == 0 {
		row = append(row, '{')
	}
	return append(row, '}')
}
