package stream

import (
	"github.com/peerquest/questwatch/internal/change"
)

// headroom is what a message needs beside its rows, in bytes.
const headroom = 4 << 10

// sizeOf bounds a change's size on the wire, in bytes: its numbers and keys take
// at most 170, and a table's name may need escapes.
func sizeOf(c *change.Change) int {
	size := 200 + 2*len(c.Table) + len(c.Before) + len(c.After)
	for _, names := range [...][]string{c.Unchanged, c.Omitted} {
		for _, name := range names {
			size += 2*len(name) + 3
		}
	}
	return size
}

// omit leaves out a change's largest columns, from both its rows, until it fits
// into limit bytes, and names them. A row is never dropped for its size.
func omit(c *change.Change, limit int) {
	for sizeOf(c) > limit {
		column := largest(c)
		if column == "" {
			return
		}
		c.Before, c.After = without(c.Before, column), without(c.After, column)
		c.Omitted = append(c.Omitted, column)
	}
}

// largest names the column with the longest value that is worth leaving out.
func largest(c *change.Change) (column string) {
	const worth = 256
	size := worth
	for _, row := range [...]change.Row{c.Before, c.After} {
		if row == nil {
			continue
		}
		_ = row.Each(func(name, value []byte) error {
			if len(value) > size {
				column, size = string(name), len(value)
			}
			return nil
		})
	}
	return column
}

func without(row change.Row, column string) change.Row {
	if row == nil {
		return nil
	}
	var kept change.Row
	_ = row.Each(func(name, value []byte) error {
		if string(name) != column {
			kept = change.AppendValue(kept, string(name), value)
		}
		return nil
	})
	return change.CloseRow(kept)
}
