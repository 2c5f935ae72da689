package alert

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/peerquest/questwatch/internal/event"
)

const secretPath = "/hook/geheim"

// server is a local HTTP server that answers as told, and the address of a channel to it.
func server(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s.URL + secretPath
}

func some(t *testing.T, n int, change ...func(*event.Finding)) *Notice {
	t.Helper()
	var items []item
	for i := range n {
		e := finding(int64(i+1), change...)
		data, err := e.Encode("questwatch")
		if err != nil {
			t.Fatal(err)
		}
		it := item{at: Position{Sequence: uint64(i + 1)}, event: e, data: data}
		if !(&Route{Each: true}).take("a", &it) {
			t.Fatal("not taken")
		}
		items = append(items, it)
	}
	return noticeOf(items, func(id string) string { return id })
}

func send(t *testing.T, c Channel, n *Notice) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := c.Send(ctx, n)
	return err
}

// TestWebhook: the event arrives as it is, signed with its id and the time.
func TestWebhook(t *testing.T) {
	for secret, key := range map[string]string{"": "", "key": "key", "whsec_a2V5": "key"} {
		var header http.Header
		var body []byte
		w, err := NewWebhook(server(t, func(_ http.ResponseWriter, r *http.Request) {
			header = r.Header
			body, _ = io.ReadAll(r.Body)
		}), secret)
		if err != nil {
			t.Fatal(err)
		}
		n := some(t, 1)
		if err := send(t, w, n); err != nil {
			t.Fatal(err)
		}
		if string(body) != string(n.Data) || header.Get("Content-Type") != "application/cloudevents+json" || header.Get("Webhook-Id") != "f1.opened" {
			t.Errorf("got %s with %v", body, header)
		}
		at := header.Get("Webhook-Timestamp")
		if sent, err := strconv.ParseInt(at, 10, 64); err != nil || time.Since(time.Unix(sent, 0)) > time.Minute {
			t.Errorf("timestamp %q", at)
		}
		want := ""
		if key != "" {
			mac := hmac.New(sha256.New, []byte(key))
			mac.Write([]byte("f1.opened." + at + "." + string(n.Data)))
			want = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
		}
		if got := header.Get("Webhook-Signature"); got != want {
			t.Errorf("secret %q: signature %q, want %q", secret, got, want)
		}
	}
	if _, err := NewWebhook("http://h/", "whsec_geheim!"); err == nil || strings.Contains(err.Error(), "geheim") {
		t.Errorf("a bad secret: %v", err)
	}
}

// TestAnswers: which are taken, tried again when, and never again. No error names the
// address.
func TestAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		code  int
		after string
		ok    bool
		final bool
		wait  time.Duration
	}{
		"ok":            {200, "", true, false, 0},
		"nothing":       {204, "", true, false, 0},
		"elsewhere":     {307, "", false, false, 0},
		"too many":      {429, "120", false, false, 2 * time.Minute},
		"fraction":      {429, "0.5", false, false, 500 * time.Millisecond},
		"broken":        {500, "", false, false, 0},
		"too long":      {503, "999999", false, false, time.Hour},
		"nonsense":      {503, "soon", false, false, 0},
		"past":          {503, "Mon, 02 Jan 2006 15:04:05 GMT", false, false, 0},
		"not found":     {404, "", false, false, 0},
		"unprocessable": {422, "5", false, true, 0},
		"bad":           {400, "", false, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			hits := 0
			address := server(t, func(w http.ResponseWriter, r *http.Request) {
				hits++
				w.Header().Set("Retry-After", c.after)
				w.Header().Set("Location", r.URL.Path)
				w.WriteHeader(c.code)
			})
			err := send(t, NewSlack(address), some(t, 1))
			if (err == nil) != c.ok || hits != 1 {
				t.Fatalf("%v after %d requests", err, hits)
			}
			var r *Refusal
			if !c.ok && (!errors.As(err, &r) || r.Final != c.final || r.After != c.wait || strings.Contains(err.Error(), "geheim")) {
				t.Errorf("%+v: %v", r, err)
			}
		})
	}
}

