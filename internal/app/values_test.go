package app

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/testkit"
)

// typedQuests gives the quest table a column of each type, and its first quests
// one value after the other.
func typedQuests(t *testing.T, dsn string) (rows int) {
	t.Helper()
	conn, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	statements := []string{testkit.ValueTypes}
	for i, c := range testkit.ValueColumns {
		rows = max(rows, len(c.Values))
		statements = append(statements, fmt.Sprintf("ALTER TABLE quests_quest ADD COLUMN c%d %s", i, c.Type))
	}
	for row := range rows {
		sets := make([]string, len(testkit.ValueColumns))
		for i, c := range testkit.ValueColumns {
			sets[i] = fmt.Sprintf("c%d = CAST(%s AS %s)", i, c.Values[row%len(c.Values)], c.Type)
		}
		statements = append(statements, fmt.Sprintf("UPDATE quests_quest SET %s WHERE id = %d", strings.Join(sets, ", "), row+1))
	}
	statements = append(statements, "ALTER TABLE quests_quest ADD twice int GENERATED ALWAYS AS (id * 2) STORED",
		"UPDATE quests_quest SET c10 = NULL WHERE id = 1")
	for _, setting := range testkit.ValueSettings {
		statements = append(statements, "ALTER DATABASE "+conn.Database+" SET "+setting)
	}
	exec1(t, dsn, statements...)
	return rows
}

// With all columns streamed, a baseline's rows and the log's rows are the same
// bytes, and those of the server's to_json.
func TestAllColumnsFromBaselineAndLog(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	rows := typedQuests(t, dsn)
	c := settings(t, dsn)
	c.Postgres.Columns = config.AllColumns
	r := start(t, c, dsn)
	r.ready(t)
	exec1(t, dsn, fmt.Sprintf(`UPDATE quests_quest SET is_deleted = is_deleted WHERE id <= %d`, rows),
		`UPDATE applications_application SET status = status`, `UPDATE quests_questparticipant SET status = status`)
	r.ready(t)
	r.settle(t)
	r.verifyFindings(t) // columns that nobody knows do not disturb the checker
	compared := compareRows(t, r.Bus(), dsn, rows)
	if compared[0] != rows+11+8 {
		t.Errorf("%d rows were in baseline and log", compared[0])
	}
	if want := len(testkit.ValueColumns) * rows; compared[1] != want {
		t.Errorf("%d values were compared with to_json, want %d", compared[1], want)
	}
}

func serverVersion(t *testing.T, dsn string) (version int) {
	t.Helper()
	query(t, dsn, "SELECT current_setting('server_version_num')::int", &version)
	return version
}

// compareRows compares each update's rows with the baseline's, and the values of
// typed quests with to_json.
func compareRows(t *testing.T, b *bus.Conn, dsn string, typed int) (compared [2]int) {
	t.Helper()
	baseline := map[string]json.RawMessage{}
	err := b.ConsumeCDC(t.Context(), 0, func(m bus.Message) error {
		if bytes.HasPrefix(m.Data, []byte(`{"control":`)) {
			return nil
		}
		var step stepRecord
		decode(t, m.Data, &step)
		for _, c := range step.Changes {
			key := fmt.Sprint(c.Entity, rowID(t, c.After))
			if c.Op == "r" {
				baseline[key] = c.After
				continue
			}
			compared[0]++
			if !bytes.Equal(c.Before, baseline[key]) || len(c.Unchanged) == 0 && !bytes.Equal(c.After, baseline[key]) {
				t.Errorf("%s:\nbaseline %.2000s\nbefore   %.2000s\nafter    %.2000s", key, baseline[key], c.Before, c.After)
			}
			if id := rowID(t, c.After); c.Entity == "quest" && id <= int64(typed) {
				compared[1] += compareValues(t, dsn, id, c.Before)
			}
		}
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		t.Fatal(err)
	}
	return compared
}

func compareValues(t *testing.T, dsn string, id int64, row json.RawMessage) (compared int) {
	t.Helper()
	values := map[string]json.RawMessage{}
	decode(t, row, &values)
	list := make([]string, len(testkit.ValueColumns))
	for i, c := range testkit.ValueColumns {
		list[i] = fmt.Sprintf("c%d", i)
		if c.Like != "" {
			list[i] = fmt.Sprintf(c.Like, list[i])
		}
		list[i] = "coalesce(to_json(" + list[i] + ")::text, 'null')"
	}
	var want []string
	const usual = "&timezone=UTC&datestyle=ISO&extra_float_digits=1&bytea_output=hex&intervalstyle=postgres"
	query(t, dsn+usual, fmt.Sprintf(`SELECT ARRAY[%s] FROM quests_quest WHERE id = %d`, strings.Join(list, ", "), id), &want)
	for i, c := range testkit.ValueColumns {
		compared++
		if got := values[fmt.Sprintf("c%d", i)]; string(got) != want[i] {
			t.Errorf("quest %d, a %s: got %.300s, want %.300s", id, c.Type, got, want[i])
		}
	}
	// Generated columns are in the log from Postgres 18 on.
	wantTwice := ""
	if serverVersion(t, dsn) >= 180000 {
		wantTwice = strconv.FormatInt(2*id, 10)
	}
	if got := string(values["twice"]); got != wantTwice {
		t.Errorf("quest %d, a generated column: got %q, want %q", id, got, wantTwice)
	}
	return compared
}
