package trend

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Look is how a report is printed for people.
type Look struct {
	// Plot draws what was opened under each rule, with Blocks by block characters, else
	// by ASCII ones; Color marks it.
	Plot, Blocks, Color bool
}

const (
	width  = 80
	indent = 2
)

// WriteText prints a report in 80 columns.
func (r *Report) WriteText(w io.Writer, look Look) error {
	var b strings.Builder
	fmt.Fprintf(&b, "From %s to %s UTC, by %s", r.Since.Format("2006-01-02 15:04"), r.Until.Format("2006-01-02 15:04"), r.By)
	switch {
	case r.Counted == 0:
		b.WriteString("\nNothing has been counted yet: no finding was opened, resolved or repaired.\n")
	case len(r.Rules) == 0:
		b.WriteString("\nNo finding was opened, resolved or repaired in this time, and none is open.\n")
	default:
		if look.Plot {
			b.WriteString("; plotted: opened")
		}
		fmt.Fprintf(&b, "\n\n%-24s %7s %8s %8s %6s %9s %10s\n", "rule", "opened", "resolved", "repaired", "open", "detected", "lasted")
		for i := range r.Rules {
			r.Rules[i].text(&b, look)
		}
		b.WriteString("\nopen: at the end. detected: from the commit to the finding, and lasted: from\nthere to its end, in the mean. What a baseline showed counts in open only.\n")
	}
	_, err := io.WriteString(w, b.String())
	return printed(err)
}

func printed(err error) error {
	if err != nil {
		return fmt.Errorf("print trends: %w", err)
	}
	return nil
}

func (t *Trend) text(b *strings.Builder, look Look) {
	p := &t.Total
	fmt.Fprintf(b, "%-24s %7d %8d %8d %6d %9s %10s\n", t.Rule, p.Opened, p.Resolved, p.Repaired, p.Open, p.Detected.text(), p.Lasted.text())
	if !look.Plot {
		return
	}
	bars, most := t.bars(width - indent - 12)
	mark, unmark := "", ""
	if look.Color {
		mark, unmark = "\x1b[36m", "\x1b[0m"
	}
	fmt.Fprintf(b, "%*s%s%s%s  max %d\n", indent, "", mark, draw(bars, most, look.Blocks), unmark, most)
}

// text is a mean length for people.
func (l Lengths) text() string {
	d := time.Duration(l.Mean) * time.Millisecond
	switch {
	case l.Count == 0:
		return "-"
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.1fd", d.Hours()/24)
	case d >= time.Hour:
		return fmt.Sprintf("%.1fh", d.Hours())
	case d >= time.Minute:
		return fmt.Sprintf("%.1fmin", d.Minutes())
	}
	return fmt.Sprintf("%.1fs", d.Seconds())
}

// bars adds pieces up that stand side by side, so that there are at most so many.
func (t *Trend) bars(columns int) (bars []uint64, most uint64) {
	each := max(1, (len(t.Pieces)+columns-1)/columns)
	for i := range t.Pieces {
		if i%each == 0 {
			bars = append(bars, 0)
		}
		bars[len(bars)-1] += t.Pieces[i].Opened
		most = max(most, bars[len(bars)-1])
	}
	return bars, most
}

var (
	blocks = []rune(" ▁▂▃▄▅▆▇█")
	ascii  = []rune(" .:-=+*#@")
)

// draw draws a character a bar. What is not nothing is seen.
func draw(bars []uint64, most uint64, inBlocks bool) string {
	levels, line := ascii, make([]rune, len(bars))
	if inBlocks {
		levels = blocks
	}
	for i, n := range bars {
		level := uint64(0)
		if n > 0 {
			level = 1 + (n-1)*uint64(len(levels)-2)/max(most-1, 1)
		}
		line[i] = levels[level]
	}
	return string(line)
}

var columns = []string{
	"start", "rule", "opened", "resolved", "repaired", "open_at_end", "baseline_opened", "baseline_resolved",
	"detected_count", "detected_mean_ms", "detected_max_ms", "lasted_count", "lasted_mean_ms", "lasted_max_ms", "mended_count", "mended_mean_ms", "mended_max_ms",
}

// WriteCSV prints a line for each piece of each rule, in which anything is.
func (r *Report) WriteCSV(w io.Writer) error {
	out := csv.NewWriter(w)
	_ = out.Write(columns) // Flush has the first error
	for i := range r.Rules {
		for j := range r.Rules[i].Pieces {
			if p := &r.Rules[i].Pieces[j]; !p.empty() {
				_ = out.Write(p.line(r.Rules[i].Rule.String()))
			}
		}
	}
	out.Flush()
	return printed(out.Error())
}

func (p *Piece) empty() bool {
	return p.Opened+p.Resolved+p.Repaired+p.BaselineOpened+p.BaselineResolved == 0 && p.Open == 0
}

func (p *Piece) line(of string) []string {
	line := []string{p.Start.Format(time.RFC3339), of}
	for _, n := range []uint64{p.Opened, p.Resolved, p.Repaired} {
		line = append(line, strconv.FormatUint(n, 10))
	}
	line = append(line, strconv.FormatInt(p.Open, 10))
	numbers := []uint64{p.BaselineOpened, p.BaselineResolved}
	for _, l := range []Lengths{p.Detected, p.Lasted, p.Mended} {
		numbers = append(numbers, l.Count, uint64(l.Mean), l.Max)
	}
	for _, n := range numbers {
		line = append(line, strconv.FormatUint(n, 10))
	}
	return line
}
