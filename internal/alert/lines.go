package alert

import "fmt"

// mark is how a line begins.
func (l *Line) mark() string {
	if l.Over {
		return "over"
	}
	return l.Severity.String()
}

// lines are the notice in lines of text, none of it escaped.
func (n *Notice) lines() []string {
	if more := n.more(); more != "" {
		return append(n.body(), more)
	}
	return n.body()
}

// body is the same without what says that not everything is shown.
func (n *Notice) body() []string {
	if n.Text != "" {
		return split(n.Text)
	}
	stamp := "15:04:05 UTC"
	if n.Open > 0 { // for days, maybe
		stamp = "2006-01-02 " + stamp
	}
	lines := make([]string, len(n.Lines))
	for i := range n.Lines {
		l := &n.Lines[i]
		lines[i] = l.Time.Format(stamp) + "  " + l.mark() + ": " + l.Text
	}
	return lines
}

// more says that not everything is shown.
func (n *Notice) more() string {
	if n.More == 0 || n.Text != "" {
		return ""
	}
	return fmt.Sprintf("and %d more: questwatch tail shows them", n.More)
}