// TestNoAnswer: a server that hangs, one that is not there, and one with a certificate
// of its own are errors to be tried again, without the address in them.
func TestNoAnswer(t *testing.T) {
	hang := make(chan struct{})
	hanging := server(t, func(http.ResponseWriter, *http.Request) { <-hang })
	t.Cleanup(func() { close(hang) }) // before the server's end, which waits for its requests
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := "http://" + l.Addr().String() + secretPath
	l.Close()
	secure := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("trusted") }))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	for name, address := range map[string]string{"hangs": hanging, "away": away, "not trusted": secure.URL + secretPath, "no URL": "http://h/geheim\x7f"} {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		_, err := NewDiscord(address).Send(ctx, some(t, 1))
		cancel()
		if err == nil || strings.Contains(err.Error(), "geheim") {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %v", name, err)
	}
}

// hostile is a title that would mention everybody, forge a line and hide a link.
const hostile = "<!channel> @everyone <@U1> <#123> **bold** [a](http://evil) `x` ||s|| &amp; \u202ex\n# big\r\nX-Header: 1\x1b[2J"

func titled(f *event.Finding) { f.QuestTitle = hostile }

func TestSlack(t *testing.T) {
	var got struct {
		Text   string
		Blocks []struct {
			Type string
			Text struct {
				Type, Text string
			}
		}
	}
	s := NewSlack(server(t, func(_ http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	}))
	if err := send(t, s, some(t, 30, titled, func(f *event.Finding) { f.QuestTitle += strings.Repeat("long ", 500) })); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsAny(got.Text, "<>\n\r\x1b") || !strings.Contains(got.Text, "&lt;!channel&gt;") || !strings.Contains(got.Text, "&amp;amp;") {
		t.Errorf("text %q", got.Text)
	}
	all := ""
	for _, b := range got.Blocks {
		if b.Type != "section" || b.Text.Type != "plain_text" || utf8.RuneCountInString(b.Text.Text) > slackText {
			t.Errorf("block %+v", b)
		}
		all += b.Text.Text + "\n"
	}
	if lines := strings.Count(all, "\n"); lines != 12 || strings.ContainsAny(all, "\r\x1b\u202e") || len(got.Blocks) > 50 {
		t.Errorf("%d lines, want a title, ten and the rest:\n%s", lines, all)
	}
	if !strings.Contains(all, "critical: 30 new in 1s") || !strings.Contains(all, "and 20 more") {
		t.Errorf("blocks:\n%s", all)
	}
}

func TestDiscord(t *testing.T) {
	var got struct {
		Content  string
		Mentions struct{ Parse []string } `json:"allowed_mentions"`
	}
	d := NewDiscord(server(t, func(_ http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
	}))
	if err := send(t, d, some(t, 1, titled)); err != nil {
		t.Fatal(err)
	}
	if got.Mentions.Parse == nil || len(got.Mentions.Parse) > 0 {
		t.Errorf("mentions %+v", got.Mentions)
	}
	for _, bad := range []string{"@everyone", "@U1", " <", " **bold", "[a]", " `x", "\r", "\x1b", "\u202e", "\n# "} {
		if strings.Contains(got.Content, bad) {
			t.Errorf("%q in %q", bad, got.Content)
		}
	}
	if err := send(t, d, some(t, 30, func(f *event.Finding) { f.QuestTitle = strings.Repeat("*", 1000) })); err != nil {
		t.Fatal(err)
	}
	if n := utf8.RuneCountInString(got.Content); n > discordText || !strings.Contains(got.Content, " more: ") || !strings.Contains(got.Content, "\nand 2") {
		t.Errorf("%d characters: %s", n, got.Content)
	}
}

// TestLongFirstLine: a line whose escapes make it longer than a channel takes is cut, and
// not left out.
func TestLongFirstLine(t *testing.T) {
	var content string
	address := server(t, func(_ http.ResponseWriter, r *http.Request) {
		var body struct{ Content string }
		_ = json.NewDecoder(r.Body).Decode(&body)
		content = body.Content
	})
	n := some(t, 1)
	n.Text = "quest 42 " + strings.Repeat("*", 1400) + "\nmore"
	if err := send(t, NewDiscord(address), n); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(content, "quest 42") || utf8.RuneCountInString(content) > discordText {
		t.Errorf("%d characters: %.100q", utf8.RuneCountInString(content), content)
	}
}
