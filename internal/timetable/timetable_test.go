package timetable_test

import (
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/timetable"
)

func parse(t *testing.T, expression, zone string) *timetable.Timetable {
	t.Helper()
	table, err := timetable.Parse(expression, zone)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// Each case lists the times that follow one, by the clock of the zone.
func TestNext(t *testing.T) {
	for _, c := range []struct{ expression, zone, after, want string }{
		{"0 6 * * 1", "UTC", "2026-11-28T06:44:00Z", "2026-11-30T06:00:00Z 2026-12-07T06:00:00Z"},
		{"0 6 * * 1", "America/New_York", "2026-11-28T06:44:00Z", "2026-11-30T06:00:00-05:00"},
		{"@weekly", "UTC", "2026-11-28T06:44:00Z", "2026-11-29T00:00:00Z"},
		{"15 6 13 * 5", "UTC", "2026-11-28T06:44:00Z", "2027-08-13T06:15:00Z"}, // both days
		// Forward: 02:30 does not exist on 28 March 2027 in Berlin.
		{"30 2 * * *", "Europe/Berlin", "2027-03-27T12:00:00Z", "2027-03-28T03:00:00+02:00 2027-03-29T02:30:00+02:00"},
		{"30 2 * * 0", "Europe/Berlin", "2027-03-22T12:00:00Z", "2027-03-28T03:00:00+02:00 2027-04-04T02:30:00+02:00"},
		{"0 * * * *", "Europe/Berlin", "2027-03-28T00:30:00Z", "2027-03-28T03:00:00+02:00 2027-03-28T04:00:00+02:00"},
		// Back: 02:30 exists twice on 25 October 2026.
		{"30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00 2026-10-26T02:30:00+01:00"},
		{"30 2 * * 0", "Europe/Berlin", "2026-10-24T12:00:00Z", "2026-10-25T02:30:00+02:00 2026-11-01T02:30:00+01:00"},
		{"0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", "2026-10-25T02:00:00+02:00 2026-10-25T02:00:00+01:00 2026-10-25T03:00:00+01:00"},
		{"45 1 * * *", "Australia/Lord_Howe", "2027-04-03T00:00:00Z", "2027-04-04T01:45:00+11:00 2027-04-05T01:45:00+10:30"}, // half an hour
		{"30 * * * *", "Australia/Lord_Howe", "2027-04-03T14:00:00Z", "2027-04-04T01:30:00+11:00 2027-04-04T01:30:00+10:30 2027-04-04T02:30:00+10:30"},
		{"0 * * * 0", "America/Sao_Paulo", "2018-11-04T02:30:00Z", "2018-11-04T01:00:00-02:00 2018-11-04T02:00:00-02:00"},
		// A midnight that does not exist.
		{"0 0 * * 0", "America/Sao_Paulo", "2018-11-01T00:00:00Z", "2018-11-04T01:00:00-02:00 2018-11-11T00:00:00-02:00"},
	} {
		table, at := parse(t, c.expression, c.zone), moment(t, c.after)
		for _, want := range strings.Fields(c.want) {
			if at = table.Next(at); !at.Equal(moment(t, want)) {
				t.Errorf("%s in %s after %s is %s, want %s", c.expression, c.zone, c.after, at, want)
			}
		}
	}
}

func moment(t *testing.T, text string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// Whatever a zone's clocks do, what is weekly comes once in each week, within a few
// hours of the time.
func TestWeekly(t *testing.T) {
	zones := []string{"UTC", "Europe/Berlin", "America/New_York", "America/Sao_Paulo", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Beirut", "America/Havana", "Asia/Tehran"}
	rapid.Check(t, func(t *rapid.T) {
		zone := rapid.SampledFrom(zones).Draw(t, "zone")
		hour, minute := rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")
		day := rapid.IntRange(0, 6).Draw(t, "day")
		table, err := timetable.Parse(time.Date(0, 1, 1, hour, minute, 0, 0, time.UTC).Format("4 15 * * ")+string(rune('0'+day)), zone)
		if err != nil {
			t.Fatal(err)
		}
		at := table.Next(time.Unix(rapid.Int64Range(1e9, 18e8).Draw(t, "from"), 0))
		for range 60 {
			next := table.Next(at)
			if gap := next.Sub(at) - 7*24*time.Hour; gap < -2*time.Hour || gap > 2*time.Hour {
				t.Fatalf("%s: %s follows %s", table, next, at)
			}
			at = next
		}
	})
}

func TestLatest(t *testing.T) {
	last, now := moment(t, "2025-11-03T06:00:00Z"), moment(t, "2026-11-28T06:44:30Z")
	for expression, want := range map[string]string{
		"0 6 * * 1":   "2026-11-23T06:00:00Z",
		"* * * * *":   "2026-11-28T06:44:00Z",
		"0 6 1 1 *":   "2026-01-01T06:00:00Z",
		"0 6 29 2 *":  "",
		"44 6 28 * *": "2026-11-28T06:44:00Z",
	} {
		got, found := parse(t, expression, "UTC").Latest(last, now)
		if found != (want != "") || found && !got.Equal(moment(t, want)) {
			t.Errorf("the latest of %s is %s, want %s", expression, got, want)
		}
	}
	if _, found := parse(t, "0 6 * * 1", "UTC").Latest(moment(t, "2026-11-23T06:00:00Z"), now); found {
		t.Error("one that has been is due again")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range [][2]string{
		{"", "UTC"},
		{"0 6 * *", "UTC"},
		{"0 6 * * 1 2027", "UTC"},
		{"61 6 * * 1", "UTC"},
		{"0 0 30 2 *", "UTC"},
		{"@every 1h", "UTC"},
		{"@reboot", "UTC"},
		{"monday", "UTC"},
		{"TZ=UTC 0 6 * * 1", "UTC"},
		{"CRON_TZ=UTC 0 6 * * 1", "UTC"},
		{"0 6 * * 1", "Mars/Olympus"},
		{"0 6 * * 1", ""},
		{"0 6 * * 1", "../etc/passwd"},
	} {
		if table, err := timetable.Parse(c[0], c[1]); err == nil {
			t.Errorf("%q in %q is %s", c[0], c[1], table)
		}
	}
}
