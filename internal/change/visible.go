package change

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Visible is which transactions a snapshot of the database sees.
type Visible struct {
	// Xmin is the lowest transaction that was under way; all below have ended. From
	// Xmax on the snapshot sees nothing.
	Xmin, Xmax uint64
	// UnderWay lists those in between that had not ended, in ascending order.
	UnderWay []uint64
}

// Sees reports whether the snapshot sees what a transaction wrote, provided it
// committed. One whose commit is in the stream may be unseen all the same: it ends
// for others a moment after its commit is in the log, and with synchronous
// replication when a standby has confirmed it.
func (v *Visible) Sees(xid uint64) bool {
	if xid < v.Xmin || xid >= v.Xmax {
		return xid < v.Xmin
	}
	_, found := slices.BinarySearch(v.UnderWay, xid)
	return !found
}

// ParseVisible reads Postgres's text form, 10:20:10,14,15.
func ParseVisible(text string) (v Visible, err error) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return v, fmt.Errorf("parse snapshot %q: want the form 10:20:10,14", text)
	}
	number := func(text string) (n uint64) {
		if err == nil {
			n, err = strconv.ParseUint(text, 10, 64)
		}
		return n
	}
	v.Xmin, v.Xmax = number(parts[0]), number(parts[1])
	if parts[2] != "" {
		for id := range strings.SplitSeq(parts[2], ",") {
			v.UnderWay = append(v.UnderWay, number(id))
		}
	}
	if err != nil {
		return v, fmt.Errorf("parse snapshot %q: %w", text, err)
	}
	slices.Sort(v.UnderWay)
	return v, nil
}
