package audit_test

import (
	"bytes"
	_ "embed"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/audit"
	"github.com/peerquest/questwatch/internal/testkit"
)

var update = flag.Bool("update", false, "write the golden files anew")

//go:embed testdata/golden/rules.sql
var rulesSQL string

// TestGoldenReports holds the reports' exact bytes. Those with --compat django
// were the same before there were more rules than the original's, and stay.
func TestGoldenReports(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		cfg  audit.Config
	}{
		{"compat", audit.Config{Compat: true}},
		{"compat_user", audit.Config{Compat: true, User: "student2"}},
		{"compat_dry_run", audit.Config{Compat: true, Fix: true, DryRun: true}},
		{"compat_fix", audit.Config{Compat: true, Fix: true}},
		{"native", audit.Config{}},
		{"native_user", audit.Config{User: "admin"}},
		{"native_fix", audit.Config{Fix: true, IncludeUnknown: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001, testkit.DropUniqueParticipant)
			exec(t, connect(t, dsn), rulesSQL)
			result, err := audit.Run(t.Context(), open(t, dsn), c.cfg, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer result.Close()
			at := time.Date(2026, 7, 2, 12, 0, 0, 0, time.UTC)
			golden(t, c.name+".txt", result, audit.Text, audit.View{At: at, Detailed: true})
			golden(t, c.name+".html", result, audit.HTML, audit.View{At: at, Detailed: true})
			golden(t, c.name+".json", result, audit.JSON, audit.View{At: at})
			if c.cfg.Fix || c.cfg.User != "" {
				return
			}
			golden(t, c.name+".brief.txt", result, audit.Text, audit.View{At: at})
			golden(t, c.name+".brief.html", result, audit.HTML, audit.View{At: at})
		})
	}
}

func golden(t *testing.T, name string, result *audit.Result, f audit.Format, v audit.View) {
	t.Helper()
	var have bytes.Buffer
	if err := result.Write(&have, f, v); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.WriteFile(file, have.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(string(want), have.String()); diff != "" {
		t.Errorf("%s (-want +have):\n%s", name, diff)
	}
}
