package trend

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/pack"
	"github.com/peerquest/questwatch/internal/pack/squeeze"
	"github.com/peerquest/questwatch/internal/rule"
)

// form is the version of the encoding. What has another one is counted anew.
const form = 1

// numbers are a cell's, in the order of the encoding.
func (c *Counts) numbers() []*uint64 {
	return []*uint64{
		&c.Opened, &c.Resolved, &c.Repaired, &c.BaselineOpened, &c.BaselineResolved,
		&c.Detected.Count, &c.Detected.Sum, &c.Detected.Max, &c.Lasted.Count, &c.Lasted.Sum, &c.Lasted.Max,
		&c.Mended.Count, &c.Mended.Sum, &c.Mended.Max,
	}
}

// Encode is the book in few bytes, the same for the same counts.
func (b *Book) Encode() []byte {
	out := []byte{form}
	add := func(n uint64) { out = binary.AppendUvarint(out, n) }
	out = binary.AppendVarint(out, b.Created.UnixNano())
	add(b.Sequence)
	add(uint64(b.newest))
	add(uint64(len(b.recent)))
	for i := range b.recent {
		add(b.recent[(b.next+i)%len(b.recent)])
	}
	add(uint64(len(b.open)))
	for _, id := range slices.Sorted(maps.Keys(b.open)) {
		add(id)
		add(uint64(b.open[id]))
	}
	cells := slices.SortedFunc(maps.Keys(b.cells), func(x, y cell) int {
		return cmp.Or(cmp.Compare(x.rule, y.rule), cmp.Compare(x.hour, y.hour))
	})
	add(uint64(len(cells)))
	var last cell
	for _, k := range cells {
		if k.rule != last.rule {
			last = cell{k.rule, 0}
		}
		add(uint64(k.rule))
		add(uint64(k.hour - last.hour))
		b.cells[k].encode(add)
		last = k
	}
	return squeeze.In(out)
}

// encode adds a mask of the numbers that are not 0, and these.
func (c *Counts) encode(add func(uint64)) {
	mask := uint64(0)
	for i, n := range c.numbers() {
		if *n != 0 {
			mask |= 1 << i
		}
	}
	add(mask)
	for _, n := range c.numbers() {
		if *n != 0 {
			add(*n)
		}
	}
}

func (c *Counts) decode(r *pack.Reader) {
	mask := r.Uint()
	for i, n := range c.numbers() {
		if mask>>i&1 == 1 {
			*n = r.Uint()
		}
	}
}

const (
	mostCells = (keptHours + 24) * uint64(len(rule.All))
	mostOpen  = 1 << 28
)

// Decode reads an encoded book.
func Decode(data []byte) (*Book, error) {
	plain, err := squeeze.Out(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("read trends: %w", err)
	}
	r := pack.NewReader(bufio.NewReader(bytes.NewReader(plain)))
	if f := r.Uint(); f != form {
		return nil, fmt.Errorf("read trends: they are of form %d, not %d", f, form)
	}
	b := NewBook(time.Unix(0, r.Int()).UTC())
	b.Sequence, b.newest = r.Uint(), hour(r.Uint())
	for range r.Size(keptIDs) {
		b.remember(r.Uint())
	}
	for range r.Size(mostOpen) {
		id := r.Uint()
		b.open[id] = ruleOf(r)
		if r.Err() != nil {
			break
		}
	}
	var last cell
	for range r.Size(mostCells) {
		k := cell{rule: ruleOf(r)}
		if k.rule != last.rule {
			last = cell{k.rule, 0}
		}
		k.hour = last.hour + hour(r.Uint())
		c := &Counts{}
		c.decode(r)
		if r.Err() != nil {
			break
		}
		b.cells[k], last = c, k
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("read trends: %w", err)
	}
	return b, nil
}

func ruleOf(r *pack.Reader) rule.Rule {
	n := rule.Rule(r.Size(uint64(len(rule.All))))
	if n == 0 {
		r.Fail()
		return rule.All[0]
	}
	return n
}
