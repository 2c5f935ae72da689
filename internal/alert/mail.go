package alert

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/textproto"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// MailConfig is what Mail needs to know.
type MailConfig struct {
	Namespace string
	MailServer
	From string
	// To are addresses with commas between.
	To string
}

// Mail sends plain text over a mail server. Subject and headers are our own words only;
// what comes from the database is in the body.
//
// The Message-Id is made of the notice's id, and so is the same at each try. People whom
// the server has taken a notice for are not sent it again while it is tried for others.
type Mail struct {
	config MailConfig
	from   *netmail.Address
	to     []*netmail.Address
	client *mail.Client

	mu sync.Mutex // a notice at a time; guards what follows
	id string     // the notice that was tried last
	// settled are the recipients for whom the server has answered for good.
	settled []verdict
}

// verdict is what the server said of a recipient.
type verdict struct {
	taken   bool
	refused error
}

// NewMail makes a Mail. It reads the file of certificates, and connects to nothing.
func NewMail(c MailConfig) (*Mail, error) {
	m := &Mail{config: c}
	var err error
	if m.from, err = netmail.ParseAddress(c.From); err != nil {
		return nil, fmt.Errorf("read the sender's address: %w", err)
	}
	if m.to, err = netmail.ParseAddressList(c.To); err != nil {
		return nil, fmt.Errorf("read the recipients' addresses: %w", err)
	}
	if m.client, err = m.config.client(); err != nil {
		return nil, err
	}
	return m, nil
}

// Send is of Channel.
func (m *Mail) Send(ctx context.Context, n *Notice) (answer string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.id != n.ID {
		m.id, m.settled = n.ID, make([]verdict, len(m.to))
	}
	s, err := m.config.dial(ctx, m.client)
	if err != nil {
		return "", fmt.Errorf("send mail: %w", err)
	}
	defer s.end()
	answer, err = m.submit(s, n)
	if err = s.failed(err); err != nil {
		return "", fmt.Errorf("send mail: %w", err)
	}
	for i, a := range m.settled {
		if a.refused != nil {
			return "", &Refusal{Err: fmt.Errorf("send mail: recipient %d of %d is refused: %w", i+1, len(m.to), a.refused), Final: true}
		}
	}
	return answer, nil
}

// submit gives the server the notice for those recipients that are not settled. Those
// whom it does not take now, and may later, are an error after the others have it.
func (m *Mail) submit(s *session, n *Notice) (answer string, err error) {
	if err := s.Mail(envelope(m.from)); err != nil {
		return "", fmt.Errorf("name the sender: %w", said(err))
	}
	var asked []int
	var later error
	for i, to := range m.to {
		if m.settled[i] != (verdict{}) {
			continue
		}
		err := s.Rcpt(envelope(to))
		switch {
		case err == nil:
			asked = append(asked, i)
		case code(err) >= 500:
			m.settled[i].refused = said(err)
		case code(err) == 0:
			return "", said(err)
		default:
			later = fmt.Errorf("recipient %d of %d is not taken now: %w", i+1, len(m.to), said(err))
		}
	}
	if len(asked) == 0 {
		return "", later
	}
	if answer, err = m.body(s, n); err != nil {
		if code(err) >= 500 {
			return "", &Refusal{Err: fmt.Errorf("the mail is refused: %w", said(err)), Final: true}
		}
		return "", fmt.Errorf("hand over the mail: %w", said(err))
	}
	for _, i := range asked {
		m.settled[i].taken = true
	}
	return answer, later
}

// body hands the mail over. The answer often says by what name to find it in the server's
// log.
func (m *Mail) body(s *session, n *Notice) (answer string, err error) {
	w, err := s.Data()
	if err != nil {
		return "", err
	}
	if _, err := m.message(n).WriteTo(w); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	answer = "250"
	if w, ok := w.(*smtp.DataCloser); ok {
		answer += " " + w.ServerResponse()
	}
	return answer, nil
}

func (m *Mail) message(n *Notice) *mail.Msg {
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	msg.FromMailAddress(m.from)
	msg.ToMailAddress(m.to...)
	msg.Subject("[" + m.config.Namespace + "] " + n.Title())
	sum := sha256.Sum256([]byte(m.config.Namespace + " " + n.ID))
	_, domain, _ := strings.Cut(m.from.Address, "@")
	msg.SetMessageIDWithValue(hex.EncodeToString(sum[:16]) + "@" + domain)
	msg.SetDateWithValue(time.Now())
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	text := "Questwatch: " + n.Title() + "\n\n" + strings.Join(n.lines(), "\n") + "\n"
	msg.SetBodyString(mail.TypeTextPlain, text)
	return msg
}

func envelope(a *netmail.Address) string { return (&netmail.Address{Address: a.Address}).String() }

// code is the server's answer, or 0 where err is something else.
func code(err error) int {
	var answer *textproto.Error
	if errors.As(err, &answer) {
		return answer.Code
	}
	return 0
}

var enhancedCode = regexp.MustCompile(`^[245]\.\d{1,3}\.\d{1,3}\b`)

// said is the server's answer by its codes alone: its words may repeat an address or
// what we logged in with.
func said(err error) error {
	var answer *textproto.Error
	var nonsense textproto.ProtocolError
	switch {
	case errors.As(err, &nonsense):
		return errors.New("the answer is not one of a mail server")
	case !errors.As(err, &answer):
		return err
	}
	text := fmt.Sprintf("the answer is %d", answer.Code)
	if more := enhancedCode.FindString(answer.Msg); more != "" {
		text += " " + more
	}
	return errors.New(text)
}

// loopback says that nothing leaves the machine.
func loopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}
