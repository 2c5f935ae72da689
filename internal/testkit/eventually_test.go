package testkit_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// recorder is a test that is expected to fail.
type recorder struct {
	testkit.TB
	failure string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatalf(format string, args ...any) { r.failure = fmt.Sprintf(format, args...) }

func TestEventually(t *testing.T) {
	calls := 0
	r := &recorder{TB: t}
	testkit.Eventually(r, time.Minute, func() error {
		if calls++; calls < 3 {
			return errors.New("not yet")
		}
		return nil
	})
	if calls != 3 || r.failure != "" {
		t.Errorf("%d calls, failure %q", calls, r.failure)
	}
	testkit.Eventually(r, time.Millisecond, func() error { return errors.New("never") })
	if want := "still not so after 1ms: never"; r.failure != want {
		t.Errorf("failure = %q, want %q", r.failure, want)
	}
}
