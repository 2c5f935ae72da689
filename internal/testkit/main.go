package testkit

import (
	"fmt"
	"os"
	"sync/atomic"

	"go.uber.org/goleak"
)

// underMain says that Main or ServeChildren was called: only then is there somebody who turns a copy of this program into a nats-server.
var underMain atomic.Bool

// ServeChildren comes first in the main of a program, other than a test, that uses StartNATS: in a process that
// StartNATS began it is a nats-server and does not return.
func ServeChildren() {
	if conf := os.Getenv(natsChildEnv); conf != "" {
		os.Exit(serveNATS(conf))
	}
	underMain.Store(true)
}

// Main is the whole TestMain of a package that uses testkit:
//
//	func TestMain(m *testing.M) { testkit.Main(m) }
//
// It runs the tests, stops the shared Postgres, fails the run when goroutines are left over, and exits. In
// a process that StartNATS began it is a nats-server instead.
func Main(m interface{ Run() int }, options ...goleak.Option) {
	ServeChildren()
	code := m.Run()
	if err := stopShared(); err != nil {
		fmt.Fprintln(os.Stderr, "stop shared Postgres:", err)
		code = max(code, 1)
	}
	// After a failed test, what it left running says nothing new.
	if code == 0 {
		if err := goleak.Find(options...); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines left over:", err)
			code = 1
		}
	}
	os.Exit(code)
}
