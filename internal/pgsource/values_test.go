package pgsource

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

// typed are columns of many types, and values for them.
var typed = []struct {
	sqlType string
	values  []string
}{
	{"smallint", []string{"0", "-32768", "32767"}},
	{"integer", []string{"1", "-2147483648"}},
	{"bigint", []string{"9223372036854775807", "'-9223372036854775808'"}},
	{"oid", []string{"4294967295"}},
	{"real", []string{"0.1", "'-0'", "1e-30", "'NaN'", "'-Infinity'", "3.4028235e38", "16777216"}},
	{"double precision", []string{"0.1", "1e300", "'Infinity'", "'NaN'", "5e-324", "1.0", "123456789012345678"}},
	{"numeric", []string{
		"0", "'NaN'", "1.10", "-0.00000000000000000001", "'Infinity'",
		"123456789012345678901234567890123456789012345678901234567890.123456789",
	}},
	{"numeric(12,3)", []string{"1.5", "-123456789.125"}},
	{"money", []string{"12.34"}},
	{"boolean", []string{"true", "false"}},
	{"text", []string{
		`''`, `'plain'`, `'quote " slash \ /'`, `E'tab\t line\n return\r bell\x07 del\x7f esc\x1b back\x08 feed\x0c'`,
		`'ünïcode 日本 🎉'`, `U&'\2028\2029\FFFD\200B'`, `'null'`, `'<script>&amp;'''`, `repeat('x', 5000)`,
	}},
	{"varchar(40)", []string{`'a'`}},
	{"character(5)", []string{`'ab'`}},
	{`"char"`, []string{`'a'`}},
	{"name", []string{`'a name'`}},
	{"timestamptz", []string{
		"'2025-07-01 13:22:32.5+02'", "'infinity'", "'-infinity'", "'0044-03-15 12:00:00.000001+00 BC'", "'12345-06-07 00:00+00'", "'epoch'",
	}},
	{"timestamp", []string{"'2025-07-01 13:22:32.123456'", "'infinity'", "'0001-01-01 00:00 BC'", "'2025-07-01'", "'294276-12-31 23:59:59'"}},
	{"date", []string{"'2025-07-01'", "'infinity'", "'-infinity'", "'0044-03-15 BC'", "'12345-01-01'"}},
	{"time", []string{"'13:22:32.5'", "'24:00'"}},
	{"timetz", []string{"'13:22:32.5+02:30'"}},
	{"interval", []string{"'1 year 2 months -3 days 04:05:06.7'", "'-1 s'"}},
	{"uuid", []string{"'11111111-1111-4111-8111-11111111111A'"}},
	{"json", []string{`'{"b" : [1, 2.50, null],   "a":"\u00e9"}'`, `'null'`, `'"text"'`, `'[]'`, `E'{\n "a":\t1}'`}},
	{"jsonb", []string{`'{"b" : [1, 2.50, null], "a":"\u00e9"}'`, `'null'`, `'1e5'`}},
	{"bytea", []string{`'\x00ff5c'`, `''`}},
	{"mood", []string{`'so "so"'`}},
	{"positive", []string{"7"}},
	{"wish", []string{"true"}},
	{"stamp", []string{"'2025-07-01 13:22:32+02'"}},
	{"inet", []string{"'10.0.0.1/8'"}},
	{"xml", []string{"'<a b=\"c\"/>'"}},
	{"bit(4)", []string{"B'1010'"}},
	{"int4range", []string{"'[1,5)'"}},
	{"tsvector", []string{"'a:1 b'"}},
	{"point", []string{"'(1,2.5)'"}},
}

// notJSON are types that to_json gives as something else than the stream does; it
// has their text form. The package's documentation says so.
var notJSON = map[string]string{
	"integer[]": "'{1,2,NULL}'", "text[]": `'{a,"b c"}'`, "pair": "'(1,x)'", "positives": "'{1,2}'",
}

// usual are the settings of a session that the documentation speaks of.
const usual = "&timezone=UTC&datestyle=ISO&extra_float_digits=1&bytea_output=hex&intervalstyle=postgres"

const types = `CREATE TYPE mood AS ENUM ('so "so"', 'fine'); CREATE DOMAIN positive AS bigint CHECK (value > 0);
	CREATE DOMAIN wish AS boolean; CREATE DOMAIN stamp AS timestamptz; CREATE TYPE pair AS (a int, b text); CREATE DOMAIN positives AS integer[]`

