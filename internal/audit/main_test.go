package audit_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }
