package alert

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit"
)

const peopleTemplate = `{{.Title}} **now**
{{range .Lines}}{{.Time.Format "15:04"}} {{if .Quest}}quest {{.Quest}} ({{.QuestTitle}}) {{.User}} {{.Rule}}/{{.Cause}}{{else}}{{.Text}}{{end}}
{{end}}{{if .More}}{{.More}} more{{end}}`

const serviceTemplate = `{"text": {{.Title}}, "quest": {{(index .Lines 0).Quest}}, "who": {{with index .Lines 0}}{{printf "%s in %s" .User .QuestTitle}}{{end}},
 "all": [{{range $i, $l := .Lines}}{{if $i}},{{end}}{{$l.Text}}{{end}}], "event": {{.Event | json}}}`

func templateOf(t *testing.T, text string, makesJSON bool) *Template {
	t.Helper()
	made, err := NewTemplate("alert.tmpl", text, makesJSON)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// TestTemplates: what is wrong with one is said at the start, with its place.
func TestTemplates(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		json bool
		want string
	}{
		"people":          {peopleTemplate, false, ""},
		"service":         {serviceTemplate, true, ""},
		"not closed":      {"a\n{{.Title", false, "alert.tmpl:2: "},
		"unknown field":   {"a\nb {{.Titel}}", false, "alert.tmpl:2:4: "},
		"of a group only": {"{{(index .Lines 2).Text}}", false, "alert.tmpl:1:3: "},
		"unknown word":    {"{{shout .Title}}", false, `alert.tmpl:1: function "shout" not defined`},
		"nothing":         {"{{if .Test}}{{end}}  ", false, "alert.tmpl:1:5: "},
		"empty":           {" \n", false, "nothing comes of it"},
		"not JSON":        {"{{.Title}}!", true, "is not JSON"},
		"in quotes":       {`{"a": "{{.Title}}"}`, true, "is not JSON"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewTemplate("alert.tmpl", c.text, c.json)
			if (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "paper")) {
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
}

// TestTemplatesEscape: what a template makes of a hostile title is no more markup, a
// header or an end of a string than our own words are.
func TestTemplatesEscape(t *testing.T) {
	hostileQuotes := func(f *event.Finding) { f.QuestTitle = hostile + `", "x": "y` }
	o := Outlet{Template: templateOf(t, peopleTemplate, false)}
	n := some(t, 12, hostileQuotes)
	if err := o.worded(n); err != nil {
		t.Fatal(err)
	}
	var body string
	address := server(t, func(_ http.ResponseWriter, r *http.Request) {
		data, _ := io.ReadAll(r.Body)
		body = string(data)
	})
	if err := send(t, NewDiscord(address), n); err != nil {
		t.Fatal(err)
	}
	var discord struct{ Content string }
	if err := json.Unmarshal([]byte(body), &discord); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"@everyone", " <", " **", "[a]", "\r", "\x1b", "\n# "} {
		if strings.Contains(discord.Content, bad) {
			t.Errorf("Discord: %q in %q", bad, discord.Content)
		}
	}
	if !strings.Contains(discord.Content, `missing\_participant/approval\_failed`) {
		t.Errorf("Discord: %q", discord.Content)
	}
	if err := send(t, NewSlack(address), n); err != nil {
		t.Fatal(err)
	}
	if strings.Count(body, `"plain_text"`) == 0 || strings.Contains(body, "mrkdwn") || !strings.Contains(body, "2 more") || strings.Contains(body, "questwatch tail") {
		t.Errorf("Slack: %s", body)
	}
	var slack struct{ Text string }
	if err := json.Unmarshal([]byte(body), &slack); err != nil || strings.ContainsAny(slack.Text, "<>\n") {
		t.Errorf("Slack: %q, %v", slack.Text, err)
	}

	sink := testkit.NewMailSink(t, false, nil)
	if err := send(t, mailTo(t, sink), n); err != nil {
		t.Fatal(err)
	}
	if got := readMail(t, sink.Taken()[0]); got.Header.Get("X-Header") != "" || got.Header.Get("Subject") != "[questwatch] critical: 12 new in 1s" {
		t.Errorf("mail %v", got.Header)
	}

	o.Template = templateOf(t, serviceTemplate, true)
	one := some(t, 1, hostileQuotes)
	if err := o.worded(one); err != nil {
		t.Fatal(err)
	}
	hook, err := NewWebhook(address, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := send(t, hook, one); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(body), &got); err != nil || len(got) != 5 || got["quest"] != 1.0 || !strings.Contains(got["who"].(string), `", "x": "y`) {
		t.Errorf("webhook: %s, %v", body, err)
	}
	if inner, ok := got["event"].(map[string]any); !ok || inner["id"] != "f1.opened" {
		t.Errorf("webhook: %s", body)
	}
}

// TestTemplateFails: an alert that a template cannot put into words is told in ours.
func TestTemplateFails(t *testing.T) {
	o := Outlet{Template: templateOf(t, `{{if eq .New 77}}{{index .Lines 999}}{{end}}x`, false)}
	n := some(t, 77)
	if err := o.worded(n); err == nil || n.Text != "" || len(n.lines()) != 11 {
		t.Errorf("%v, lines %q", err, n.lines())
	}
}

// TestTemplateMakesMuch: channels get what they can take.
func TestTemplateMakesMuch(t *testing.T) {
	o := Outlet{Template: templateOf(t, strings.Repeat(strings.Repeat("long ", 1000)+"\n", 200), false)}
	n := some(t, 1)
	if err := o.worded(n); err != nil {
		t.Fatal(err)
	}
	if texts := pack(n.lines(), slackText); len(texts) > 49 {
		t.Errorf("%d blocks", len(texts))
	}
	for _, line := range n.lines() {
		if len([]rune(line)) > wordedRunes {
			t.Errorf("a line of %d", len(line))
		}
	}
}
