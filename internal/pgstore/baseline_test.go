package pgstore

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

func peerQuestColumns() map[change.Entity][]string {
	schema := change.PeerQuest()
	columns := map[change.Entity][]string{}
	for _, e := range change.Entities {
		columns[e] = schema.Columns(e)
	}
	return columns
}

// kinds is a column of every kind that is rendered in its own way, with the
// values that are easily got wrong.
const kinds = `CREATE DOMAIN score AS numeric; CREATE DOMAIN flag AS boolean; CREATE TYPE mood AS ENUM ('so so', 'a"b'); CREATE TYPE pair AS (a int, b text);
	ALTER TABLE quests_quest ADD n numeric, ADD f float8, ADD s score, ADD fl flag, ADD d date, ADD ts timestamp, ADD tz timestamptz, ADD tm time,
	ADD i interval, ADD j jsonb, ADD js json, ADD a int[], ADD ta text[], ADD m mood, ADD p pair, ADD b bytea, ADD c char(4), ADD o oid, ADD u uuid, ADD ip inet, ADD r int4range;
	UPDATE quests_quest SET n='NaN', f='-Infinity', s=1.50, fl=true, d='infinity', ts='2025-01-02 03:04:05.678', tz='-infinity', tm='01:02:03.4', i='1 day 02:00',
		j='{"a": [1, "x"]}', js='[1,  2]', a='{1,NULL}', ta='{"a b","\""}', m='a"b', p=(1,'x'), b='\xdead', c='ab', o=7, u=gen_random_uuid(), ip='10.0.0.1/8', r='[1,5)' WHERE id = 1;
	UPDATE quests_quest SET n=12345678901234567890.10, f=1e300, s='NaN', fl=false, d='0044-03-15 BC', ts='0044-03-15 01:02:03 BC', tz='0044-03-15 01:02:03.5+00 BC',
		title=E'\\ " \t \n \x01 \x7f é \u2028 €' WHERE id = 2;
	UPDATE quests_quest SET f='NaN', tz='2025-01-02 03:04:05.123456+05:30', ts='infinity', d='99999-01-01' WHERE id = 3`

