package change_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

func TestVisible(t *testing.T) {
	for text, sees := range map[string]map[uint64]bool{
		"10:20:10,14": {9: true, 10: false, 11: true, 14: false, 19: true, 20: false, 1 << 40: false},
		"7:7:":        {6: true, 7: false},
	} {
		v, err := change.ParseVisible(text)
		if err != nil {
			t.Fatal(err)
		}
		for xid, want := range sees {
			if got := v.Sees(xid); got != want {
				t.Errorf("%s sees %d: %v, want %v", text, xid, got, want)
			}
		}
	}
	for _, text := range []string{"", "10", "10:20", "10:x:", "10:20:10,", "10:20:-1", "1:2:3:4"} {
		if v, err := change.ParseVisible(text); err == nil {
			t.Errorf("%q is read as %v", text, v)
		}
	}
}
