package alert

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestAnswersThatRepeat: what is no HTTP, or not quite, is in no error, for it may repeat
// what it was asked with, and so the address.
func TestAnswersThatRepeat(t *testing.T) {
	for name, answer := range map[string]func(line string) string{
		"an echo":  func(line string) string { return line },
		"a status": func(line string) string { return "HTTP/1.1 " + line },
		"a header": func(line string) string { return "HTTP/1.1 200 OK\r\n" + line + "\r\n\r\n" },
		"a place": func(line string) string {
			return "HTTP/1.1 302 Found\r\nLocation: %zz" + strings.Fields(line)[1] + "\r\n\r\n"
		},
		"a length": func(line string) string {
			return "HTTP/1.1 200 OK\r\nContent-Length: " + strings.Fields(line)[1] + "\r\n\r\n"
		},
		"an answer": func(string) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			done := make(chan struct{})
			t.Cleanup(func() { _ = l.Close(); <-done })
			go func() {
				defer close(done)
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					line, _ := bufio.NewReader(conn).ReadString('\n')
					_, _ = conn.Write([]byte(answer(strings.TrimSpace(line)) + "\r\n"))
					_ = conn.Close()
				}
			}()
			err = send(t, NewSlack("http://"+l.Addr().String()+secretPath), some(t, 1))
			if err == nil || strings.Contains(err.Error(), "geheim") {
				t.Errorf("the error is %v", err)
			}
		})
	}
}

// TestProxySettings: one that is wrong is in no error, for it may have a password.
func TestProxySettings(t *testing.T) {
	c := client()
	c.Transport = &http.Transport{Proxy: func(*http.Request) (*url.URL, error) {
		return nil, fmt.Errorf("invalid proxy address %q", "http://user:geheim@proxy:x")
	}}
	_, err := post(t.Context(), c, "http://127.0.0.1:1/", http.Header{}, nil)
	if err == nil || strings.Contains(err.Error(), "geheim") || !strings.Contains(err.Error(), "proxy") {
		t.Errorf("the error is %v", err)
	}
	// What helps is said.
	_, err = post(t.Context(), client(), "http://127.0.0.1:1/geheim", http.Header{}, nil)
	if err == nil || !strings.Contains(err.Error(), "connection refused") {
		t.Errorf("the error is %v", err)
	}
}

func TestOwnEnvironment(t *testing.T) {
	got := ownEnvironment([]string{"PATH=/bin", "PGPASSWORD=a", "PGSSLPASSWORD=b", "NATS_URL=c", "QUESTWATCH_X=d", "PGHOST=h"})
	if !slices.Equal(got, []string{"PATH=/bin", "PGHOST=h"}) {
		t.Errorf("programs get %q", got)
	}
}
