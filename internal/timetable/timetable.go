// Package timetable says when something is due that a cron expression plans, by the
// clock of a time zone.
//
// Guarantees. Where the clocks go forward past a time, it is due when they do: 02:30 is
// 03:00 then. Where they go back, a planned hour comes once, the first of the two; what is
// planned for every hour comes in both. So nothing that comes daily or weekly is left out
// or doubled by a change of clocks.
//
// It reads lengths of time too, in which people name days and weeks.
package timetable

import (
	"errors"
	"fmt"
	"strings"
	"time"
	_ "time/tzdata" // a container may have no time zones

	"github.com/netresearch/go-cron"
)

// Timetable is when something is due.
type Timetable struct {
	expression string
	zone       *time.Location
	spec       *cron.SpecSchedule
}

// searched is how many years may lie between two times: Mondays on 29 February are 28
// years apart, 40 around a century without a leap day.
const searched = 50

// Parse reads a cron expression of five fields (minute, hour, day of the month, month,
// day of the week; both days must fit) or one of @hourly, @daily, @weekly, @monthly and
// @yearly, and the IANA name of a time zone.
func Parse(expression, zone string) (*Timetable, error) {
	location, err := time.LoadLocation(zone)
	if err != nil || zone == "" {
		return nil, fmt.Errorf("%q is no time zone: want a name such as UTC or Europe/Berlin", zone)
	}
	if strings.Contains(expression, "TZ=") {
		return nil, errors.New("the time zone is a setting of its own")
	}
	parser := cron.MustNewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor).WithMaxSearchYears(searched)
	planned, err := parser.Parse(expression)
	if err != nil {
		return nil, fmt.Errorf("%q is no cron expression, such as 0 6 * * 1 for Mondays at six: %w", expression, err)
	}
	spec, ok := planned.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("%q does not say at what times: want five fields, such as 0 6 * * 1 for Mondays at six", expression)
	}
	spec.Location = time.UTC
	t := &Timetable{expression: strings.Join(strings.Fields(expression), " "), zone: location, spec: spec}
	if t.Next(time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return nil, fmt.Errorf("%q never comes: there is no such day", expression)
	}
	return t, nil
}

// String is the expression and the zone.
func (t *Timetable) String() string { return t.expression + " " + t.zone.String() }

// Next is the first time after another one, in UTC; the zero time if there is none.
//
// The library plans on a clock that never changes. Its own search in a zone skips a week
// where a midnight does not exist.
func (t *Timetable) Next(after time.Time) time.Time {
	if t.hourly() {
		return t.nextHourly(after)
	}
	for wall := t.wall(after); ; {
		if wall = t.spec.Next(wall); wall.IsZero() {
			return wall
		}
		if at := t.first(wall); at.After(after) {
			return at.UTC()
		}
	}
}

// hourly reports whether every hour is planned.
func (t *Timetable) hourly() bool {
	const every = 1<<24 - 1
	return t.spec.Hour&every == every
}

// nextHourly searches from one change of clocks to the next: in between it is always as
// far from UTC.
func (t *Timetable) nextHourly(after time.Time) time.Time {
	for {
		wall := t.wall(after)
		next := t.spec.Next(wall)
		if next.IsZero() {
			return next
		}
		at := after.Add(next.Sub(wall))
		_, change := after.In(t.zone).ZoneBounds()
		if change.IsZero() || at.Before(change) {
			return at.UTC()
		}
		if wall = t.wall(change); t.spec.Next(wall.Add(-time.Second)).Equal(wall) {
			return change.UTC()
		}
		after = change
	}
}

// wall is what a clock on the wall shows, as if that were UTC.
func (t *Timetable) wall(at time.Time) time.Time {
	_, offset := at.In(t.zone).Zone()
	return at.UTC().Add(time.Duration(offset) * time.Second)
}

// first is when a clock on the wall shows a time first, or is set past it.
func (t *Timetable) first(wall time.Time) time.Time {
	at := time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), 0, 0, t.zone)
	began, ended := at.ZoneBounds()
	switch shown := t.wall(at); {
	case shown.After(wall):
		return began
	case shown.Before(wall):
		return ended
	case began.IsZero():
		return at
	}
	_, before := began.Add(-time.Nanosecond).In(t.zone).Zone()
	_, now := at.Zone()
	if back := time.Duration(before-now) * time.Second; at.Sub(began) < back {
		return at.Add(-back)
	}
	return at
}

// Latest is the newest time after one and not after another, false when there is none.
func (t *Timetable) Latest(after, until time.Time) (latest time.Time, found bool) {
	// What comes every minute must not be counted through for a year.
	for _, back := range []time.Duration{time.Hour, 25 * time.Hour, 8 * 24 * time.Hour} {
		if from := until.Add(-back); from.After(after) && !t.Next(from).After(until) {
			after = from
			break
		}
	}
	for next := t.Next(after); !next.IsZero() && !next.After(until); next = t.Next(next) {
		latest, found = next, true
	}
	return latest, found
}
