package audit

import (
	"bufio"
	"encoding/json"
	"fmt"

	"github.com/peerquest/questwatch/internal/rule"
)

// writeJSON writes one line. The lists come straight from the sorters, so that
// their length costs no memory.
func (r *Result) writeJSON(w *bufio.Writer) error {
	type stats struct {
		*Stats
		ByRule ruleCounts `json:"by_rule"`
	}
	head := struct {
		Mode   string  `json:"mode"`
		Compat *string `json:"compat"`
		User   *string `json:"user"`
		Status string  `json:"status"`
		Stats  stats   `json:"stats"`
	}{Mode: r.Config.Mode(), Status: r.Status(), Stats: stats{&r.Stats, ruleCounts{&r.Stats.ByRule, r.Config.judged()}}}
	if r.Config.Compat {
		django := "django"
		head.Compat = &django
	}
	if r.Config.User != "" {
		head.User = &r.Config.User
	}
	text, err := json.Marshal(&head)
	if err != nil {
		return fmt.Errorf("encode statistics: %w", err)
	}
	// A bufio.Writer keeps its first error for Flush.
	w.Write(text[:len(text)-1])
	if err := writeList(w, "findings", r.findings, firstPart); err != nil {
		return err
	}
	if err := writeList(w, "would_fix", r.planned, firstPart); err != nil {
		return err
	}
	if r.Config.Fix && !r.Config.DryRun {
		if err := writeList(w, "skipped", r.skipped, firstPart); err != nil {
			return err
		}
		if err := writeList(w, "undo", r.undo, asString); err != nil {
			return err
		}
	}
	w.WriteString("}\n")
	return nil
}

// ruleCounts is an object with every rule judged, in the order of the phases.
type ruleCounts struct {
	counts *RuleCounts
	judged []rule.Rule
}

func (c ruleCounts) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, r := range c.judged {
		if i > 0 {
			b = append(b, ',')
		}
		b = fmt.Appendf(b, "%q:%d", r, c.counts.Of(r))
	}
	return append(b, '}'), nil
}

func writeList(w *bufio.Writer, name string, s *sorter, item func([]byte) ([]byte, error)) error {
	fmt.Fprintf(w, `,%q:[`, name)
	first := true
	err := s.each(func(payload []byte) error {
		text, err := item(payload)
		if err != nil {
			return err
		}
		if !first {
			w.WriteByte(',')
		}
		first = false
		_, err = w.Write(text)
		return err
	})
	w.WriteByte(']')
	return err
}

func firstPart(payload []byte) ([]byte, error) {
	first, _, err := splitParts(payload)
	return first, err
}

func asString(payload []byte) ([]byte, error) {
	text, err := json.Marshal(string(payload))
	if err != nil {
		return nil, fmt.Errorf("encode statement: %w", err)
	}
	return text, nil
}
