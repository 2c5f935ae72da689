package change

import (
	"bytes"
	"math"
)

// lost is the position of a reader that met what AppendStep does not write.
const lost = -1

// canonical reads a step in the form that AppendStep gives it, several times as
// fast as the scanner, because it knows what comes next. It takes nothing that
// the scanner would refuse, and reads nothing in another way. At any other form
// it gives up, and the scanner reads the step again and says what is wrong, if
// anything is.
func (d *Decoder) canonical(data []byte, s *Step) bool {
	questID, i := natural(data, literal(data, 0, `{"quest_id":`))
	s.QuestID = int64(questID)
	i = s.Transaction.canonical(data, literal(data, i, `,"transaction":`))
	s.Source, i = d.canonicalSource(data, literal(data, i, `,"source":`))
	i = d.canonicalChanges(data, literal(data, i, `,"changes":[`), s)
	published, i := natural(data, literal(data, i, `],"ts_ms":`))
	s.Published = Millis(published)
	return literal(data, i, `}`) == len(data)
}

// literal is the position behind a word that must come next.
func literal(data []byte, i int, word string) int {
	if end := i + len(word); i != lost && end <= len(data) && string(data[i:end]) == word {
		return end
	}
	return lost
}

// follows tells whether a word comes next.
func follows(data []byte, i int, word string) bool { return literal(data, i, word) != lost }

func (t *Transaction) canonical(data []byte, i int) int {
	var n uint64
	t.ID, i = natural(data, literal(data, i, `{"id":`))
	n, i = natural(data, literal(data, i, `,"commit_lsn":`))
	t.CommitLSN = LSN(n)
	if follows(data, i, `,"end_lsn":`) {
		n, i = natural(data, literal(data, i, `,"end_lsn":`))
		t.EndLSN = LSN(n)
	}
	n, i = natural(data, literal(data, i, `,"ts_ms":`))
	t.Time = Millis(n)
	t.Message, i = canonicalCount(data, literal(data, i, `,"message":`))
	t.Messages, i = canonicalCount(data, literal(data, i, `,"messages":`))
	if t.check() != nil {
		return lost
	}
	return literal(data, i, `}`)
}

func canonicalCount(data []byte, i int) (n, end int) {
	count, end := natural(data, i)
	if count > math.MaxInt32 {
		return 0, lost
	}
	return int(count), end
}

// A part is a stretch of a step as it was met last, with what it means. Equal
// text means the same.
type part[T any] struct {
	text  []byte
	means T
}

func (p *part[T]) keep(text []byte, means T) {
	p.text, p.means = append(p.text[:0], text...), means
}

func (p *part[T]) follows(data []byte, i int) bool {
	return i != lost && len(p.text) > 0 && bytes.HasPrefix(data[i:], p.text)
}

// scanned lets the scanner read a value, for what comes rarely.
func scanned[T any](data []byte, i int, read func(*scanner) (T, error)) (value T, end int) {
	if i == lost {
		return value, lost
	}
	sc := scanner{data: data, pos: i}
	value, err := read(&sc)
	if err != nil {
		return value, lost
	}
	return value, sc.pos
}

func (d *Decoder) canonicalSource(data []byte, i int) (s Source, end int) {
	if d.from.follows(data, i) {
		return d.from.means, i + len(d.from.text)
	}
	if s, end = scanned(data, i, d.source); end != lost {
		d.from.keep(data[i:end], s)
	}
	return s, end
}

func (d *Decoder) canonicalChanges(data []byte, i int, s *Step) int {
	for i != lost && !follows(data, i, `]`) {
		if len(s.Changes) > 0 {
			i = literal(data, i, `,`)
		}
		s.Changes = append(s.Changes, Change{})
		i = d.canonicalChange(data, i, &s.Changes[len(s.Changes)-1])
	}
	return i
}

