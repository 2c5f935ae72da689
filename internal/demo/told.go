package demo

import (
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/testkit"
)

// Told is how often and how fast a channel of alerts told of failed approvals.
type Told struct {
	Messages int `json:"messages"`
	// Failures are those approvals that a message names, of all that were found. A message
	// to people has ten lines; of more it says how many.
	Failures int     `json:"failures_named"`
	Of       int     `json:"failures_found"`
	After    Latency `json:"after_commit_ms"`
}

// told is where alerts go in a demo: a service and a chat at an HTTP server, and a mail
// server, all on this machine.
type told struct {
	mail *testkit.MailSink

	mu    sync.Mutex // each request has a goroutine
	posts map[string][]message
}

type message struct {
	text string
	at   time.Time
}

// The channels of a demo, by what the program calls them.
const (
	webhook = "webhook"
	slack   = "slack"
	email   = "email"
)

// demoGroup is how long messages to people are gathered: a demo is short.
const demoGroup = 2 * time.Second

// openTold starts the servers and has the program tell them.
func (d *demo) openTold(c *config.Alert) error {
	d.told = &told{posts: map[string][]message{}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen for alerts: %w", err)
	}
	server := &http.Server{Handler: d.told, ReadHeaderTimeout: time.Minute}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l) // until it is closed
	}()
	d.onClose(func() error {
		err := server.Close()
		<-served
		return err
	})
	var end func()
	if d.told.mail, end, err = testkit.StartMailSink(false, nil); err != nil {
		return err
	}
	d.onClose(func() error {
		end()
		return nil
	})
	ca := filepath.Join(d.dataPath, "mail-ca.pem")
	if err := os.WriteFile(ca, d.told.mail.CA, 0o600); err != nil {
		return fmt.Errorf("write the mail server's certificate: %w", err)
	}
	c.Webhook.URL, c.Slack.URL = "http://"+l.Addr().String()+"/"+webhook, "http://"+l.Addr().String()+"/"+slack
	c.Slack.GroupFor, c.Email.GroupFor = demoGroup, demoGroup
	c.Email.Host, c.Email.Port, c.Email.CAFile = d.told.mail.Host, d.told.mail.Port, ca
	c.Email.From, c.Email.To = "questwatch@example.org", "on-call@example.org"
	return nil
}

// ServeHTTP takes a post.
func (s *told) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	channel := strings.TrimPrefix(r.URL.Path, "/")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.posts[channel] = append(s.posts[channel], message{string(body), time.Now()})
}

// of is what a channel has told so far.
func (s *told) of(channel string) (list []message) {
	if channel == email {
		for _, m := range s.mail.Taken() {
			list = append(list, message{m.Text, m.At})
		}
		return list
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.posts[channel])
}

// untold lists failed approvals that the webhook, which gets each by itself, has not got.
func (s *told) untold(found []sighting) (missing []sighting) {
	list := s.of(webhook)
	for _, f := range failures(found) {
		if !slices.ContainsFunc(list, func(m message) bool { return strings.Contains(m.text, `"id":"`+f.Finding.Finding+`.opened"`) }) {
			missing = append(missing, f)
		}
	}
	return missing
}

// settled reports whether the webhook has all failed approvals, and the others have named
// them too or have had the time for it: they tell some together, of which they name the worst.
func (s *told) settled(found []sighting) bool {
	if len(s.untold(found)) > 0 {
		return false
	}
	list := s.of(webhook)
	if len(list) == 0 || time.Since(list[len(list)-1].at) > 2*demoGroup {
		return true
	}
	for _, t := range s.channels(found) {
		if t.Failures < t.Of {
			return false
		}
	}
	return true
}

// failures are the failed approvals among findings.
func failures(found []sighting) (list []sighting) {
	for _, f := range found {
		if f.Rule == rule.MissingParticipant && f.Cause == rule.ApprovalFailed {
			list = append(list, f)
		}
	}
	return list
}

// channels says how each channel told of failed approvals.
func (s *told) channels(found []sighting) map[string]*Told {
	all := map[string]*Told{}
	for _, channel := range []string{webhook, slack, email} {
		list := s.of(channel)
		t := &Told{Messages: len(list)}
		var waits []time.Duration
		for _, f := range failures(found) {
			t.Of++
			named := fmt.Sprintf("(%s) of %s in quest %d ", f.Cause, "%s", f.QuestID)
			before, after, _ := strings.Cut(named, "%s")
			i := slices.IndexFunc(list, func(m message) bool {
				if channel == webhook {
					return strings.Contains(m.text, `"id":"`+f.Finding.Finding+`.opened"`)
				}
				return m.at.After(f.Transaction.Time.Time()) && names(m.text, before, after)
			})
			if i >= 0 {
				t.Failures++
				waits = append(waits, list[i].at.Sub(f.Transaction.Time.Time()))
			}
		}
		t.After = latency(waits)
		all[channel] = t
	}
	return all
}

// names reports whether a text has a line with one thing and then another. A mail breaks
// long lines.
func names(text, before, after string) bool {
	text = strings.ReplaceAll(text, "=\n", "")
	for line := range strings.SplitSeq(text, "\\n") {
		for part := range strings.Lines(line) {
			if _, rest, found := strings.Cut(part, before); found && strings.Contains(rest, after) {
				return true
			}
		}
	}
	return false
}

// toldReport is what alerts came to, in words.
func toldReport(all map[string]*Told, line func(string)) {
	for _, channel := range slices.Sorted(maps.Keys(all)) {
		t := all[channel]
		line(fmt.Sprintf("%s: %d of %d failed approvals named in %d messages, after the commit: p50 %d ms, p99 %d ms", channel,
			t.Failures, t.Of, t.Messages, t.After.P50, t.After.P99))
	}
}
