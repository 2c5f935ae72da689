package quest

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strconv"
)

// Digest sums up rows, whatever their order: two sets of rows with the same Digest
// are taken for the same. The database computes it too (pgstore), from the same
// text of a row.
type Digest struct {
	Rows int64
	Sum  uint64
}

// Add takes in the text of a row.
func (d *Digest) Add(row []byte) {
	sum := sha256.Sum256(row)
	d.Rows++
	d.Sum ^= binary.BigEndian.Uint64(sum[:])
}

// Texts are the texts of rows, one after the other, and where each ends. Making
// them needs the state; the digests of them do not.
type Texts struct {
	bytes []byte
	ends  []int
}

// Reset forgets the texts and keeps the memory.
func (t *Texts) Reset() { t.bytes, t.ends = t.bytes[:0], t.ends[:0] }

// Digest takes in all of the texts.
func (t *Texts) Digest(d *Digest) {
	start := 0
	for _, end := range t.ends {
		d.Add(t.bytes[start:end])
		start = end
	}
}

// What a row's text begins with, and what stands between its parts. Free texts are
// last, so that it does not matter what they contain.
const (
	TextOfQuest, TextOfApplication, TextOfParticipant = 'q', 'a', 'p'

	TextSeparator = '\x1f'
)

// Add appends the texts of a quest's rows. Statuses are numbers, the roles'.
//
//	q id role deleted assigned title
//	a id quest role user
//	p id quest role joined user
//
// deleted is 0 or 1, joined the time as Postgres sends it, in hexadecimal.
func (t *Texts) Add(q *Quest, users *Users) {
	if q.Exists {
		t.begin(TextOfQuest, q.ID)
		t.number(int64(q.Status))
		if q.Deleted {
			t.number(1)
		} else {
			t.number(0)
		}
		t.text(users.Text(q.Assigned))
		t.bytes = append(append(t.bytes, TextSeparator), q.Title...)
		t.end()
	}
	for i := range q.Applications {
		a := &q.Applications[i]
		t.begin(TextOfApplication, a.ID)
		t.number(q.ID)
		t.number(int64(a.Status))
		t.text(users.Text(a.User))
		t.end()
	}
	for i := range q.Participants {
		p := &q.Participants[i]
		t.begin(TextOfParticipant, p.ID)
		t.number(q.ID)
		t.number(int64(p.Status))
		t.time(p.Joined)
		t.text(users.Text(p.User))
		t.end()
	}
}

func (t *Texts) begin(kind byte, id int64) {
	t.bytes = append(t.bytes, kind)
	t.number(id)
}

func (t *Texts) end() { t.ends = append(t.ends, len(t.bytes)) }

func (t *Texts) number(n int64) {
	t.bytes = strconv.AppendInt(append(t.bytes, TextSeparator), n, 10)
}

func (t *Texts) text(text string) {
	t.bytes = append(append(t.bytes, TextSeparator), text...)
}

// epoch2000 is where Postgres counts microseconds from.
const epoch2000 = 946_684_800_000_000

func (t *Texts) time(micros int64) {
	if micros != math.MinInt64 && micros != math.MaxInt64 { // the infinities stay what they are
		micros -= epoch2000
	}
	const digits = "0123456789abcdef"
	t.bytes = append(t.bytes, TextSeparator)
	for shift := 60; shift >= 0; shift -= 4 {
		t.bytes = append(t.bytes, digits[uint64(micros)>>shift&15])
	}
}
