package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/testkit/browser"
)

// page reads a page and returns its text. It must load nothing and run nothing.
func page(t *testing.T, source string) string {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(source))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var text bytes.Buffer
	style := false
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("read the page: %v\n%s", err, source)
		}
		switch e := token.(type) {
		case xml.StartElement:
			if strings.Contains(" script img iframe link object embed form a b i ", " "+e.Name.Local+" ") {
				t.Errorf("the page has an element %s", e.Name.Local)
			}
			for _, a := range e.Attr {
				if n := a.Name.Local; n == "src" || n == "href" || n == "style" || strings.HasPrefix(n, "on") {
					t.Errorf("the page has an attribute %s=%q", n, a.Value)
				}
			}
			style = e.Name.Local == "style"
		case xml.CharData:
			if style && bytes.Contains(e, []byte("url(")) {
				t.Error("the style loads something")
			}
			text.Write(e)
		}
	}
	return text.String()
}

// seen looks at a page on a telephone and on a desk, by day and by night: all can be read,
// it fits, loads nothing and runs nothing.
func seen(t *testing.T, source string, texts ...string) {
	t.Helper()
	looks := []browser.Look{{Width: 360}, {Width: 1280}, {Width: 1280, Dark: true}}
	all, err := browser.Show(t.Context(), source, looks...)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		if s.Overflow > 0 || len(s.Faint)+len(s.Loaded)+len(s.Said) > 0 {
			t.Errorf("%+v: %d pixels too wide, faint %q, loads %q, does %q", looks[i], s.Overflow, s.Faint, s.Loaded, s.Said)
		}
		for _, text := range texts {
			if !strings.Contains(s.Text, text) {
				t.Errorf("%+v: no %q in %s", looks[i], text, s.Text)
			}
		}
	}
}

func TestIncident(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	const hostile = `<script>alert(1)</script><img src=x onerror=alert(2)>`
	execute(t, dsn, `UPDATE users_user SET username = '<b>student2</b>' WHERE username = 'student2';
		UPDATE quests_quest SET title = '`+hostile+`' WHERE id = 8`)
	a, data := instance(t, dsn)
	id := openFindings(t, a, 5)[8]
	missing := openFindings(t, a, 5)[1]

	got := command(t, with(dsn, "incident", id, "--data", data)...)
	text := page(t, got.stdout)
	for _, want := range []string{
		"unassigned in quest 8", hostile, "open", id, "<b>student2</b>", "baseline of epoch 1", "showed the violation", "drift opened",
		"questwatch replay --quest 8 --from ", "questwatch show quest 8 --at ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
	if got.status != 0 || got.stderr != "" {
		t.Errorf("status %d, %s", got.status, got.stderr)
	}
	seen(t, got.stdout, "unassigned in quest 8", hostile, "<b>student2</b>", "questwatch show quest 8 --at ")
	// The command that the page names shows that stretch.
	_, line, _ := strings.Cut(text, "questwatch replay ")
	line, _, _ = strings.Cut(line, "\n")
	again := command(t, append([]string{"replay", "--data", data}, strings.Fields(line)...)...)
	if again.status != 0 || !strings.Contains(again.stdout, "  quest 8  (baseline)") {
		t.Errorf("%q: %+v", line, again)
	}

	for _, form := range []string{"html", "json"} {
		private := command(t, with(dsn, "incident", missing, "--data", data, "--no-names", "--output", form)...)
		if private.status != 0 || !strings.Contains(private.stdout, "person 1") || strings.Contains(private.stdout, "student2") || strings.Contains(private.stdout, "Test 1") {
			t.Errorf("without names: %+v", private)
		}
		if form == "html" && strings.Contains(private.stdout, "2222-8222") {
			t.Errorf("an id: %s", private.stdout)
		}
	}
	asJSON := command(t, with(dsn, "incident", id, "--data", data, "--output", "json")...)
	var story struct {
		Finding      struct{ Finding string }
		Transactions []any
		Events       []struct{ Type string }
		Replay       string
	}
	if err := json.Unmarshal([]byte(asJSON.stdout), &story); err != nil || strings.Count(asJSON.stdout, "\n") != 1 {
		t.Errorf("%+v, %v", asJSON, err)
	}
	if story.Finding.Finding != id || len(story.Transactions) != 1 || len(story.Events) == 0 || story.Events[0].Type != "dev.questwatch.drift.opened.v1" ||
		!strings.HasPrefix(story.Replay, "questwatch replay --quest 8 ") {
		t.Errorf("%+v", story)
	}
	refused(t, command(t, "incident", "ffffff", "--data", data), exitFailure, "no such finding")
	refused(t, command(t, "incident", "xyz", "--data", data), exitUsage, "is no finding's id")
	refused(t, command(t, "incident", id, "--output", "text"), exitUsage, "want html or json")
	refused(t, command(t, "incident", id, "--limit", "0"), exitUsage, "--limit is 0")
	refused(t, command(t, "incident", id, "--data", t.TempDir()), exitFailure, "no instance runs")
	refused(t, command(t, "incident"), exitUsage, "say which ")
}
