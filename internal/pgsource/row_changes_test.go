package pgsource

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

// summary is what a change does, in short.
func summary(t *testing.T, sig *change.Signal) string {
	t.Helper()
	if sig.Kind == change.Noted {
		return strings.TrimSpace(fmt.Sprint(sig.Control.Kind, " ", sig.Control.Prefix, " ", sig.Control.Entities))
	}
	id := func(row change.Row) string {
		if row == nil {
			return "-"
		}
		var k struct {
			ID    int64 `json:"id"`
			Quest int64 `json:"quest_id"`
		}
		if err := json.Unmarshal(row, &k); err != nil {
			t.Fatalf("%s: %v", row, err)
		}
		return fmt.Sprintf("%d/%d", k.ID, k.Quest)
	}
	c := &sig.Change
	text := fmt.Sprintf("%s %s of %d: %s to %s", c.Op, c.Entity, sig.QuestID, id(c.Before), id(c.After))
	if c.Moved {
		text += " moved"
	}
	return text
}

func TestRowsThatMove(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	s := open(t, settings(t, dsn))
	from := setUp(t, s)
	run(
		t, dsn,
		`UPDATE applications_application SET quest_id = 2 WHERE id = 1`,
		`UPDATE applications_application SET id = 1001 WHERE id = 1`,
		`UPDATE applications_application SET id = 1, quest_id = 1 WHERE id = 1001`,
		`UPDATE applications_application SET status = 'rejected' WHERE id = 1`,
		`UPDATE quests_questparticipant SET quest_id = 3 WHERE id = 1`,
		`BEGIN; SET CONSTRAINTS ALL DEFERRED; UPDATE quests_quest SET id = 500 WHERE id = 1; UPDATE applications_application SET quest_id = 500
			WHERE quest_id = 1; COMMIT`,
	)
	want := []string{
		"d application of 1: 1/1 to - moved", "c application of 2: - to 1/2 moved",
		"d application of 2: 1/2 to - moved", "c application of 2: - to 1001/2 moved",
		"d application of 2: 1001/2 to - moved", "c application of 1: - to 1/1 moved",
		"u application of 1: 1/1 to 1/1",
		"d participant of 4: 1/4 to - moved", "c participant of 3: - to 1/3 moved",
		"d quest of 1: 1/0 to - moved", "c quest of 500: - to 500/0 moved",
		"d application of 1: 1/1 to - moved", "c application of 500: - to 1/500 moved",
	}
	var got []string
	for _, tx := range transactions(t, s, from, 6) {
		for i := range tx {
			got = append(got, summary(t, &tx[i]))
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// A value that is stored out of line and was not written is not sent: it is named,
// and not null.
func TestUnchangedOutOfLineValue(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	run(t, dsn, `ALTER TABLE quests_quest ALTER COLUMN title TYPE text, ALTER COLUMN title SET STORAGE EXTERNAL`,
		`UPDATE quests_quest SET title = repeat('long', 5000) WHERE id = 1`)
	s := open(t, settings(t, dsn))
	from := setUp(t, s)
	run(t, dsn, `UPDATE quests_quest SET status = 'completed' WHERE id = 1`,
		`UPDATE quests_quest SET title = 'short' WHERE id = 1`)
	txs := transactions(t, s, from, 2)
	first, second := &txs[0][0].Change, &txs[1][0].Change
	if !slices.Equal(first.Unchanged, []string{"title"}) || strings.Contains(string(first.After), "title") {
		t.Errorf("unchanged %q, after %.200s", first.Unchanged, first.After)
	}
	if !strings.Contains(string(first.Before), `"title":"longlong`) {
		t.Errorf("before %.200s: the old row has it", first.Before)
	}
	if len(second.Unchanged) != 0 || !strings.Contains(string(second.After), `"title":"short"`) {
		t.Errorf("unchanged %q, after %.200s", second.Unchanged, second.After)
	}
}

func TestTransactionIDsWrapAround(t *testing.T) {
	for _, c := range []struct{ next, want uint64 }{
		{1000, 999},
		{1000, 1000},
		{1<<32 + 5, 1<<32 - 3}, // began before the wrap
		{1<<32 - 3, 1<<32 + 5}, // the reading is older than the transaction
		{5<<32 + 1, 5<<32 - 1},
		{5<<32 - 1, 5<<32 + 1<<30},
		{7<<32 + 1<<31, 7<<32 + 3},
		{7<<32 + 1<<31 + 2, 7<<32 + 3},
	} {
		var st Stream
		st.NextXID(c.next)
		if got := st.xid64(uint32(c.want)); got != c.want {
			t.Errorf("next %d, id %d: got %d, want %d", c.next, uint32(c.want), got, c.want)
		}
	}
}
