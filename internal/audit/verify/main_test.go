package verify

import (
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

// TestMain fixes the seed of the property test, so that a run can be repeated;
// -rapid.seed and -rapid.checks on the command line go before it.
func TestMain(m *testing.M) {
	for name, value := range map[string]string{"rapid.seed": "20260701", "rapid.checks": "100", "rapid.nofailfile": "true"} {
		if err := flag.Set(name, value); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
	}
	testkit.Main(m)
}
