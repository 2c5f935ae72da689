package app

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/trend"
)

// noStore is a store in which nothing is kept.
type noStore struct{}

func (noStore) Load(context.Context) ([]byte, error) { return nil, nil }
func (noStore) Save(context.Context, []byte) error   { return nil }

// What a running instance kept, over a restart, is what the events say.
func TestTrendsOfARunningInstance(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	c := settings(t, dsn)
	r := start(t, c, dsn)
	r.ready(t)
	spoil := func(quest int) {
		t.Helper()
		exec1(t, dsn, fmt.Sprintf(`INSERT INTO applications_application (status, applied_at, applicant_id, quest_id)
			VALUES ('approved', now(), '22222222-2222-4222-8222-222222222222', %d)`, quest))
		r.found(t, "missing_participant", quest, false)
		exec1(t, dsn, fmt.Sprintf(`DELETE FROM applications_application WHERE quest_id = %d AND id > 11`, quest))
		r.found(t, "missing_participant", quest, true)
	}
	spoil(10)
	r.settle(t)
	r.stop(t)
	r = start(t, c, dsn)
	r.ready(t)
	kept, err := (trendsPort{r.Bus().Reports(), &r.reporting}).Load(t.Context())
	if err != nil || kept == nil {
		t.Fatalf("nothing is kept over a restart: %v", err)
	}
	spoil(9)
	r.settle(t)
	book, err := Trends(t.Context(), &c, testLogger(t))
	if err != nil {
		t.Fatal(err)
	}
	anew, err := trend.Read(t.Context(), countedPort{r.Bus()}, noStore{}, testLogger(t))
	if err != nil || !bytes.Equal(anew.Encode(), book.Encode()) {
		t.Errorf("counted anew is otherwise: %v", err)
	}
	report := book.Report(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), trend.ByHour)
	if len(report.Rules) == 0 || report.Rules[0].Total.Opened != 2 || report.Rules[0].Total.Resolved != 2 || report.Rules[0].Total.BaselineOpened != 3 ||
		report.Rules[0].Total.Open != 3 || report.Rules[0].Total.Detected.Count != 2 {
		t.Errorf("trends: %+v", report.Rules)
	}
}
