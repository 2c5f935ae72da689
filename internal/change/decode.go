package change

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// Fields that a step must have; a bit each, so that a missing one is noticed.
const (
	hasQuest = 1 << iota
	hasTransaction
	hasSource
	hasChanges
	hasAll = 1<<iota - 1
)

// Decoder reads steps. Its names cache makes the strings that recur in every
// step (tables, databases) once. It is not safe for concurrent use.
type Decoder struct {
	names map[string]string
}

// name is a string with the given text.
func (d *Decoder) name(text []byte) string {
	if s, ok := d.names[string(text)]; ok {
		return s
	}
	if d.names == nil || len(d.names) > 1000 {
		d.names = map[string]string{}
	}
	s := string(text)
	d.names[s] = s
	return s
}

// Step reads a step into s. Rows are parts of data, which must not change while
// s is in use. The Changes slice of s is reused.
func (d *Decoder) Step(data []byte, s *Step) error {
	*s = Step{Changes: s.Changes[:0]}
	sc := scanner{data: data}
	have := 0
	err := sc.object(func(key []byte) (err error) {
		switch string(key) {
		case "quest_id":
			have |= hasQuest
			s.QuestID, err = sc.int()
		case "transaction":
			have |= hasTransaction
			err = readTransaction(&sc, &s.Transaction)
		case "source":
			have |= hasSource
			err = d.source(&sc, &s.Source)
		case "changes":
			have |= hasChanges
			err = sc.array(func() error { return d.change(&sc, s) })
		case "ts_ms":
			var ms int64
			ms, err = sc.int()
			s.Published = Millis(ms)
		default:
			_, err = sc.raw()
		}
		return err
	})
	if err == nil {
		err = sc.end()
	}
	if err == nil && have != hasAll {
		err = errors.New("not a step: quest_id, transaction, source or changes is missing")
	}
	if err != nil {
		return fmt.Errorf("%w: decode step: %w", ErrMalformed, err)
	}
	return nil
}

func readTransaction(sc *scanner, t *Transaction) error {
	return sc.object(func(key []byte) (err error) {
		var n uint64
		switch string(key) {
		case "id":
			t.ID, err = sc.uint()
		case "commit_lsn":
			n, err = sc.uint()
			t.CommitLSN = LSN(n)
		case "end_lsn":
			n, err = sc.uint()
			t.EndLSN = LSN(n)
		case "ts_ms":
			var ms int64
			ms, err = sc.int()
			t.Time = Millis(ms)
		case "message":
			t.Message, err = count(sc)
		case "messages":
			t.Messages, err = count(sc)
		default:
			_, err = sc.raw()
		}
		return err
	})
}

func count(sc *scanner) (int, error) {
	n, err := sc.uint()
	if err == nil && n > math.MaxInt32 {
		err = fmt.Errorf("count %d is too large", n)
	}
	return int(n), err
}

func (d *Decoder) source(sc *scanner, s *Source) error {
	return sc.object(func(key []byte) (err error) {
		switch string(key) {
		case "db":
			s.DB, err = d.str(sc)
		case "epoch":
			s.Epoch, err = sc.uint()
		case "snapshot":
			s.Snapshot, err = sc.bool()
		default:
			_, err = sc.raw()
		}
		return err
	})
}

func (d *Decoder) str(sc *scanner) (string, error) {
	text, err := sc.str()
	if err != nil {
		return "", err
	}
	return d.name(text), nil
}

func (d *Decoder) change(sc *scanner, s *Step) error {
	s.Changes = append(s.Changes, Change{})
	c := &s.Changes[len(s.Changes)-1]
	err := sc.object(func(key []byte) (err error) {
		switch string(key) {
		case "op":
			c.Op, err = readOp(sc)
		case "entity":
			c.Entity, err = readEntity(sc)
		case "table":
			c.Table, err = d.str(sc)
		case "order":
			c.Order, err = count(sc)
		case "lsn":
			var n uint64
			n, err = sc.uint()
			c.LSN = LSN(n)
		case "moved":
			c.Moved, err = sc.bool()
		case "before":
			c.Before, err = readRow(sc)
		case "after":
			c.After, err = readRow(sc)
		case "unchanged":
			c.Unchanged, err = d.nameList(sc)
		case "omitted":
			c.Omitted, err = d.nameList(sc)
		default:
			_, err = sc.raw()
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.check()
}

// check refuses a change whose rows do not go with its operation.
func (c *Change) check() error {
	if c.Op == 0 || c.Entity == 0 {
		return errors.New("change without op or entity")
	}
	if (c.After == nil) != (c.Op == Delete) {
		return fmt.Errorf("change %q of %s: its after does not go with its op", c.Op, c.Entity)
	}
	if c.Op == Delete && c.Before == nil {
		return fmt.Errorf("change %q of %s without before", c.Op, c.Entity)
	}
	return nil
}

func readOp(sc *scanner) (Op, error) {
	text, err := sc.str()
	if err != nil {
		return 0, err
	}
	if len(text) == 1 {
		switch op := Op(text[0]); op {
		case Create, Update, Delete, Read:
			return op, nil
		}
	}
	return 0, fmt.Errorf("unknown op %.20q", text)
}

func readEntity(sc *scanner) (Entity, error) {
	text, err := sc.str()
	if err != nil {
		return 0, err
	}
	for _, e := range Entities {
		if string(text) == e.String() {
			return e, nil
		}
	}
	return 0, fmt.Errorf("unknown entity %.40q", text)
}

func readRow(sc *scanner) (Row, error) {
	if sc.peek() != '{' {
		return nil, sc.literalNull()
	}
	return sc.raw()
}

func (s *scanner) literalNull() error {
	if s.peek() != 'n' {
		return fmt.Errorf("want an object or null at byte %d", s.pos)
	}
	return s.literal("null")
}

func (d *Decoder) nameList(sc *scanner) (names []string, err error) {
	err = sc.array(func() error {
		name, err := d.str(sc)
		names = append(names, name)
		return err
	})
	return names, err
}

// Control reads a control record.
func (d *Decoder) Control(data []byte) (*Control, error) {
	c := &Control{}
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("%w: decode control record: %w", ErrMalformed, err)
	}
	sc := scanner{data: data}
	err := sc.object(func(key []byte) (err error) {
		switch string(key) {
		case "transaction":
			c.Transaction = &Transaction{}
			err = readTransaction(&sc, c.Transaction)
		case "source":
			err = d.source(&sc, &c.Source)
		default:
			_, err = sc.raw()
		}
		return err
	})
	if err == nil {
		err = c.check()
	}
	if err != nil {
		return nil, fmt.Errorf("%w: decode control record: %w", ErrMalformed, err)
	}
	return c, nil
}

func (c *Control) check() error {
	switch c.Kind {
	case TxEnd, Truncate, SchemaChanged, Message:
		if c.Transaction == nil {
			return fmt.Errorf("%s record without its transaction", c.Kind)
		}
	case Progress, BaselineBegin, BaselineEnd:
		if c.LSN == 0 {
			return fmt.Errorf("%s record without its LSN", c.Kind)
		}
	case Gap, Epoch:
	default:
		return fmt.Errorf("unknown control record %.40q", c.Kind)
	}
	return nil
}

// IsControl tells a control record from a step.
func IsControl(data []byte) bool { return bytes.HasPrefix(data, []byte(`{"control":`)) }
