package testkit

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"time"
)

// Mail is what a MailSink has taken.
type Mail struct {
	From string
	To   []string
	// Text is headers and body, as they came.
	Text string
	// Safe says that it came in TLS.
	Safe bool
	// At is when it had come.
	At time.Time
	// User and Password are what the other side logged in with.
	User, Password string
}

// MailSink is a mail server on this machine that delivers to nobody. It has a
// certificate of its own, and wants TLS before anything else.
type MailSink struct {
	Host string
	Port int
	// CA is the certificate of who signed its own, in PEM.
	CA []byte

	// answer is asked for the answer to a command, "" is what a server says that is
	// content; Silence is none at all. A mail's end is the command ".".
	answer   func(command, argument string) string
	implicit bool
	keys     *tls.Config
	mu       sync.Mutex
	taken    []Mail
	heard    []string
	open     map[net.Conn]bool
}

// Silence is no answer.
const Silence = "silence"

// NewMailSink starts a MailSink that ends with the test. With implicit, connections begin in TLS.
func NewMailSink(t TB, implicit bool, answer func(command, argument string) string) *MailSink {
	t.Helper()
	s, end, err := StartMailSink(implicit, answer)
	if err != nil {
		t.Fatalf("%v", err)
	}
	t.Cleanup(end)
	return s
}

// StartMailSink starts a MailSink that ends when the function that it returns is called.
func StartMailSink(implicit bool, answer func(command, argument string) string) (s *MailSink, end func(), err error) {
	s = &MailSink{Host: "127.0.0.1", answer: answer, implicit: implicit, open: map[net.Conn]bool{}}
	if s.answer == nil {
		s.answer = func(string, string) string { return "" }
	}
	if s.keys, s.CA, err = certificate(); err != nil {
		return nil, nil, fmt.Errorf("make a certificate: %w", err)
	}
	l, err := net.Listen("tcp", s.Host+":0")
	if err != nil {
		return nil, nil, fmt.Errorf("listen for mail: %w", err)
	}
	s.Port = l.Addr().(*net.TCPAddr).Port
	var sessions sync.WaitGroup
	sessions.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.open[conn] = true
			s.mu.Unlock()
			sessions.Go(func() { s.serve(conn) })
		}
	})
	return s, func() {
		_ = l.Close()
		s.mu.Lock()
		for conn := range s.open {
			_ = conn.Close()
		}
		s.mu.Unlock()
		sessions.Wait()
	}, nil
}

// Taken is what has come so far.
func (s *MailSink) Taken() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.taken...)
}

// Heard is everything that was said outside of TLS.
func (s *MailSink) Heard() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.heard, "\n")
}

func (s *MailSink) serve(raw net.Conn) {
	conn := raw
	defer func() {
		_ = raw.Close()
		s.mu.Lock()
		delete(s.open, raw)
		s.mu.Unlock()
	}()
	var m Mail
	if s.implicit {
		conn, m.Safe = tls.Server(raw, s.keys), true
	}
	in := textproto.NewReader(bufio.NewReader(conn))
	command, argument := "connect", ""
	for {
		answer := s.answer(command, argument)
		switch {
		case answer == Silence:
			_, _ = in.ReadLine() // nothing comes before the other side gives up
			return
		case answer == "":
			answer = s.content(&m, command, argument)
		}
		if _, err := fmt.Fprintf(conn, "%s\r\n", strings.ReplaceAll(answer, "\n", "\r\n")); err != nil || command == "QUIT" {
			return
		}
		if command == "STARTTLS" && strings.HasPrefix(answer, "220") {
			conn, m.Safe = tls.Server(raw, s.keys), true
			in = textproto.NewReader(bufio.NewReader(conn))
		}
		if command == "DATA" && strings.HasPrefix(answer, "354") {
			lines, err := in.ReadDotLines()
			if err != nil {
				return
			}
			m.Text = strings.Join(lines, "\n")
			command, argument = ".", ""
			continue
		}
		line, err := in.ReadLine()
		if err != nil {
			return
		}
		if !m.Safe {
			s.mu.Lock()
			s.heard = append(s.heard, line)
			s.mu.Unlock()
		}
		command, argument, _ = strings.Cut(line, " ")
		command = strings.ToUpper(command)
	}
}

// content is what a server says that has nothing to object to.
func (s *MailSink) content(m *Mail, command, argument string) string {
	switch command {
	case "connect":
		return "220 sink"
	case "EHLO":
		if m.Safe {
			return "250-sink\n250-8BITMIME\n250 AUTH PLAIN"
		}
		return "250-sink\n250 STARTTLS"
	case "STARTTLS":
		return "220 go on"
	case "AUTH":
		_, encoded, _ := strings.Cut(argument, " ")
		decoded, _ := base64.StdEncoding.DecodeString(encoded)
		if parts := strings.Split(string(decoded), "\x00"); len(parts) == 3 {
			m.User, m.Password = parts[1], parts[2]
		}
		return "235 welcome"
	case "MAIL":
		m.From, m.To = address(argument), nil
	case "RCPT":
		m.To = append(m.To, address(argument))
	case "DATA":
		return "354 go on"
	case ".":
		s.mu.Lock()
		m.At = time.Now()
		s.taken = append(s.taken, *m)
		s.mu.Unlock()
	case "QUIT":
		return "221 bye"
	}
	return "250 fine"
}

func address(argument string) string {
	_, rest, _ := strings.Cut(argument, "<")
	found, _, _ := strings.Cut(rest, ">")
	return found
}

// certificate makes one for this machine that signs itself.
func certificate() (*tls.Config, []byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	about := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sink"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, &about, &about, &key.PublicKey, key)
	if err != nil {
		return nil, nil, err
	}
	keys := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, MinVersion: tls.VersionTLS12}
	return keys, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
