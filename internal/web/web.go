// Package web serves what monitoring asks for over HTTP: /livez, /readyz with
// reasons, /metrics, and /api/v1/status.
//
// Everything served is read at the moment of the request, but for what the status says of
// other servers, which may be a moment old. Nothing can be changed from here.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"
)

// Program is what is asked about.
type Program interface {
	// Reasons lists why the program is not ready; none when it is.
	Reasons() []string
	// Status is what the program is doing, in a form that encodes to JSON.
	Status() any
}

const (
	headerTimeout   = 5 * time.Second
	shutdownTimeout = 2 * time.Second
)

// Serve answers until ctx ends, /metrics by the handler given; then it closes the listener.
func Serve(ctx context.Context, l net.Listener, p Program, metrics http.Handler) error {
	server := &http.Server{Handler: Handler(p, metrics), ReadHeaderTimeout: headerTimeout}
	done := make(chan error, 1)
	go func() {
		<-ctx.Done()
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
		defer cancel()
		done <- server.Shutdown(ctx)
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP: %w", err)
	}
	if err := <-done; err != nil {
		return server.Close()
	}
	return ctx.Err()
}

// Handler answers the requests.
func Handler(p Program, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) {
		text(w, http.StatusOK, "alive")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if reasons := p.Reasons(); len(reasons) > 0 {
			text(w, http.StatusServiceUnavailable, "not ready:\n- "+strings.Join(reasons, "\n- "))
			return
		}
		text(w, http.StatusOK, "ready")
	})
	mux.HandleFunc("GET /api/v1/status", func(w http.ResponseWriter, _ *http.Request) {
		data, err := json.MarshalIndent(p.Status(), "", "  ")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(append(data, '\n'))
	})
	mux.Handle("GET /metrics", metrics)
	return mux
}

func text(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintln(w, body)
}
