package stream

import "github.com/prometheus/client_golang/prometheus"

// tally counts what a flow has published since the program began.
type tally struct{ transactions, rows, messages prometheus.Counter }

func newTally() *tally {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "questwatch_stream_" + name, Help: help})
	}
	return &tally{
		transactions: counter("transactions_total", "Transactions with changes that were published."),
		rows:         counter("rows_total", "Row changes that were published, those of baselines included."),
		messages:     counter("messages_total", "Messages that were published, control records included."),
	}
}

// Measure registers the flow's metrics.
func (f *Flow) Measure(r prometheus.Registerer) {
	r.MustRegister(f.tally.transactions, f.tally.rows, f.tally.messages)
}
