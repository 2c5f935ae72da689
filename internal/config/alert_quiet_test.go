package config

import (
	"testing"
	"time"
)

func TestQuietHours(t *testing.T) {
	for _, c := range []struct {
		text, zone string
		from, to   time.Duration
		ok         bool
	}{
		{"22:00-07:30", "Europe/Berlin", 22 * time.Hour, 7*time.Hour + 30*time.Minute, true},
		{"00:00-23:59", "UTC", 0, 23*time.Hour + 59*time.Minute, true},
		{"", "UTC", 0, 0, true},
		{"", "Nowhere/Else", 0, 0, false},
		{"22:00-07:00", "", 0, 0, false},
		{"22:00-22:00", "UTC", 0, 0, false},
		{"22-07", "UTC", 0, 0, false},
		{"25:00-07:00", "UTC", 0, 0, false},
		{"22:00 07:00", "UTC", 0, 0, false},
	} {
		chat := AlertChat{Quiet: c.text, QuietZone: c.zone}
		q, err := chat.QuietHours("slack")
		if (err == nil) != c.ok {
			t.Errorf("%q in %q: %v", c.text, c.zone, err)
		}
		if q != nil && (q.From != c.from || q.To != c.to || q.Zone.String() != c.zone) {
			t.Errorf("%q in %q: %+v", c.text, c.zone, q)
		}
		if (q != nil) != (c.ok && c.text != "") {
			t.Errorf("%q in %q: %+v", c.text, c.zone, q)
		}
	}
}
