package bench

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// Table shows a drain to a person.
func (d *Drain) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d row changes in %d transactions, medians of %d rounds\n", d.Rows, d.Transactions, d.Rounds)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "case\trows/s\tratio\tCPU µs/row\tpeak MB\t")
	fmt.Fprintf(w, "pg_recvlogical\t%.0f\t1.00\t\t\t\n", d.Receive)
	fmt.Fprintf(w, "raw reader\t%.0f\t%.2f\t\t\t\n", d.Raw, d.Raw/d.Receive)
	for _, c := range d.Cases {
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.2f\t%.0f\t\n", c.Case, c.Rate, c.Ratio, c.CPU, c.RSS)
	}
	w.Flush()
	return b.String()
}

// Table shows latencies to a person.
func (l *Latency) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d approvals a second for %.0f s, medians of %d rounds, in ms from just before COMMIT\n", l.Rate, l.For, l.Rounds)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\tp50\tp99\tmax\t")
	for _, row := range []struct {
		name string
		s    Spread
	}{{"COMMIT itself", l.Commit}, {"step at a subscriber", l.Publish}, {"drift.opened at a subscriber, grace 0", l.Detect}} {
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t\n", row.name, row.s.P50, row.s.P99, row.s.Max)
	}
	w.Flush()
	return b.String()
}

// Table shows the state's cost to a person.
func (s *State) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d quests, %d rows, medians of %d rounds\n", s.Quests, s.Rows, s.Rounds)
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "ready after a start\ts\tCPU s\tpeak MB\t")
	for _, row := range []struct {
		name string
		s    Start
	}{{"that reads the whole stream", s.Whole}, {"from a checkpoint", s.Start}} {
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.0f\t\n", row.name, row.s.Seconds, row.s.CPU, row.s.RSS)
	}
	w.Flush()
	fmt.Fprintf(&b, "a checkpoint has %.1f MB, takes %.2f s and holds up the checker for %.3f ms\n", s.Size, s.Take, s.Pause)
	return b.String()
}
