package audit_test

import (
	"os"
	"regexp"
	"testing"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestRepairsUnderConstraints: the triggers of deploy/postgres refuse none of our repairs.
func TestRepairsUnderConstraints(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../deploy/postgres/constraints.sql")
	if err != nil {
		t.Fatal(err)
	}
	triggers := regexp.MustCompile(`(?ms)^-- section 2\.1:.*^-- end of 3$`).Find(text)
	for _, compat := range []bool{true, false} {
		dsn := testkit.Database(t, testkit.LoadAudit001)
		conn := connect(t, dsn)
		exec(t, conn, string(triggers))
		if n := one[int64](t, conn, "SELECT count(*) FROM pg_trigger WHERE tgname ~ '^questwatch_'"); n != 7 {
			t.Fatalf("%d triggers", n)
		}
		r := run(t, open(t, dsn), audit.Config{Compat: compat, Fix: true, IncludeUnknown: true})
		if r.Stats.IssuesFound != 5 || r.Stats.IssuesFixed != 5 || r.Err != nil {
			t.Errorf("compat %t: %+v, %v", compat, r.Stats, r.Err)
		}
	}
}
