package pgsource

import (
	"bytes"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
)

// complete gives a row that moved the values that were not sent, from its old
// form: whoever reads of its new place only knows no older row to keep them from.
// Columns stand in the table's order in both.
func (t *tuple) complete(before *tuple) error {
	if len(t.unchanged) == 0 {
		return nil
	}
	var sent [][]byte
	if err := t.row.Each(func(_, value []byte) error {
		sent = append(sent, bytes.Clone(value))
		return nil
	}); err != nil {
		return err
	}
	whole := make(change.Row, 0, len(t.row)+len(before.row))
	if err := before.row.Each(func(column, value []byte) error {
		if !slices.Contains(t.unchanged, string(column)) && len(sent) > 0 {
			value, sent = sent[0], sent[1:]
		}
		whole = change.AppendValue(whole, string(column), value)
		return nil
	}); err != nil {
		return err
	}
	t.row, t.unchanged = change.CloseRow(whole), nil
	return nil
}
