package alert

import (
	"context"
	"errors"
	"io"
	"mime"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

const password = "geheim-wort"

func mailTo(t *testing.T, s *testkit.MailSink, change ...func(*MailConfig)) *Mail {
	t.Helper()
	c := MailConfig{
		Namespace: "questwatch", From: "Questwatch <watch@example.org>", To: "a@example.org, Ops <b@example.org>",
		MailServer: MailServer{Host: s.Host, Port: s.Port, TLS: StartTLS, CAFile: written(t, string(s.CA)), Username: "watch", Password: password},
	}
	for _, fn := range change {
		fn(&c)
	}
	m, err := NewMail(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// written is a file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestMail: a notice arrives over both kinds of TLS as plain text, with headers that are
// all ours whatever a title says, and the same Message-Id at each try.
func TestMail(t *testing.T) {
	for name, implicit := range map[string]bool{StartTLS: false, TLS: true} {
		t.Run(name, func(t *testing.T) {
			s := testkit.NewMailSink(t, implicit, nil)
			m := mailTo(t, s, func(c *MailConfig) { c.TLS = name })
			n := some(t, 1, titled)
			for range 2 {
				if err := send(t, m, n); err != nil {
					t.Fatal(err)
				}
				m.id = "" // as after a crash
			}
			got := s.Taken()
			if len(got) != 2 || !got[0].Safe || got[0].Password != password || strings.Join(got[0].To, " ") != "a@example.org b@example.org" || got[0].From != "watch@example.org" {
				t.Fatalf("taken %+v", got)
			}
			if heard := s.Heard(); strings.Contains(heard, "MAIL") || strings.Contains(heard, "AUTH") {
				t.Errorf("in the clear: %s", heard)
			}
			first, second := readMail(t, got[0]), readMail(t, got[1])
			if id := first.Header.Get("Message-Id"); id == "" || id != second.Header.Get("Message-Id") || !strings.HasSuffix(id, "@example.org>") {
				t.Errorf("ids %q and %q", id, second.Header.Get("Message-Id"))
			}
			subject, err := new(mime.WordDecoder).DecodeHeader(first.Header.Get("Subject"))
			if err != nil || subject != "[questwatch] critical" || first.Header.Get("Auto-Submitted") != "auto-generated" || first.Header.Get("X-Header") != "" {
				t.Errorf("headers %v, %v", first.Header, err)
			}
			if kind := first.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/plain") || !strings.Contains(kind, "UTF-8") {
				t.Errorf("kind %s", kind)
			}
			body, err := io.ReadAll(quotedprintable.NewReader(first.Body))
			if err != nil || !strings.Contains(string(body), "critical: missing_participant") || !strings.Contains(string(body), "<!channel>") || strings.Contains(string(body), "\nX-Header") {
				t.Errorf("body %q, %v", body, err)
			}
		})
	}
}

func readMail(t *testing.T, m testkit.Mail) *netmail.Message {
	t.Helper()
	read, err := netmail.ReadMessage(strings.NewReader(strings.ReplaceAll(m.Text, "\n", "\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	return read
}

// TestMailServerThatIsNotTrusted: a mail is tried again, and nothing of it is said in the
// clear.
func TestMailServerThatIsNotTrusted(t *testing.T) {
	other := testkit.NewMailSink(t, false, nil)
	noTLS := func(command, _ string) string {
		if command == "EHLO" {
			return "250-sink\n250 AUTH PLAIN"
		}
		return ""
	}
	for name, c := range map[string]struct {
		implicit bool
		answer   func(command, argument string) string
		change   func(*MailConfig)
	}{
		"unknown to the system": {false, nil, func(c *MailConfig) { c.CAFile = "" }},
		"signed by another":     {false, nil, func(c *MailConfig) { c.CAFile = written(t, string(other.CA)) }},
		"another's name":        {false, nil, func(c *MailConfig) { c.Host = "localhost" }},
		"implicit":              {true, nil, func(c *MailConfig) { c.TLS, c.CAFile = TLS, written(t, string(other.CA)) }},
		"no TLS":                {false, noTLS, func(*MailConfig) {}},
		"TLS is refused":        {false, answers("STARTTLS", "454 4.7.0 not now"), func(*MailConfig) {}},
	} {
		t.Run(name, func(t *testing.T) {
			s := testkit.NewMailSink(t, c.implicit, c.answer)
			err := send(t, mailTo(t, s, c.change), some(t, 1))
			var r *Refusal
			if err == nil || errors.As(err, &r) || len(s.Taken()) > 0 {
				t.Errorf("%v, taken %v", err, s.Taken())
			}
			if heard := s.Heard(); strings.Contains(heard, "MAIL") || strings.Contains(heard, "AUTH") {
				t.Errorf("in the clear: %s", heard)
			}
			t.Log(err)
		})
	}
}

// answers gives one answer to a command that begins so.
func answers(begin, answer string) func(command, argument string) string {
	return func(command, argument string) string {
		if strings.HasPrefix(command+" "+argument, begin) {
			return answer
		}
		return ""
	}
}

// TestMailAnswers: what is tried again, and what is not. No error has the server's words
// in it, nor what we logged in with.
func TestMailAnswers(t *testing.T) {
	const words = " a@example.org geheim-wort nope"
	for name, c := range map[string]struct {
		begin, answer, want string
		final               bool
	}{
		"busy":                    {"connect", "421" + words, "the answer is 421", false},
		"log-in refused":          {"AUTH", "535 5.7.8" + words, "the answer is 535 5.7.8", false},
		"sender refused":          {"MAIL", "550 5.7.1" + words, "name the sender: the answer is 550 5.7.1", false},
		"recipient later":         {"RCPT TO:<b@", "450 4.2.1" + words, "recipient 2 of 2 is not taken now: the answer is 450 4.2.1", false},
		"recipient unknown":       {"RCPT TO:<b@", "550 5.1.1" + words, "recipient 2 of 2 is refused: the answer is 550 5.1.1", true},
		"all unknown":             {"RCPT", "550" + words, "recipient 1 of 2 is refused: the answer is 550", true},
		"mail refused":            {".", "554 5.6.0" + words, "the mail is refused: the answer is 554 5.6.0", true},
		"mail later":              {".", "451" + words, "hand over the mail: the answer is 451", false},
		"good-bye is not needed":  {"QUIT", "500" + words, "", false},
		"nonsense is tried again": {"MAIL", "what?" + words, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			s := testkit.NewMailSink(t, false, answers(c.begin, c.answer))
			err := send(t, mailTo(t, s), some(t, 1))
			if name == "good-bye is not needed" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var r *Refusal
			if err == nil || !strings.Contains(err.Error(), c.want) || (errors.As(err, &r) && r.Final) != c.final {
				t.Errorf("%v", err)
			}
			if err != nil && (strings.Contains(err.Error(), "geheim") || strings.Contains(err.Error(), "example.org")) {
				t.Errorf("says too much: %v", err)
			}
		})
	}
}

// TestMailIsNotSentTwice: who has a notice is not sent it again while it is tried for
// somebody else.
func TestMailIsNotSentTwice(t *testing.T) {
	var mu sync.Mutex
	later := true
	s := testkit.NewMailSink(t, false, func(command, argument string) string {
		mu.Lock()
		defer mu.Unlock()
		if command == "RCPT" && strings.Contains(argument, "b@") && later {
			return "450 later"
		}
		return ""
	})
	m, n := mailTo(t, s), some(t, 1)
	if err := send(t, m, n); err == nil {
		t.Error("taken, but not for b")
	}
	mu.Lock()
	later = false
	mu.Unlock()
	if err := send(t, m, n); err != nil {
		t.Error(err)
	}
	if got := s.Taken(); len(got) != 2 || strings.Join(got[0].To, " ") != "a@example.org" || strings.Join(got[1].To, " ") != "b@example.org" {
		t.Errorf("taken %+v", got)
	}
}

// TestMailServerHangs: wherever it does, a try ends with its time.
func TestMailServerHangs(t *testing.T) {
	for _, at := range []string{"connect", "EHLO", "STARTTLS", "AUTH", "RCPT", "."} {
		t.Run(at, func(t *testing.T) {
			s := testkit.NewMailSink(t, false, answers(at, testkit.Silence))
			m := mailTo(t, s)
			ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
			defer cancel()
			began := time.Now()
			_, err := m.Send(ctx, some(t, 1))
			if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > 10*time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	}
}

// TestMailInTheClear: to this machine itself only.
func TestMailInTheClear(t *testing.T) {
	s := testkit.NewMailSink(t, false, nil)
	if err := send(t, mailTo(t, s, func(c *MailConfig) { c.TLS, c.Username = NoTLS, "" }), some(t, 1)); err != nil || len(s.Taken()) != 1 {
		t.Error(err)
	}
}
