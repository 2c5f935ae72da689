package trend

import (
	"maps"
	"slices"
	"time"

	"github.com/peerquest/questwatch/internal/rule"
)

// Report is the counts of a time, cut into pieces.
type Report struct {
	// Since and Until are the bounds; By is hour or day.
	Since time.Time `json:"since"`
	Until time.Time `json:"until"`
	By    string    `json:"by"`
	// Counted is the newest event that was counted, 0 if there is none.
	Counted uint64  `json:"counted_sequence"`
	Rules   []Trend `json:"rules"`
}

// Trend is that of a rule.
type Trend struct {
	Rule rule.Rule `json:"rule"`
	// Total is of all pieces.
	Total  Piece   `json:"total"`
	Pieces []Piece `json:"pieces"`
}

// Piece is an hour, a day or all of the time. Times are means and longest, in
// milliseconds.
type Piece struct {
	Start            time.Time `json:"start"`
	Opened           uint64    `json:"opened"`
	Resolved         uint64    `json:"resolved"`
	Repaired         uint64    `json:"repaired"`
	Open             int64     `json:"open_at_end"`
	BaselineOpened   uint64    `json:"baseline_opened"`
	BaselineResolved uint64    `json:"baseline_resolved"`
	Detected         Lengths   `json:"detected"`
	Lasted           Lengths   `json:"lasted"`
	Mended           Lengths   `json:"mended"`
}

// Lengths are those of some lengths of time.
type Lengths struct {
	Count uint64 `json:"count"`
	Mean  int64  `json:"mean_ms"`
	Max   uint64 `json:"max_ms"`
}

func lengths(t *Times) Lengths { return Lengths{t.Count, t.Mean().Milliseconds(), t.Max} }

// Piecewise is by what a report is cut.
type Piecewise int

// The pieces.
const (
	ByHour Piecewise = 1
	ByDay  Piecewise = 24
)

func (p Piecewise) String() string {
	if p == ByDay {
		return "day"
	}
	return "hour"
}

// start is the first hour of the piece that an hour is in.
func (p Piecewise) start(h hour) hour { return h - h%hour(p) }

// Report is what was counted from the piece that has a time on, no longer ago than a year,
// up to another time. Rules of which there is nothing are left out.
func (b *Book) Report(since, until time.Time, by Piecewise) *Report {
	last := hourOf(until)
	first := by.start(max(hourOf(since), last-keptHours))
	r := &Report{Since: at(first), Until: until.UTC(), By: by.String(), Counted: b.Sequence, Rules: []Trend{}}
	open := map[rule.Rule]int64{}
	for _, of := range b.open {
		open[of]++
	}
	for _, of := range rule.All {
		if t, any := b.trend(of, open[of], first, last, by); any {
			r.Rules = append(r.Rules, t)
		}
	}
	return r
}

func at(h hour) time.Time { return time.Unix(int64(h)*3600, 0).UTC() }

// trend reckons back from what is open now.
func (b *Book) trend(of rule.Rule, open int64, first, last hour, by Piecewise) (t Trend, any bool) {
	t = Trend{Rule: of}
	pieces := map[hour]*Counts{}
	for k, c := range b.cells {
		if k.rule != of || k.hour < first {
			continue
		}
		start := by.start(k.hour)
		if pieces[start] == nil {
			pieces[start] = &Counts{}
		}
		pieces[start].merge(c)
	}
	var total Counts
	for _, start := range slices.Backward(slices.Sorted(maps.Keys(pieces))) { // later than until
		if c := pieces[start]; start > last {
			open -= grown(c)
			delete(pieces, start)
		}
	}
	atEnd := open
	for start := by.start(last); start >= first; start -= hour(by) {
		c := pieces[start]
		if c == nil {
			c = &Counts{}
		}
		t.Pieces = append(t.Pieces, piece(start, c, open))
		open -= grown(c)
		total.merge(c)
	}
	slices.Reverse(t.Pieces)
	t.Total = piece(first, &total, atEnd)
	return t, total != Counts{} || atEnd != 0
}

// grown is by how many more are open after it.
func grown(c *Counts) int64 {
	return int64(c.Opened+c.BaselineOpened) - int64(c.Resolved+c.BaselineResolved)
}

func piece(start hour, c *Counts, open int64) Piece {
	return Piece{
		Start: at(start), Opened: c.Opened, Resolved: c.Resolved, Repaired: c.Repaired, Open: open,
		BaselineOpened: c.BaselineOpened, BaselineResolved: c.BaselineResolved,
		Detected: lengths(&c.Detected), Lasted: lengths(&c.Lasted), Mended: lengths(&c.Mended),
	}
}