// TestBaselineIsToJSON compares every value with what the server's own to_json
// makes of it.
func TestBaselineIsToJSON(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	conn := connect(t, dsn)
	exec(t, conn, kinds)
	exec(t, conn, "SET timezone = 'UTC'")
	columns := peerQuestColumns()
	columns[change.Quest] = append(columns[change.Quest], strings.Split("n f s fl d ts tz tm i j js a ta m p b c o u ip r", " ")...)
	exec(t, conn, "ALTER DATABASE "+conn.Config().Database+" SET extra_float_digits = 0")
	exec(t, conn, "ALTER DATABASE "+conn.Config().Database+" SET bytea_output = 'escape'")
	s := openStore(t, dsn, Default())
	rows := 0
	for e, names := range columns { // columns stand in the table's order
		sql := `SELECT array_agg(attname::text ORDER BY attnum) FROM pg_attribute WHERE attrelid = $1::text::regclass AND attname = ANY($2::text[])`
		var sorted []string
		if err := conn.QueryRow(t.Context(), sql, s.cfg.Schema.Table(e), names).Scan(&sorted); err != nil {
			t.Fatal(err)
		}
		columns[e] = sorted
	}
	err := s.Baseline(t.Context(), "", columns, false, func(quest int64, changes []change.Change) error {
		for _, c := range changes {
			rows++
			if c.Op != change.Read || c.Table != s.cfg.Schema.Table(c.Entity) || c.Before != nil {
				t.Errorf("change is %+v", c)
			}
			i := 0
			if err := c.After.Each(func(column, value []byte) error {
				if want := columns[c.Entity][i]; string(column) != want {
					t.Errorf("%s column %d is %s, want %s", c.Entity, i, column, want)
				}
				i++
				id, _ := idOf(c)
				var want []byte
				sql := fmt.Sprintf("SELECT coalesce(to_json(%s)::text, 'null') FROM %s WHERE id = %d", quoteName(string(column)), quoteTable(c.Table), id)
				if err := conn.QueryRow(t.Context(), sql).Scan(&want); err != nil {
					return err
				}
				if !bytes.Equal(value, want) {
					t.Errorf("%s %d: %s is %s, to_json gives %s", c.Entity, id, column, value, want)
				}
				return nil
			}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || rows != 11+11+8 {
		t.Fatalf("%d rows, want 30: %v", rows, err)
	}
}

func idOf(c change.Change) (id int64, err error) {
	err = c.After.Each(func(column, value []byte) error {
		if string(column) == "id" {
			id, err = change.Int(value)
		}
		return err
	})
	return id, err
}

// TestBaselineOrder: quest by quest, orphans too, in pieces, through an exported
// snapshot that later writes do not touch.
func TestBaselineOrder(t *testing.T) {
	t.Parallel()
	dsn := testkit.Database(t, testkit.LoadAudit001)
	conn := connect(t, dsn)
	exec(t, conn, `SET session_replication_role = replica;
		INSERT INTO applications_application (quest_id,applicant_id,status,applied_at)
			SELECT CASE WHEN n <= 2500 THEN 7 ELSE 999 END, '11111111-1111-4111-8111-111111111111','pending','2025-01-01Z' FROM generate_series(1,2503) n`)
	exec(t, conn, "BEGIN ISOLATION LEVEL REPEATABLE READ")
	var snapshot string
	if err := conn.QueryRow(t.Context(), "SELECT pg_export_snapshot()").Scan(&snapshot); err != nil {
		t.Fatal(err)
	}
	exec(t, connect(t, dsn), "DELETE FROM quests_questparticipant; UPDATE quests_quest SET title = 'later'")
	s := openStore(t, dsn, Default())
	type at struct {
		quest  int64
		entity change.Entity
		id     int64
	}
	var last at
	counts := map[change.Entity]int{}
	calls := map[int64]int{}
	err := s.Baseline(t.Context(), snapshot, peerQuestColumns(), false, func(quest int64, rows []change.Change) error {
		calls[quest]++
		if len(rows) > pieceRows {
			t.Errorf("%d rows at once", len(rows))
		}
		for _, c := range rows {
			id, err := idOf(c)
			if err != nil {
				return err
			}
			now := at{quest, c.Entity, id}
			if quest < last.quest || quest == last.quest && (c.Entity < last.entity || c.Entity == last.entity && id <= last.id) {
				t.Fatalf("%v comes after %v", now, last)
			}
			last = now
			counts[c.Entity]++
			if bytes.Contains(c.After, []byte("later")) {
				t.Fatalf("the snapshot shows a later write: %s", c.After)
			}
		}
		return nil
	})
	want := map[change.Entity]int{change.Quest: 11, change.Application: 2514, change.Participant: 8}
	if err != nil || !reflect.DeepEqual(counts, want) {
		t.Fatalf("rows are %v, want %v: %v", counts, want, err)
	}
	if calls[7] != 3 || calls[999] != 1 || calls[1] != 1 {
		t.Errorf("calls are %v", calls)
	}
	err = s.Baseline(t.Context(), "00000003-0000001B-9", peerQuestColumns(), false, nil)
	if err == nil {
		t.Error("an unknown snapshot is no error")
	}
}

// BenchmarkBaseline reads a million rows.
func BenchmarkBaseline(b *testing.B) {
	dsn := testkit.Database(b)
	const quests = 200_000
	exec(b, connect(b, dsn), fmt.Sprintf(`SET session_replication_role = replica;
		INSERT INTO quests_quest (id,title,description,difficulty,status,xp_reward,gold_reward,commission_fee,created_at,updated_at,requirements,
			resources,slug,is_deleted,creator_id,category_id) SELECT n,'Quest '||n,repeat('text ',100),'initiate','open',1,0,0,now(),
			now(),'','','q'||n,false,gen_random_uuid(),1 FROM generate_series(1,%[1]d) n;
		INSERT INTO applications_application (quest_id,applicant_id,status,applied_at,reviewed_at) SELECT n/3+1,gen_random_uuid(),'approved',now(),now() FROM generate_series(0,%[1]d*3-1) n;
		INSERT INTO quests_questparticipant (quest_id,user_id,status,joined_at,progress_notes) SELECT n,gen_random_uuid(),'joined',now(),'' FROM generate_series(1,%[1]d) n;
		ANALYZE`, quests))
	s := openStore(b, dsn, Default())
	rows, size := 0, 0
	for b.Loop() {
		err := s.Baseline(b.Context(), "", peerQuestColumns(), false, func(_ int64, changes []change.Change) error {
			rows += len(changes)
			for i := range changes {
				size += len(changes[i].After)
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(rows)/b.Elapsed().Seconds(), "rows/s")
	b.ReportMetric(float64(size)/b.Elapsed().Seconds()/(1<<20), "MB/s")
}
