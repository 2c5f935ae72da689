package stream

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// tally counts what a flow has published since the program began.
type tally struct{ transactions, rows, messages atomic.Uint64 }

// Published is what a flow has published since the program began: transactions with
// changes, row changes, those of baselines included, and messages, control records
// included.
type Published struct{ Transactions, Rows, Messages uint64 }

func (t *tally) read() Published {
	return Published{t.transactions.Load(), t.rows.Load(), t.messages.Load()}
}

// Measure registers the flow's metrics.
func (f *Flow) Measure(r prometheus.Registerer) {
	counter := func(name, help string, n *atomic.Uint64) {
		r.MustRegister(prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "questwatch_stream_" + name, Help: help},
			func() float64 { return float64(n.Load()) }))
	}
	counter("transactions_total", "Transactions with changes that were published.", &f.tally.transactions)
	counter("rows_total", "Row changes that were published, those of baselines included.", &f.tally.rows)
	counter("messages_total", "Messages that were published, control records included.", &f.tally.messages)
}
