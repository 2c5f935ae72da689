package testkit_test

import (
	"os"
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestMain(m *testing.M) {
	if os.Getenv(ownerEnv) != "" {
		testkit.Main(owner{})
	}
	testkit.Main(m)
}
