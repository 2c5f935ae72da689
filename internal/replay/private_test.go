package replay_test

import (
	"bytes"
	"strings"
	"testing"
)

// A page without names has none, nor a title, who repaired, or markup that somebody wrote,
// in either form.
func TestPrivateStoryHasNoNames(t *testing.T) {
	p := judged(storyOf(t, `
person secretann 8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c
grace missing_participant 0s
baseline 12:00:00
  quest 42 title="<script>secrettitle()</script>" status=open
  application 7 applicant=secretann status=pending
tx 12:00:01
  application 7 status=approved
  quest 42 title="secret</li><img src=x>"
mark 12:00:05
large tx 12:00:10
  participant 3 user=secretann
  quest 42 assigned=secretann status=in-progress
  repair 13 quest=42 actor=secretactor
mark 12:00:20
`))
	for _, private := range []bool{false, true} {
		s, err := p.reader(50).Story(t.Context(), p.last("missing_participant"), private)
		if err != nil {
			t.Fatal(err)
		}
		var page, line bytes.Buffer
		if err := s.WriteHTML(&page); err != nil {
			t.Fatal(err)
		}
		if err := s.WriteJSON(&line); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(page.String(), "<script") || strings.Contains(page.String(), "<img") {
			t.Errorf("markup from the database is in the page:\n%s", &page)
		}
		for name, out := range map[string]string{"page": page.String(), "JSON": line.String()} {
			if strings.Contains(out, "secret") == private {
				t.Errorf("%s, without names %t:\n%s", name, private, out)
			}
		}
		if private && (!strings.Contains(page.String(), "person 1") || strings.Contains(page.String(), "8f14e45f")) {
			t.Errorf("people are not numbered:\n%s", &page)
		}
	}
}
