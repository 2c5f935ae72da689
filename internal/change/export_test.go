package change

// The ways to read that the exported functions choose between, and the
// functions that look at eight bytes at a time.
var (
	Plain   = plain
	Digits  = digits
	Natural = natural
)

// Lost is Natural's end when it gives up.
const Lost = lost

// Canonical reads a step only if it is in the form that AppendStep gives it.
func (d *Decoder) Canonical(data []byte, s *Step) bool {
	*s = Step{Changes: s.Changes[:0]}
	return d.canonical(data, s)
}

// Scan reads a step in any form, the slow way.
func (d *Decoder) Scan(data []byte, s *Step) error {
	*s = Step{Changes: s.Changes[:0]}
	return d.scan(data, s)
}

// EachScanned is Each, the slow way.
func (r Row) EachScanned(fn func(column, value []byte) error) error { return r.rest(0, fn) }

// Forget makes Each look for the columns anew.
func (c *Change) Forget() { c.columns = columns{} }

// Knows tells whether Each needs not look for the columns.
func (c *Change) Knows() bool { return c.columns.are(c.row()) }
