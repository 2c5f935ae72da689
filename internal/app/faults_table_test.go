package app

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
)

// scoreboard is the table of the faults: how many rounds, and what they came to.
type scoreboard struct {
	mu   sync.Mutex // faults are injected in parallel
	rows []score
}

type score struct {
	fault               string
	rounds, differences int
	tally               tally
}

func (b *scoreboard) count(fault string, t tally, differences int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	i := slices.IndexFunc(b.rows, func(s score) bool { return s.fault == fault })
	if i < 0 {
		i = len(b.rows)
		b.rows = append(b.rows, score{fault: fault})
	}
	s := &b.rows[i]
	s.rounds, s.tally, s.differences = s.rounds+1, s.tally.add(t, 1), s.differences+differences
}

// String is the table. Its numbers are rows, apart from rounds, and from the quests
// of which the checker's state is not the database's.
func (b *scoreboard) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "fault\trounds\tcommitted\tstreamed\tlost\tduplicated\tout of order\twrong\tdeclared\tstate\t")
	all := score{fault: "all"}
	for _, f := range faults {
		for _, s := range b.rows {
			if s.fault == f.name {
				s.print(w)
				all.rounds, all.differences, all.tally = all.rounds+s.rounds, all.differences+s.differences, all.tally.add(s.tally, 1)
			}
		}
	}
	all.print(w)
	_ = w.Flush() // into memory
	return text.String()
}

func (s *score) print(w *tabwriter.Writer) {
	t := &s.tally
	fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", s.fault, s.rounds,
		t.committed, t.streamed, t.lost, t.duplicated, t.disorders, t.wrong, t.declared, s.differences)
}
