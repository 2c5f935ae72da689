package embedded

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
)

// TestLevels: only what the operator has to act on is an error.
func TestLevels(t *testing.T) {
	var logs bytes.Buffer
	l := &logger{log: slog.New(slog.NewTextHandler(&logs, &slog.HandlerOptions{Level: slog.LevelDebug}))}
	for level, say := range map[string]func(string, ...any){
		"DEBUG": l.Noticef, "INFO": l.Warnf, "WARN": l.Errorf, "ERROR": l.Fatalf,
	} {
		logs.Reset()
		say("Filestore [%s] stream state outdated, will rebuild", "CDC")
		if got := logs.String(); !strings.Contains(got, "level="+level) || !strings.Contains(got, "Filestore [CDC]") {
			t.Errorf("want %s: %s", level, got)
		}
	}
	logs.Reset()
	l.Warnf(noPassword)
	if logs.Len() != 0 {
		t.Errorf("logged %s", &logs)
	}
	if l.fatalError() == nil {
		t.Error("the fatal error is forgotten")
	}
}
