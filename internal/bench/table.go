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
