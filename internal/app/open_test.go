package app

import (
	"log/slog"
	"net/http/httptest"
	"testing"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit"
)

// TestOpenBeforeItIsWatched: what is open is known from the bucket as long as the checker
// has not caught up.
func TestOpenBeforeItIsWatched(t *testing.T) {
	t.Parallel()
	h := listen(t, httptest.NewServer)
	dsn := testkit.Database(t, testkit.LoadAudit001, evidenceQuests)
	c := settings(t, dsn)
	c.Alert.Webhook.URL = h.url
	r := start(t, c, dsn)
	r.ready(t)
	failIn(t, dsn, 105)
	h.tells(t, 105)
	watched, err := openPort{r.App}.Findings(t.Context())
	if err != nil || len(watched) != 1 || watched[0].Quest != 105 {
		t.Errorf("open: %+v, %v", watched, err)
	}
	r.stop(t)
	a, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	})
	kept, err := openPort{a}.Findings(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range kept {
		f, ok := e.Data.(event.Finding)
		if !ok {
			t.Errorf("kept %+v", e)
		}
		if f.QuestID == 105 && e.ID == watched[0].ID && e.Time == watched[0].Time {
			found++
		}
	}
	if found != 1 {
		t.Errorf("kept: %+v", kept)
	}
}
