package pgsource

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

func TestParseHistory(t *testing.T) {
	for text, want := range map[string]string{
		"": "[]",
		"1\t0/3000000\tno recovery target specified\n":                                "[{1 0/3000000}]",
		"# a comment\n\n1\t0/3000000\twhy # not\n12\t1A/B0\tat restore point \"x\"\n": "[{1 0/3000000} {12 1A/B0}]",
	} {
		got, err := parseHistory(text)
		if err != nil || fmt.Sprint(got) != want {
			t.Errorf("%q: %v, %v; want %s", text, got, err, want)
		}
	}
	for _, text := range []string{"1\n", "x\t0/1\twhy\n", "-1\t0/1\n", "1\tx\twhy\n", "1\t0/1\n99999999999\t0/2\n"} {
		if got, err := parseHistory(text); err == nil {
			t.Errorf("%q was read as %v", text, got)
		}
	}
}

// A server that has just been promoted is on its own timeline at once, though its
// control file says otherwise until the next checkpoint. What was found out about
// one server is not used on another.
func TestPromotedServer(t *testing.T) {
	t.Parallel()
	primary := testkit.NewCluster(t, testkit.PostgresOptions{})
	if err := testkit.LoadSchema(t.Context(), primary.DSN("postgres")); err != nil {
		t.Fatal(err)
	}
	standby := testkit.NewStandby(t, primary, "")
	proxy, err := testkit.NewProxy(primary.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	}()
	s := open(t, settings(t, strings.Replace(primary.DSN("postgres"), primary.Addr(), proxy.Addr(), 1)))
	before, err := s.Fit(t.Context())
	if err != nil || before.System == "" || before.Timeline != 1 {
		t.Fatalf("%+v, %v", before, err)
	}
	if history, err := s.History(t.Context()); err != nil || len(history) != 0 {
		t.Errorf("history %v, %v", history, err)
	}
	end := ask[int64](t, primary.DSN("postgres"), `SELECT pg_current_wal_insert_lsn() - '0/0'`)
	// An orderly stop sends everything to the standby.
	if err := primary.Stop(testkit.Fast); err != nil {
		t.Fatal(err)
	}
	_, _, err = open(t, settings(t, standby.DSN("postgres"))).Check(t.Context())
	says(t, err, true, "is a standby")
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.Redirect(standby.Addr())
	if snap, err := s.Snapshot(t.Context()); err == nil {
		snap.Close(context.WithoutCancel(t.Context()))
		t.Error("a snapshot was taken from a server that nobody has looked at")
	} else if !strings.Contains(err.Error(), "another server has taken over") {
		t.Errorf("snapshot: %v", err)
	}
	after, err := s.Fit(t.Context())
	if err != nil || after.System != before.System || after.Timeline != 2 {
		t.Errorf("%+v, %v", after, err)
	}
	history, err := s.History(t.Context())
	if err != nil || len(history) != 1 || history[0].Timeline != 1 || history[0].At < change.LSN(end) {
		t.Errorf("history %v, %v; want that timeline 1 was left after %s", history, err, change.LSN(end))
	}
	setUp(t, s)
	if end := ask[int64](t, standby.DSN("postgres"), `SELECT pg_current_wal_insert_lsn() - '0/0'`); !slices.ContainsFunc(history, func(s Switch) bool { return s.At < change.LSN(end) }) {
		t.Errorf("timeline 1 was left at %v, the log ends at %s", history, change.LSN(end))
	}
}
