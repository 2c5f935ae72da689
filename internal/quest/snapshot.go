package quest

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
)

// Snapshot is a State as it was at one moment. It costs nothing to take and may
// be written by another goroutine while the state goes on. A baseline in progress
// is not in it.
type Snapshot struct {
	maps  [shardCount]map[int64]record
	len   int
	users []string
}

// Snapshot is the state as it is now.
func (s *State) Snapshot() *Snapshot {
	s.close(&s.quests)
	return &Snapshot{maps: s.quests.share(), len: s.quests.len, users: slices.Clip(s.users.texts)}
}

// Len is the number of quests.
func (p *Snapshot) Len() int { return p.len }

// Write writes the snapshot in a form that Read understands. Equal states whose
// people came in the same order give equal bytes.
func (p *Snapshot) Write(w io.Writer) error {
	out := bufio.NewWriterSize(w, 64<<10)
	b := binary.AppendUvarint(nil, uint64(len(p.users)-1))
	for _, text := range p.users[1:] {
		b = appendText(b, text)
		b = flush(out, b)
	}
	b = binary.AppendUvarint(b, uint64(p.len))
	for _, m := range p.maps {
		for _, id := range slices.Sorted(maps.Keys(m)) {
			b = binary.AppendVarint(b, id)
			b = appendText(b, m[id])
			b = flush(out, b)
		}
	}
	flush(out, b)
	if err := out.Flush(); err != nil { // which keeps the first error of all
		return fmt.Errorf("write the state of quests: %w", err)
	}
	return nil
}

func appendText[T ~string](b []byte, text T) []byte {
	b = binary.AppendUvarint(b, uint64(len(text)))
	return append(b, text...)
}

func flush(out *bufio.Writer, b []byte) []byte {
	_, _ = out.Write(b)
	return b[:0]
}

// ErrDamaged says that what was read is no state that Write wrote.
var ErrDamaged = errors.New("state of quests is damaged")

// maxText bounds what Read takes for one user id or one quest: a quest of five
// million rows.
const maxText = 256 << 20

// Read makes the state what a snapshot was. Every quest is looked at: what does
// not read as it would be written is ErrDamaged, and the state must be thrown
// away.
func (s *State) Read(r *bufio.Reader) error {
	in := reader{in: r}
	s.users, s.quests, s.baseline = NewUsers(), s.quests.fresh(), nil
	for n := in.uint(); n > 0 && in.err == nil; n-- {
		text := in.text()
		if before := len(s.users.texts); in.err == nil && int(s.users.Intern(text)) != before {
			in.fail()
		}
	}
	for n := in.uint(); n > 0 && in.err == nil; n-- {
		id := in.int()
		text := in.text()
		if _, twice := s.quests.get(id); in.err == nil && (twice || !s.checkRecord(id, record(text))) {
			in.fail()
		}
		if in.err == nil {
			s.quests.put(id, record(text))
		}
	}
	if in.err != nil {
		return fmt.Errorf("read the state of quests: %w", in.err)
	}
	return nil
}

// checkRecord reports whether a record says something that can be, and says it as
// appendRecord would.
func (s *State) checkRecord(id int64, r record) bool {
	q := &s.quest
	if q.load(id, r) != nil || q.empty() || q.Status > Completed || !s.users.has(q.Assigned) {
		return false
	}
	for i := range q.Applications {
		a := &q.Applications[i]
		if a.Status > Kicked || a.User == 0 || !s.users.has(a.User) || i > 0 && a.ID <= q.Applications[i-1].ID {
			return false
		}
	}
	for i := range q.Participants {
		p := &q.Participants[i]
		if p.Status > Dropped || p.User == 0 || !s.users.has(p.User) || i > 0 && p.ID <= q.Participants[i-1].ID {
			return false
		}
	}
	for i := range q.Departures {
		if d := q.Departures[i]; d.User == 0 || !s.users.has(d.User) || i > 0 && d.User <= q.Departures[i-1].User {
			return false
		}
	}
	s.buffer = appendRecord(s.buffer[:0], q)
	return string(s.buffer) == string(r)
}

// reader reads what Write wrote; after the first error everything is 0.
type reader struct {
	in     *bufio.Reader
	buffer []byte
	err    error
}

func (r *reader) fail() { r.err = ErrDamaged }

func (r *reader) uint() (n uint64) {
	for shift := 0; shift < 64 && r.err == nil; shift += 7 {
		c, err := r.in.ReadByte()
		if err != nil {
			r.err = torn(err)
			return 0
		}
		n |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return n
		}
	}
	if r.err == nil {
		r.fail()
	}
	return 0
}

func (r *reader) int() int64 {
	n := r.uint()
	return int64(n>>1) ^ -int64(n&1)
}

// text is valid until the next call. A length that is not true costs no memory:
// the buffer grows with what really comes.
func (r *reader) text() []byte {
	n := r.uint()
	if n > maxText {
		r.fail()
	}
	r.buffer = r.buffer[:0]
	for r.err == nil && uint64(len(r.buffer)) < n {
		from := len(r.buffer)
		r.buffer = slices.Grow(r.buffer, int(min(n-uint64(from), 64<<10)))
		r.buffer = r.buffer[:min(uint64(cap(r.buffer)), n)]
		if _, err := io.ReadFull(r.in, r.buffer[from:]); err != nil {
			r.err = torn(err)
		}
	}
	return r.buffer
}

// torn tells an end in the middle from an error of whoever is read.
func torn(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return ErrDamaged
	}
	return err
}
