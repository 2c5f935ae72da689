package alert

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"

	"github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// How a connection to a mail server is made safe.
const (
	StartTLS = "starttls" // it begins in the clear, and goes on only in TLS
	TLS      = "tls"      // it begins in TLS
	NoTLS    = "none"     // to this machine itself only
)

// MailServer is a mail server. A password goes over TLS, or to this machine itself.
type MailServer struct {
	Host string
	Port int // 0 is the usual one
	TLS  string
	// CAFile holds the certificates that are trusted, in place of the system's.
	CAFile             string
	Username, Password string

	trust *tls.Config
}

// MailTryFor is for how long a mail server is given: some make strangers wait, or look
// into each mail before they take it.
const MailTryFor = time.Minute

// quitFor is for how long the end of a session is waited for: the mail has been taken.
const quitFor = time.Second

func (s *MailServer) port() int {
	switch {
	case s.Port != 0:
		return s.Port
	case s.TLS == TLS:
		return mail.DefaultPortSSL
	case s.TLS == NoTLS:
		return mail.DefaultPort
	}
	return mail.DefaultPortTLS
}

// client makes what dials. What logs in is tried in the order of what it tells the other
// side.
func (s *MailServer) client() (*mail.Client, error) {
	if err := s.readTrust(); err != nil {
		return nil, err
	}
	options := []mail.Option{mail.WithPort(s.port()), mail.WithTimeout(MailTryFor), mail.WithTLSConfig(s.trust)}
	switch s.TLS {
	case TLS:
		options = append(options, mail.WithSSL())
	case NoTLS:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if s.Username != "" {
		options = append(options, mail.WithUsername(s.Username), mail.WithPassword(s.Password), mail.WithOpportunisticSMTPAuth(
			mail.SMTPAuthSCRAMSHA256PLUS, mail.SMTPAuthSCRAMSHA256, mail.SMTPAuthSCRAMSHA1PLUS, mail.SMTPAuthSCRAMSHA1,
			mail.SMTPAuthCramMD5, mail.SMTPAuthPlain, mail.SMTPAuthLogin,
		))
	}
	c, err := mail.NewClient(s.Host, options...)
	if err != nil {
		return nil, fmt.Errorf("use mail server %s: %w", s.Host, err)
	}
	return c, nil
}

func (s *MailServer) readTrust() error {
	s.trust = &tls.Config{ServerName: s.Host, MinVersion: tls.VersionTLS12}
	if s.CAFile == "" {
		return nil
	}
	pem, err := os.ReadFile(s.CAFile)
	if err != nil {
		return fmt.Errorf("read the certificates to trust: %w", err)
	}
	s.trust.RootCAs = x509.NewCertPool()
	if !s.trust.RootCAs.AppendCertsFromPEM(pem) {
		return fmt.Errorf("read the certificates to trust: there is none in %s", s.CAFile)
	}
	return nil
}

// session is a connection that is logged in. It ends with its context.
type session struct {
	*smtp.Client
	ctx  context.Context
	conn net.Conn
	stop func() bool
}

// dial connects, makes it safe and logs in. The library knows a context only while it
// dials, and leaves a connection open that it cannot use: so the connection is ours.
func (s *MailServer) dial(ctx context.Context, c *mail.Client) (*session, error) {
	out := &session{ctx: ctx, stop: func() bool { return true }}
	connect := func(dialCtx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(dialCtx, network, address)
		if err != nil {
			return nil, err
		}
		out.conn = conn
		out.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
		return s.secure(dialCtx, conn)
	}
	var err error
	if err = mail.WithDialContextFunc(connect)(c); err == nil {
		out.Client, err = c.DialToSMTPClientWithContext(ctx)
	}
	if err = out.failed(err); err != nil {
		out.end()
		return nil, fmt.Errorf("connect to %s: %w", net.JoinHostPort(s.Host, strconv.Itoa(s.port())), said(err))
	}
	return out, nil
}

func (s *MailServer) secure(ctx context.Context, conn net.Conn) (net.Conn, error) {
	switch {
	case s.TLS == NoTLS && !loopback(conn.RemoteAddr()):
		return nil, errors.New("without TLS only this machine itself is connected to")
	case s.TLS != TLS:
		return conn, nil
	}
	safe := tls.Client(conn, s.trust)
	return safe, safe.HandshakeContext(ctx)
}

// failed says of an error of a connection that was closed with its context that this
// was the cause.
func (s *session) failed(err error) error {
	if err != nil && s.ctx.Err() != nil {
		return fmt.Errorf("no answer in time: %w", s.ctx.Err())
	}
	return err
}

// end says good-bye, and closes the connection.
func (s *session) end() {
	if s.Client != nil && s.UpdateDeadline(quitFor) == nil {
		_ = s.Quit()
	}
	s.stop()
	if s.conn != nil {
		_ = s.conn.Close()
	}
}
