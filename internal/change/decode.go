package change

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
)

// fields is a set of an object's keys, a bit each. A key that is missing would
// be read as a zero that looks real, and one that comes twice could mean either.
type fields uint16

// add notes a key; err is what reading its value gave.
func (f *fields) add(key fields, err error) error {
	if err != nil {
		return err
	}
	if *f&key != 0 {
		return errors.New("a key comes twice")
	}
	*f |= key
	return nil
}

func (f fields) need(all fields, what string) error {
	if f&all != all {
		return fmt.Errorf("%s lacks a key", what)
	}
	return nil
}

// The keys of a step and of a control record.
const (
	hasQuest fields = 1 << iota
	hasTransaction
	hasSource
	hasChanges
	hasPublished
	stepNeeds = hasQuest | hasTransaction | hasSource | hasChanges
)

// The keys of a transaction.
const (
	hasID fields = 1 << iota
	hasCommitLSN
	hasEndLSN
	hasTime
	hasMessage
	hasMessages
	transactionNeeds = hasID | hasCommitLSN | hasTime | hasMessage | hasMessages
)

// The keys of a source.
const (
	hasDB fields = 1 << iota
	hasEpoch
	hasSnapshot
	sourceNeeds = hasDB | hasEpoch | hasSnapshot
)

// The keys of a change.
const (
	hasOp fields = 1 << iota
	hasEntity
	hasTable
	hasOrder
	hasLSN
	hasMoved
	hasBefore
	hasAfter
	hasUnchanged
	hasOmitted
	changeNeeds = hasOp | hasEntity
)

// Decoder reads steps. It makes the strings that recur in every step (tables,
// databases) once. It is not safe for concurrent use.
type Decoder struct {
	names map[string]string
	// from and heads are the parts of steps that hardly ever change.
	from  part[Source]
	heads [8][8]part[changeHead]
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
	if d.canonical(data, s) {
		return nil
	}
	*s = Step{Changes: s.Changes[:0]}
	return d.scan(data, s)
}

// scan reads a step in any form.
func (d *Decoder) scan(data []byte, s *Step) error {
	sc := scanner{data: data}
	var have fields
	err := sc.object(func(key []byte) (err error) {
		var field fields
		switch string(key) {
		case "quest_id":
			field = hasQuest
			s.QuestID, err = sc.int()
		case "transaction":
			field = hasTransaction
			err = readTransaction(&sc, &s.Transaction)
		case "source":
			field = hasSource
			s.Source, err = d.source(&sc)
		case "changes":
			field = hasChanges
			err = sc.array(func() error { return d.change(&sc, s) })
		case "ts_ms":
			field = hasPublished
			s.Published, err = readMillis(&sc)
		default:
			_, err = sc.raw()
		}
		return have.add(field, err)
	})
	if err = cmp.Or(err, sc.end(), have.need(stepNeeds, "the step")); err != nil {
		return fmt.Errorf("%w: decode step: %w", ErrMalformed, err)
	}
	return nil
}

func readTransaction(sc *scanner, t *Transaction) error {
	var have fields
	err := sc.object(func(key []byte) (err error) {
		var field fields
		switch string(key) {
		case "id":
			field = hasID
			t.ID, err = sc.uint()
		case "commit_lsn":
			field = hasCommitLSN
			t.CommitLSN, err = readLSN(sc)
		case "end_lsn":
			field = hasEndLSN
			t.EndLSN, err = readLSN(sc)
		case "ts_ms":
			field = hasTime
			t.Time, err = readMillis(sc)
		case "message":
			field = hasMessage
			t.Message, err = count(sc)
		case "messages":
			field = hasMessages
			t.Messages, err = count(sc)
		default:
			_, err = sc.raw()
		}
		return have.add(field, err)
	})
	if err = cmp.Or(err, have.need(transactionNeeds, "the transaction")); err != nil {
		return err
	}
	return t.check()
}

// check refuses a message's number that cannot be.
func (t *Transaction) check() error {
	if t.Message < 1 || t.Messages != 0 && t.Message > t.Messages {
		return fmt.Errorf("transaction's message %d of %d", t.Message, t.Messages)
	}
	return nil
}

func readLSN(sc *scanner) (LSN, error) {
	n, err := sc.uint()
	return LSN(n), err
}

func readMillis(sc *scanner) (Millis, error) {
	n, err := sc.int()
	return Millis(n), err
}

func count(sc *scanner) (int, error) {
	n, err := sc.uint()
	if err == nil && n > math.MaxInt32 {
		err = fmt.Errorf("count %d is too large", n)
	}
	return int(n), err
}

func (d *Decoder) source(sc *scanner) (s Source, err error) {
	var have fields
	err = sc.object(func(key []byte) (err error) {
		var field fields
		switch string(key) {
		case "db":
			field = hasDB
			s.DB, err = d.str(sc)
		case "epoch":
			field = hasEpoch
			s.Epoch, err = sc.uint()
		case "snapshot":
			field = hasSnapshot
			s.Snapshot, err = sc.bool()
		default:
			_, err = sc.raw()
		}
		return have.add(field, err)
	})
	return s, cmp.Or(err, have.need(sourceNeeds, "the source"))
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
	var have fields
	err := sc.object(func(key []byte) (err error) {
		var field fields
		switch string(key) {
		case "op":
			field = hasOp
			c.Op, err = readOp(sc)
		case "entity":
			field = hasEntity
			c.Entity, err = readEntity(sc)
		case "table":
			field = hasTable
			c.Table, err = d.str(sc)
		case "order":
			field = hasOrder
			c.Order, err = count(sc)
		case "lsn":
			field = hasLSN
			c.LSN, err = readLSN(sc)
		case "moved":
			field = hasMoved
			c.Moved, err = sc.bool()
		case "before":
			field = hasBefore
			c.Before, err = readRow(sc)
		case "after":
			field = hasAfter
			c.After, err = readRow(sc)
		case "unchanged":
			field = hasUnchanged
			c.Unchanged, err = d.nameList(sc)
		case "omitted":
			field = hasOmitted
			c.Omitted, err = d.nameList(sc)
		default:
			_, err = sc.raw()
		}
		return have.add(field, err)
	})
	if err = cmp.Or(err, have.need(changeNeeds, "the change")); err != nil {
		return err
	}
	return c.check()
}

// check refuses a change whose rows do not go with its operation.
func (c *Change) check() error {
	if (c.After == nil) != (c.Op == Delete) {
		return fmt.Errorf("change %q of %s: its after does not go with its op", c.Op, c.Entity)
	}
	if c.Op != Update && (c.Before == nil) == (c.Op == Delete) {
		return fmt.Errorf("change %q of %s: its before does not go with its op", c.Op, c.Entity)
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
	var have fields
	err := sc.object(func(key []byte) (err error) {
		var field fields
		switch string(key) {
		case "transaction":
			field = hasTransaction
			c.Transaction = &Transaction{}
			err = readTransaction(&sc, c.Transaction)
		case "source":
			field = hasSource
			c.Source, err = d.source(&sc)
		default:
			_, err = sc.raw()
		}
		return have.add(field, err)
	})
	if err = cmp.Or(err, have.need(hasSource, "the record"), c.check()); err != nil {
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
