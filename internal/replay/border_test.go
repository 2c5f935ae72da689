package replay

import (
	"testing"
)

// What has moved over an end of the range, because a server lost the end of its stream and
// got it anew, is no difference; what is outside of the range is none of its.
func TestDifferAtTheEndsOfARange(t *testing.T) {
	t.Parallel()
	d := newDiffer(func(d Difference) error {
		t.Errorf("%+v", d)
		return nil
	})
	d.first, d.last = 10, 20
	for _, err := range []error{
		d.fromAgain(toldAt("out", 8, 0)), d.fromLive(toldAt("out", 11, 0)),
		d.fromAgain(toldAt("in", 19, 0)), d.fromLive(toldAt("in", 22, 0)),
		d.fromAgain(toldAt("before", 9, 0)), d.fromLive(toldAt("behind", 21, 0)), d.end(),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	if d.events != 1 || d.moved != 1 || d.differences != 0 {
		t.Errorf("events %d, moved %d, differences %d", d.events, d.moved, d.differences)
	}
}
