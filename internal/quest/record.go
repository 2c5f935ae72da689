package quest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/peerquest/questwatch/internal/change"
)

// record is a quest as the state keeps it: a few dozen bytes that the garbage
// collector does not look into, where structs would take several hundred. It is
// never changed, so that a snapshot may share it. Integers are varints; row ids
// are differences to the row before, because rows lie by id.
type record string

// The flags of a record.
const (
	recordExists = 1 << iota
	recordDeleted
	recordHanded
	recordTitle
	recordReleased
	recordLeft
	recordDepartures
)

// The high bits of an application's byte; the low ones are its status.
const (
	rowStatus   = 1<<4 - 1
	appRevoked  = 1 << 4
	appMet      = 1 << 5
	appApproved = 1 << 6
)

// The high bits of a participant's byte.
const (
	partDirect    = 1 << 4
	partWithdrawn = 1 << 5
	partEpoch     = 1 << 6 // joined is 0
	partExtreme   = 1 << 7 // joined is ±infinity; with partEpoch it is -infinity
)

// joinedBase is a moment near which people join: differences to it are shorter.
const joinedBase = 1_767_225_600_000_000 // 2026

// appendRecord appends the record of a quest. The id is its key, not a part.
func appendRecord(b []byte, q *Quest) []byte {
	flags := bit(q.Exists, recordExists) | bit(q.Deleted, recordDeleted) | bit(q.Handed, recordHanded) | bit(q.Title != "", recordTitle) |
		bit(q.Released != 0, recordReleased) | bit(q.Left != 0, recordLeft) | bit(len(q.Departures) > 0, recordDepartures)
	b = append(b, flags, byte(q.Status))
	b = binary.AppendUvarint(b, uint64(q.Assigned))
	if q.Title != "" {
		b = binary.AppendUvarint(b, uint64(len(q.Title)))
		b = append(b, q.Title...)
	}
	if q.Released != 0 {
		b = binary.AppendUvarint(b, uint64(q.Released))
	}
	if q.Left != 0 {
		b = binary.AppendUvarint(b, uint64(q.Left))
	}
	if len(q.Departures) > 0 {
		b = appendDepartures(b, q.Departures)
	}
	b = appendApplications(b, q.Applications)
	return appendParticipants(b, q.Participants)
}

func appendDepartures(b []byte, all []Departure) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	for _, d := range all {
		b = binary.AppendUvarint(b, uint64(d.User))
		b = binary.AppendUvarint(b, uint64(d.At))
	}
	return b
}

func appendApplications(b []byte, all []Application) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	last := int64(0)
	for i := range all {
		a := &all[i]
		b = binary.AppendVarint(b, a.ID-last)
		last = a.ID
		b = binary.AppendUvarint(b, uint64(a.User))
		b = append(b, byte(a.Status)|bit(a.Revoked, appRevoked)|bit(a.Met, appMet)|bit(a.Approved != 0, appApproved))
		if a.Approved != 0 {
			b = binary.AppendUvarint(b, uint64(a.Approved))
			b = binary.AppendVarint(b, int64(a.ApprovedAt))
		}
	}
	return b
}

func appendParticipants(b []byte, all []Participant) []byte {
	b = binary.AppendUvarint(b, uint64(len(all)))
	last := int64(0)
	for i := range all {
		p := &all[i]
		b = binary.AppendVarint(b, p.ID-last)
		last = p.ID
		b = binary.AppendUvarint(b, uint64(p.User))
		extreme := p.Joined == math.MaxInt64 || p.Joined == math.MinInt64
		b = append(b, byte(p.Status)|bit(p.Direct, partDirect)|bit(p.Withdrawn, partWithdrawn)|
			bit(p.Joined == 0 || p.Joined == math.MinInt64, partEpoch)|bit(extreme, partExtreme))
		if !extreme && p.Joined != 0 {
			b = binary.AppendVarint(b, p.Joined-joinedBase) // wraps around, and back
		}
	}
	return b
}

