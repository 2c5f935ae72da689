package web

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type program struct{ reasons []string }

func (p program) Reasons() []string { return p.reasons }
func (p program) Status() any       { return map[string]int{"open": 3} }

type measured struct{}

func (measured) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "questwatch_ready 1\n")
}

func TestAnswers(t *testing.T) {
	for name, test := range map[string]struct {
		program program
		path    string
		status  int
		says    string
	}{
		"alive":     {program{[]string{"standby"}}, "/livez", 200, "alive"},
		"ready":     {program{}, "/readyz", 200, "ready"},
		"not ready": {program{[]string{"standby since noon", "no baseline"}}, "/readyz", 503, "- standby since noon\n- no baseline"},
		"status":    {program{}, "/api/v1/status", 200, `"open": 3`},
		"metrics":   {program{}, "/metrics", 200, "questwatch_ready 1"},
		"elsewhere": {program{}, "/nowhere", 404, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			Handler(test.program, measured{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, test.path, nil))
			if w.Code != test.status || !strings.Contains(w.Body.String(), test.says) {
				t.Errorf("%d %q, want %d with %q", w.Code, w.Body, test.status, test.says)
			}
		})
	}
}

func TestServesUntilTheContextEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, l, program{}, measured{}) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get("http://" + l.Addr().String() + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_, err = io.Copy(io.Discard, response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the listener is still open")
	}
}
