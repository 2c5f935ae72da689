package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/testkit"
)

// One transaction of very many parts, of which some are rolled back, deep and
// flat.
func TestManySubtransactions(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	r := start(t, settings(t, dsn), dsn)
	r.ready(t)
	r.settle(t)
	const apply = `INSERT INTO applications_application (status, applied_at, applicant_id, quest_id) VALUES ('pending', now(), '11111111-1111-4111-8111-111111111111', %s)`
	var deep strings.Builder
	deep.WriteString("BEGIN;")
	for i := range 500 {
		fmt.Fprintf(&deep, "SAVEPOINT s%d;"+apply+";UPDATE quests_quest SET title = 'deep %d' WHERE id = 2;", i, "1", i)
	}
	deep.WriteString("ROLLBACK TO s250; RELEASE s100; COMMIT")
	exec1(
		t, dsn,
		`DO $$ BEGIN FOR i IN 1..4000 LOOP
			BEGIN `+fmt.Sprintf(apply, "1 + i % 10")+`; UPDATE quests_quest SET title = 'part ' || i WHERE id = 1 + i % 10;
				IF i % 3 = 0 THEN RAISE EXCEPTION 'undone'; END IF;
			EXCEPTION WHEN raise_exception THEN NULL; END;
		END LOOP; END $$`,
		deep.String(),
	)
	s := r.verify(t)
	if got, want := len(s.rows["application"]), 11+2667+250; got != want {
		t.Errorf("%d applications, want %d", got, want)
	}
}

// A row that no message can hold is streamed without its large columns, which are
// named, and judged by the others.
func TestRowAboveThePayload(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		size     int
		external bool
	}{
		"embedded":                        {9 << 20, false},
		"external, 1 MiB as servers have": {1 << 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dsn := testkit.Database(t, testkit.LoadAudit001)
			large := fmt.Sprintf(`repeat('x', %d)`, c.size)
			exec1(t, dsn, `ALTER TABLE quests_quest ALTER title TYPE text, ADD notes text`, `UPDATE quests_quest SET title = `+large+` WHERE id = 2`)
			config1 := settings(t, dsn)
			config1.Postgres.Columns = config.AllColumns
			if c.external {
				config1.NATS.URL = testkit.NewNATS(t, testkit.NATSOptions{}).URL()
			}
			r := start(t, config1, dsn)
			r.ready(t)
			r.settle(t)
			exec1(t, dsn,
				`UPDATE quests_quest SET title = `+large+`, notes = 'n', status = 'open' WHERE id = 4`,
				`UPDATE quests_quest SET title = 'short', notes = `+large+`, description = `+large+` WHERE id = 3`,
				`UPDATE quests_quest SET is_deleted = is_deleted WHERE id = 2`,
				`DELETE FROM quests_quest WHERE id = 999`, approvalFails)
			r.finds(t)
			r.settle(t)
			r.verifyFindings(t)
			got := r.omitted(t)
			want := []string{"r 2 [title]", "u 4 [title]", "u 3 [notes description]", "u 2 [title]"}
			if fmt.Sprint(got) != fmt.Sprint(want) && fmt.Sprint(got) != strings.Replace(fmt.Sprint(want), "notes description", "description notes", 1) {
				t.Errorf("omitted %q, want %q", got, want)
			}
		})
	}
}

// omitted lists the changes that lack something, and checks that they have the
// rest.
func (r *running) omitted(t *testing.T) (list []string) {
	t.Helper()
	err := r.Bus().ConsumeCDC(t.Context(), 0, func(m bus.Message) error {
		if bytes.HasPrefix(m.Data, []byte(`{"control":`)) {
			return nil
		}
		var step stepRecord
		decode(t, m.Data, &step)
		for _, c := range step.Changes {
			if len(c.Omitted) == 0 {
				continue
			}
			columns := map[string]json.RawMessage{}
			decode(t, c.After, &columns)
			for _, name := range c.Omitted {
				if value, there := columns[name]; there {
					t.Errorf("%s is omitted and is %.40s", name, value)
				}
			}
			if len(columns["status"]) == 0 || len(columns["updated_at"]) == 0 {
				t.Errorf("what is small is missing: %.400s", c.After)
			}
			list = append(list, fmt.Sprintf("%s %d %v", c.Op, rowID(t, c.After), c.Omitted))
		}
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return list
}
