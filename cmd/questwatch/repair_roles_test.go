package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestRunWithTheReadersRole: with the first role of deploy/postgres/roles.sql alone an
// instance does everything but repairing, and says why not; with the second it does that too.
func TestRunWithTheReadersRole(t *testing.T) {
	cluster := testkit.NewCluster(t, testkit.PostgresOptions{}) // roles are the whole cluster's
	owner := cluster.DSN("postgres")
	roles, err := os.ReadFile(filepath.Join("..", "..", "deploy", "postgres", "roles.sql"))
	if err = errors.Join(err, testkit.LoadSchema(t.Context(), owner), testkit.LoadAudit001(t.Context(), owner)); err != nil {
		t.Fatal(err)
	}
	execute(t, owner, `ALTER TABLE quests_quest REPLICA IDENTITY FULL; ALTER TABLE applications_application REPLICA IDENTITY FULL;
		ALTER TABLE quests_questparticipant REPLICA IDENTITY FULL;
		CREATE PUBLICATION questwatch FOR TABLE quests_quest, applications_application, quests_questparticipant`)
	if got := command(t, "setup", "--dsn", owner); got.status != exitFine {
		t.Fatalf("%+v", got)
	}
	execute(t, owner, string(roles))
	reader, repairer := cluster.DSNAs("postgres", "questwatch_read", ""), cluster.DSNAs("postgres", "questwatch_repair", "")

	t.Run("reader", func(t *testing.T) {
		data := runBeside(t, reader)
		if got := verifying(t, "--data", data); got.status != exitFine {
			t.Errorf("verify: %+v", got)
		}
		if got := command(t, "audit", "--dsn", reader); got.status != exitFindings {
			t.Errorf("audit: %+v", got)
		}
		if got := command(t, "repair", "log", "--dsn", reader); got.status != exitFine {
			t.Errorf("log: %+v", got)
		}
		id := baselineFinding(t, data)
		if got := command(t, "repair", "show", id, "--data", data); got.status != exitFine || !strings.Contains(got.stdout, "INSERT INTO") {
			t.Errorf("show: %+v", got)
		}
		if got := command(t, "repair", "apply", id, "--data", data); got.status != exitFailure || !strings.Contains(got.stdout+got.stderr, "permission denied") {
			t.Errorf("apply: %+v", got)
		}
	})
	t.Run("both", func(t *testing.T) {
		t.Setenv("QUESTWATCH_REPAIR_DSN", repairer)
		data := runBeside(t, reader)
		if got := verifying(t, "--data", data); got.status != exitFine {
			t.Errorf("verify: %+v", got)
		}
		if got := command(t, "repair", "apply", baselineFinding(t, data), "--data", data); got.status != exitFine {
			t.Errorf("apply: %+v", got)
		}
		if got := command(t, "repair", "undo", "1"); got.status != exitFine {
			t.Errorf("undo: %+v", got)
		}
	})
}

// baselineFinding is the finding about quest 1, once it is there.
func baselineFinding(t *testing.T, data string) (id string) {
	t.Helper()
	testkit.Eventually(t, 30*time.Second, func() error {
		got := command(t, "repair", "list", "--data", data, "--rule", "missing_participant", "--output", "json")
		var list struct{ Findings []repair.Item }
		if err := json.Unmarshal([]byte(got.stdout), &list); err != nil {
			return fmt.Errorf("%w: %+v", err, got)
		}
		for _, f := range list.Findings {
			if f.QuestID == 1 {
				id = f.Finding.Finding
				return nil
			}
		}
		return fmt.Errorf("no finding about quest 1: %+v", got)
	})
	return id
}
