package testkit

import "time"

const pollEvery = 10 * time.Millisecond

// Eventually polls cond until it returns nil, and fails the test with its last error when that takes too long.
func Eventually(tb TB, timeout time.Duration, cond func() error) {
	tb.Helper()
	if err := poll(timeout, cond); err != nil {
		tb.Fatalf("still not so after %v: %v", timeout, err)
	}
}

// poll returns nil as soon as cond does, else cond's last error. It tries at least once.
func poll(timeout time.Duration, cond func() error) error {
	deadline := time.Now().Add(timeout)
	for {
		err := cond()
		if err == nil || time.Now().After(deadline) {
			return err
		}
		time.Sleep(pollEvery)
	}
}