func (d *Decoder) canonicalChange(data []byte, i int, c *Change) int {
	var n uint64
	i = d.canonicalHead(data, i, c)
	c.Order, i = canonicalCount(data, literal(data, i, `,"order":`))
	n, i = natural(data, literal(data, i, `,"lsn":`))
	c.LSN = LSN(n)
	if follows(data, i, `,"moved":true`) {
		c.Moved, i = true, i+len(`,"moved":true`)
	}
	c.Before, i = c.canonicalRow(data, literal(data, i, `,"before":`))
	c.After, i = c.canonicalRow(data, literal(data, i, `,"after":`))
	if i != lost && c.check() != nil {
		return lost
	}
	if end := literal(data, i, `}`); end != lost {
		return end
	}
	c.Unchanged, i = d.canonicalNames(data, i, `,"unchanged":`)
	c.Omitted, i = d.canonicalNames(data, i, `,"omitted":`)
	return literal(data, i, `}`)
}

// canonicalHead reads a change up to its order: one of a few texts.
func (d *Decoder) canonicalHead(data []byte, i int, c *Change) int {
	const op, entity = len(`{"op":"`), len(`{"op":"u","entity":"a`)
	if i == lost || len(data)-i <= entity {
		return lost
	}
	// The low bits tell all ops apart, and the second letters of all entities.
	head := &d.heads[data[i+op]&7][data[i+entity]&7]
	if head.follows(data, i) {
		c.Op, c.Entity, c.Table = head.means.op, head.means.entity, head.means.table
		return i + len(head.text)
	}
	start := i
	c.Op, i = scanned(data, literal(data, i, `{"op":`), readOp)
	c.Entity, i = scanned(data, literal(data, i, `,"entity":`), readEntity)
	c.Table, i = scanned(data, literal(data, i, `,"table":`), d.str)
	if i != lost {
		head.keep(data[start:i], changeHead{c.Op, c.Entity, c.Table})
	}
	return i
}

// changeHead is how a change begins.
type changeHead struct {
	op     Op
	entity Entity
	table  string
}

func (d *Decoder) canonicalNames(data []byte, i int, key string) (names []string, end int) {
	if !follows(data, i, key) {
		return nil, i
	}
	return scanned(data, i+len(key), d.nameList)
}

// canonicalRow reads a row, and keeps where its columns are: Each wants those of
// the last row.
func (c *Change) canonicalRow(data []byte, i int) (Row, int) {
	if end := literal(data, i, `null`); end != lost {
		return nil, end
	}
	start, opens, middle := i, byte('{'), 0
	c.columns = columns{}
	for uint(i) < uint(len(data)) && data[i] == opens {
		if middle, i = column(data, i+1); i == lost {
			return nil, lost
		}
		c.columns.note(middle-start, i-start)
		opens = ','
	}
	end := literal(data, i, `}`)
	if end == lost || i == start {
		return nil, lost // a row without columns is left to the scanner
	}
	c.columns.of = &data[start]
	return data[start:end:end], end
}

// column reads a column's name and value: the colon between them is at middle.
func column(data []byte, i int) (middle, end int) {
	if uint(i) >= uint(len(data)) || data[i] != '"' {
		return lost, lost
	}
	middle = plain(data, i+1) + 1
	if middle >= len(data) || data[middle-1] != '"' || data[middle] != ':' {
		return lost, lost
	}
	return middle, value(data, middle+1)
}

// value is the position behind a value.
func value(data []byte, i int) int {
	if i >= len(data) {
		return lost
	}
	switch c := data[i]; {
	case c == '"':
		if end := plain(data, i+1); end < len(data) && data[end] == '"' {
			return end + 1
		}
	case '1' <= c && c <= '9':
		if end := digits(data, i); end < len(data) && (data[end] == ',' || data[end] == '}') {
			return end
		}
	case c <= ' ':
		return lost // space is no part of a value
	case c == 'n':
		return literal(data, i, "null")
	case c == 't':
		return literal(data, i, "true")
	case c == 'f':
		return literal(data, i, "false")
	}
	sc := scanner{data: data, pos: i}
	if sc.skip(1) != nil {
		return lost
	}
	return sc.pos
}