// typedSource is a source whose quest table has a column of each type.
func typedSource(t *testing.T, columns []string) (s *Source, dsn string) {
	t.Helper()
	dsn = testkit.Database(t)
	run(t, dsn, types)
	var list []string
	for i, sqlType := range columns {
		list = append(list, fmt.Sprintf("ADD COLUMN c%d %s", i, sqlType))
	}
	run(t, dsn, `ALTER TABLE quests_quest `+strings.Join(list, ", ")+`;
		INSERT INTO quests_questcategory (name, description, created_at) VALUES ('c', '', now())`)
	run(t, dsn, person)
	// The server's own settings are unusual: the stream's must not depend on them.
	name := open(t, settings(t, dsn)).Database()
	for _, setting := range []string{"timezone = 'Asia/Kathmandu'", "datestyle = 'German'", "extra_float_digits = 0", "bytea_output = 'escape'", "intervalstyle = 'iso_8601'"} {
		run(t, dsn, `ALTER DATABASE `+name+` SET `+setting)
	}
	s = open(t, settings(t, dsn))
	for i := range columns {
		s.names.columnsOf[change.Quest] = append(s.names.columnsOf[change.Quest], fmt.Sprintf("c%d", i))
	}
	return s, dsn
}

// person is who creates the quests.
const person = `INSERT INTO users_user (id, username, email, display_name, password, first_name, last_name, is_superuser,
	is_staff, is_active, date_joined, role, gender, location, social_links, settings, bio, level, is_admin, is_verified,
	verification_documents, preferred_language, timezone, notification_preferences, privacy_settings, email_verified, is_banned,
	two_factor_enabled, two_factor_method, backup_codes_generated, spending_limits)
	VALUES ('11111111-1111-4111-8111-111111111111', 'u', 'u@x', 'u', '!', '', '', false, false, true, now(), 'a', '', '', '{}', '{}', '', 1, false,
	true, '{}', 'en', 'UTC', '{}', '{}', true, false, false, 'email', false, '{}') ON CONFLICT DO NOTHING`

func TestValuesAreAsToJSON(t *testing.T) {
	t.Parallel()
	var columns []string
	rows := 0
	for _, c := range typed {
		columns = append(columns, c.sqlType)
		rows = max(rows, len(c.values))
	}
	s, dsn := typedSource(t, columns)
	from := setUp(t, s)
	for i := range rows {
		names, values := []string{}, []string{}
		for j, c := range typed {
			names, values = append(names, fmt.Sprintf("c%d", j)), append(values, c.values[i%len(c.values)])
		}
		run(t, dsn, questRow(int64(i+1), names, values))
	}
	run(t, dsn, questRow(int64(rows+1), nil, nil)) // all null
	for i, tx := range transactions(t, s, from, rows+1) {
		compareRow(t, dsn, int64(i+1), &tx[0].Change)
	}
}

func questRow(id int64, names, values []string) string {
	extra, more := "", ""
	if len(names) > 0 {
		extra, more = ", "+strings.Join(names, ", "), ", "+strings.Join(values, ", ")
	}
	return fmt.Sprintf(`INSERT INTO quests_quest (id, title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at,
		updated_at, requirements, resources, slug, is_deleted, creator_id, category_id%s) SELECT %d, 't', '', 'i', 'open', 0, 0, 0, now(), now(), '', '',
		's%[2]d', false, '11111111-1111-4111-8111-111111111111', (SELECT min(id) FROM quests_questcategory)%[3]s`, extra, id, more)
}

// compareRow compares each column with what to_json says, as text where that is
// the same and else as JSON.
func compareRow(t *testing.T, dsn string, id int64, c *change.Change) {
	t.Helper()
	if c.Op != change.Create || c.Before != nil {
		t.Fatalf("row %d: %+v", id, c)
	}
	err := c.After.Each(func(column, value []byte) error {
		name := string(column)
		want := ask[string](t, dsn+usual, fmt.Sprintf(`SELECT coalesce(to_json(%s)::text, 'null') FROM quests_quest WHERE id = %d`, quote(name), id))
		if string(value) == want {
			return nil
		}
		var got, wanted any
		if err := json.Unmarshal(value, &got); err != nil {
			return fmt.Errorf("column %s: %s: %w", name, value, err)
		}
		if err := json.Unmarshal([]byte(want), &wanted); err != nil {
			return err
		}
		if diff := cmp.Diff(wanted, got); diff != "" {
			var index int
			if _, err := fmt.Sscanf(name, "c%d", &index); err == nil {
				name += " " + typed[index].sqlType
			}
			t.Errorf("row %d column %s: got %.200s, want %.200s", id, name, value, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestOtherTypesAreTexts(t *testing.T) {
	t.Parallel()
	var columns, names, values []string
	for sqlType, value := range notJSON {
		names = append(names, fmt.Sprintf("c%d", len(columns)))
		columns, values = append(columns, sqlType), append(values, value)
	}
	s, dsn := typedSource(t, columns)
	from := setUp(t, s)
	run(t, dsn, questRow(1, names, values))
	c := transactions(t, s, from, 1)[0][0].Change
	err := c.After.Each(func(column, value []byte) error {
		if column[0] != 'c' || len(column) > 2 {
			return nil
		}
		want := ask[string](t, dsn, fmt.Sprintf(`SELECT to_json(%s::text)::text FROM quests_quest`, column))
		if string(value) != want {
			t.Errorf("column %s: got %s, want %s", column, value, want)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