func bit(set bool, b byte) byte {
	if set {
		return b
	}
	return 0
}

var errRecord = errors.New("quest's record is damaged")

// load reads a record into q, whose slices it uses again. The title is a part of
// the record. It checks nothing but lengths: records come from appendRecord, and
// those of a file have been through check.
func (q *Quest) load(id int64, r record) error {
	*q = Quest{ID: id, Applications: q.Applications[:0], Participants: q.Participants[:0], Departures: q.Departures[:0]}
	c := cursor{r: r}
	flags := c.byte()
	q.Exists, q.Deleted, q.Handed = flags&recordExists != 0, flags&recordDeleted != 0, flags&recordHanded != 0
	q.Status = Status(c.byte())
	q.Assigned = User(c.uint())
	if flags&recordTitle != 0 {
		q.Title = string(c.text())
	}
	if flags&recordReleased != 0 {
		q.Released = change.LSN(c.uint())
	}
	if flags&recordLeft != 0 {
		q.Left = change.LSN(c.uint())
	}
	if flags&recordDepartures != 0 {
		for n := c.count(); n > 0; n-- {
			q.Departures = append(q.Departures, Departure{User: User(c.uint()), At: change.LSN(c.uint())})
		}
	}
	last := int64(0)
	for n := c.count(); n > 0; n-- {
		a := c.application(last)
		last = a.ID
		q.Applications = append(q.Applications, a)
	}
	last = 0
	for n := c.count(); n > 0; n-- {
		p := c.participant(last)
		last = p.ID
		q.Participants = append(q.Participants, p)
	}
	if c.bad || c.at != len(r) {
		return fmt.Errorf("quest %d: %w", id, errRecord)
	}
	return nil
}

// cursor reads a record. What is read behind its end, or is no number, is 0 and
// makes it bad.
type cursor struct {
	r   record
	at  int
	bad bool
}

func (c *cursor) byte() byte {
	if c.at >= len(c.r) {
		c.bad = true
		return 0
	}
	c.at++
	return c.r[c.at-1]
}

func (c *cursor) uint() (n uint64) {
	for shift := 0; c.at < len(c.r) && shift < 64; shift += 7 {
		b := c.r[c.at]
		c.at++
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	c.bad = true
	return 0
}

func (c *cursor) int() int64 {
	n := c.uint()
	return int64(n>>1) ^ -int64(n&1)
}

// count is a number of items, each of which takes two bytes or more.
func (c *cursor) count() int {
	n := c.uint()
	if n > uint64(len(c.r)-c.at)/2 {
		c.bad = true
		return 0
	}
	return int(n)
}

func (c *cursor) text() record {
	n := c.uint()
	if n > uint64(len(c.r)-c.at) {
		c.bad = true
		return ""
	}
	c.at += int(n)
	return c.r[c.at-int(n) : c.at]
}

func (c *cursor) application(last int64) Application {
	a := Application{ID: last + c.int(), User: User(c.uint())}
	flags := c.byte()
	a.Status, a.Revoked, a.Met = ApplicationStatus(flags&rowStatus), flags&appRevoked != 0, flags&appMet != 0
	if flags&appApproved != 0 {
		a.Approved, a.ApprovedAt = change.LSN(c.uint()), change.Millis(c.int())
	}
	return a
}

func (c *cursor) participant(last int64) Participant {
	p := Participant{ID: last + c.int(), User: User(c.uint())}
	flags := c.byte()
	p.Status, p.Direct, p.Withdrawn = ParticipantStatus(flags&rowStatus), flags&partDirect != 0, flags&partWithdrawn != 0
	switch flags & (partEpoch | partExtreme) {
	case 0:
		p.Joined = c.int() + joinedBase
	case partExtreme:
		p.Joined = math.MaxInt64
	case partExtreme | partEpoch:
		p.Joined = math.MinInt64
	}
	return p
}
