package alert

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"
	"text/template/parse"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// Template words the notices of a channel in somebody's own way. What comes of it is as
// foreign to the channel as what the database says: it is escaped there.
type Template struct {
	template *template.Template
	json     bool
}

const (
	wordedLines = 45 // that a template may make
	wordedRunes = 1500
)

// NewTemplate reads a template, and tries it with examples. One that makes JSON has all
// that it puts in written as JSON by itself, so that no text can end a string.
func NewTemplate(name, text string, makesJSON bool) (*Template, error) {
	parsed, err := template.New(name).Option("missingkey=error").Funcs(template.FuncMap{"json": asJSON}).Parse(text)
	if err != nil {
		return nil, err // it says where
	}
	t := &Template{parsed, makesJSON}
	if makesJSON {
		for _, each := range parsed.Templates() {
			if each.Tree != nil && each.Root != nil {
				encode(each.Root)
			}
		}
	}
	for _, n := range examples() {
		if makesJSON && n.Data == nil {
			continue // a service is told of each event by itself
		}
		if _, err := t.word(n); err != nil {
			return nil, errors.New(ourTypes.ReplaceAllString(err.Error(), ""))
		}
	}
	return t, nil
}

// ourTypes are words of an error that say nothing to whoever writes a template.
var ourTypes = regexp.MustCompile(` in type \*?alert\.\w+`)

func asJSON(v any) (string, error) {
	data, err := json.Marshal(v)
	return string(data), err
}

// encode has each value that is put in go through asJSON.
func encode(n parse.Node) {
	branch := func(b *parse.BranchNode) {
		encode(b.List)
		if b.ElseList != nil {
			encode(b.ElseList)
		}
	}
	switch n := n.(type) {
	case *parse.ListNode:
		for _, inner := range n.Nodes {
			encode(inner)
		}
	case *parse.IfNode:
		branch(&n.BranchNode)
	case *parse.RangeNode:
		branch(&n.BranchNode)
	case *parse.WithNode:
		branch(&n.BranchNode)
	case *parse.ActionNode:
		last := n.Pipe.Cmds[len(n.Pipe.Cmds)-1]
		if word, ok := last.Args[0].(*parse.IdentifierNode); len(n.Pipe.Decl) > 0 || ok && word.Ident == "json" {
			return
		}
		n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{
			NodeType: parse.NodeCommand, Pos: n.Pos, Args: []parse.Node{parse.NewIdentifier("json").SetPos(n.Pos)},
		})
	}
}

// word is the notice in the template's words.
func (t *Template) word(n *Notice) (string, error) {
	var b bytes.Buffer
	if err := t.template.Execute(&b, paperOf(n)); err != nil {
		return "", err
	}
	text := strings.ToValidUTF8(strings.TrimSpace(b.String()), "\ufffd")
	switch {
	case text == "":
		return "", fmt.Errorf("template %s: nothing comes of it", t.template.Name())
	case t.json && !json.Valid([]byte(text)):
		return "", fmt.Errorf("template %s: what comes of it is not JSON (each {{…}} is written as JSON, with its own quotes)", t.template.Name())
	}
	return text, nil
}

// worded puts the template's words into a notice; where that fails it keeps ours.
func (o *Outlet) worded(n *Notice) error {
	if o.Template == nil {
		return nil
	}
	text, err := o.Template.word(n)
	if err != nil {
		return fmt.Errorf("word a notice: %w", err)
	}
	n.Text = text
	return nil
}

// split is a text in lines of a length that channels can take.
func split(text string) (lines []string) {
	for line := range strings.Lines(text) {
		if len(lines) == wordedLines {
			return append(lines, "…")
		}
		lines = append(lines, clipTo(strings.TrimRight(line, "\r\n"), wordedRunes))
	}
	return lines
}

// examples are a notice of one event, of several, and of what is still open.
func examples() []*Notice {
	at, user := change.MillisOf(time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)), "8f14e45f"
	f := event.Finding{
		Finding: "5ad1e2", Rule: rule.MissingParticipant, Cause: rule.ApprovalFailed, Severity: rule.Critical, Origin: drift.FromStream,
		QuestID: 42, QuestTitle: `Paint "the" fence`, UserID: &user, Actual: "no participant",
	}
	opened := event.Event{ID: "5ad1e2.opened", Group: "drift", What: "opened", Detail: f.Rule.String(), Quest: 42, Time: at, Data: f}
	resolved := opened
	resolved.ID, resolved.What = "5ad1e2.resolved", "resolved"
	alarm := event.OfAlarm("example", &event.Alarm{Reason: "disk", Severity: event.Warning, Since: at})
	data, err := opened.Encode("example")
	if err != nil {
		panic(errors.Join(errors.New("the example of an event cannot be encoded"), err))
	}
	name := func(string) string { return "alice" }
	one := item{event: opened, data: data, severity: rule.Critical}
	two := item{event: resolved, data: data, severity: rule.Critical, over: true}
	three := item{event: alarm, data: data, severity: rule.Warning}
	return []*Notice{
		noticeOf([]item{one}, name), noticeOf([]item{two}, name), noticeOf([]item{three}, name),
		noticeOf([]item{one, two, three}, name), stillOpen("example", []item{{event: opened, severity: rule.Critical}}, name),
	}
}
