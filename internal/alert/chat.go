package alert

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// postJSON sends a body in JSON.
func postJSON(ctx context.Context, c *http.Client, address string, body any) error {
	data, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode the notice: %w", err)
	}
	return post(ctx, c, address, http.Header{"Content-Type": {"application/json"}}, data)
}

// mark is how a line begins.
func (l *Line) mark() string {
	if l.Over {
		return "over"
	}
	return l.Severity.String()
}

// stamp is a line's time.
func (l *Line) stamp() string { return l.Time.Format("15:04:05") }

// lines are the notice in lines of text, none of it escaped.
func (n *Notice) lines() []string {
	lines := make([]string, 0, len(n.Lines)+1)
	for i := range n.Lines {
		l := &n.Lines[i]
		lines = append(lines, l.stamp()+" UTC  "+l.mark()+": "+l.Text)
	}
	if more := n.more(); more != "" {
		lines = append(lines, more)
	}
	return lines
}

// more says that not everything is shown.
func (n *Notice) more() string {
	if n.More == 0 {
		return ""
	}
	return fmt.Sprintf("and %d more: questwatch tail shows them", n.More)
}
