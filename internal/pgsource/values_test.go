package pgsource

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit"
)

// usual are the settings of a session that the documentation speaks of.
const usual = "&timezone=UTC&datestyle=ISO&extra_float_digits=1&bytea_output=hex&intervalstyle=postgres"

// valueSource is a source that streams all columns of the quest table, which has
// one of each type, c0 and so on.
func valueSource(t *testing.T, columns []testkit.ValueColumn) (s *Source, dsn string) {
	t.Helper()
	dsn = testkit.Database(t)
	run(t, dsn, testkit.ValueTypes, addColumns(columns), person,
		`INSERT INTO quests_questcategory (name, description, created_at) VALUES ('c', '', now())`)
	config := settings(t, dsn)
	config.AllColumns = true
	// The server's own settings are unusual, and so are those that somebody asked
	// for: the stream's must not depend on them.
	config.DSN += "&timezone=Asia/Kathmandu&DATESTYLE=German"
	s = open(t, config)
	for _, setting := range testkit.ValueSettings {
		run(t, dsn, `ALTER DATABASE `+s.Database()+` SET `+setting)
	}
	return s, dsn
}

func addColumns(columns []testkit.ValueColumn) string {
	list := make([]string, len(columns))
	for i, c := range columns {
		list[i] = fmt.Sprintf("ADD COLUMN c%d %s", i, c.Type)
	}
	return `ALTER TABLE quests_quest ` + strings.Join(list, ", ")
}

// person is who creates the quests.
const person = `INSERT INTO users_user (id, username, email, display_name, password, first_name, last_name, is_superuser,
	is_staff, is_active, date_joined, role, gender, location, social_links, settings, bio, level, is_admin, is_verified,
	verification_documents, preferred_language, timezone, notification_preferences, privacy_settings, email_verified, is_banned,
	two_factor_enabled, two_factor_method, backup_codes_generated, spending_limits)
	VALUES ('11111111-1111-4111-8111-111111111111', 'u', 'u@x', 'u', '!', '', '', false, false, true, now(), 'a', '', '', '{}', '{}', '', 1, false,
	true, '{}', 'en', 'UTC', '{}', '{}', true, false, false, 'email', false, '{}') ON CONFLICT DO NOTHING`

func questRow(id int64, values []string) string {
	var names strings.Builder
	for i := range values {
		fmt.Fprintf(&names, ", c%d", i)
	}
	more := strings.Join(append([]string{""}, values...), ", ")
	return fmt.Sprintf(`INSERT INTO quests_quest (id, title, description, difficulty, status, xp_reward, gold_reward, commission_fee, created_at,
		updated_at, requirements, resources, slug, is_deleted, creator_id, category_id%s) SELECT %d, 't', '', 'i', 'open', 0, 0, 0, now(), now(), '', '',
		's%[2]d', false, '11111111-1111-4111-8111-111111111111', (SELECT min(id) FROM quests_questcategory)%[3]s`, names.String(), id, more)
}

// TestValuesAreAsToJSON streams values of every type and compares them with the
// server's to_json, byte for byte.
func TestValuesAreAsToJSON(t *testing.T) {
	t.Parallel()
	rows := 0
	for _, c := range testkit.ValueColumns {
		rows = max(rows, len(c.Values))
	}
	s, dsn := valueSource(t, testkit.ValueColumns)
	from := setUp(t, s)
	var inserts []string
	for i := range rows {
		values := make([]string, len(testkit.ValueColumns))
		for j, c := range testkit.ValueColumns {
			values[j] = fmt.Sprintf("CAST(%s AS %s)", c.Values[i%len(c.Values)], c.Type)
		}
		inserts = append(inserts, questRow(int64(i+1), values))
	}
	inserts = append(inserts, questRow(int64(rows+1), nil)) // all null
	run(t, dsn, inserts...)
	compareAll(t, s, dsn, from, testkit.ValueColumns, rows+1)
}

// compareAll streams rows that were inserted one by one.
func compareAll(t *testing.T, s *Source, dsn string, from change.LSN, columns []testkit.ValueColumn, rows int) {
	t.Helper()
	for i, tx := range transactions(t, s, from, rows) {
		c := &tx[len(tx)-1].Change
		if c.Op != change.Create || c.Before != nil {
			t.Fatalf("row %d: %+v", i+1, c)
		}
		got := map[string]string{}
		if err := c.After.Each(func(column, value []byte) error {
			got[string(column)] = string(value)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		want := toJSON(t, dsn, int64(i+1), columns)
		for j := range columns {
			if g := got[fmt.Sprintf("c%d", j)]; g != want[j] {
				t.Errorf("row %d, a %s:\ngot  %.300s\nwant %.300s", i+1, columns[j].Type, g, want[j])
			}
		}
	}
}

func toJSON(t *testing.T, dsn string, id int64, columns []testkit.ValueColumn) []string {
	t.Helper()
	list := make([]string, len(columns))
	for i, c := range columns {
		value := fmt.Sprintf("c%d", i)
		if c.Like != "" {
			value = fmt.Sprintf(c.Like, value)
		}
		list[i] = "coalesce(to_json(" + value + ")::text, 'null')"
	}
	return ask[[]string](t, dsn+usual, fmt.Sprintf(`SELECT ARRAY[%s] FROM quests_quest WHERE id = %d`, strings.Join(list, ", "), id))
}

// TestRandomArraysAreAsToJSON does so for arrays and composite values that nobody
// thought of.
func TestRandomArraysAreAsToJSON(t *testing.T) {
	t.Parallel()
	const rows = 60
	columns := []testkit.ValueColumn{{Type: "text[]"}, {Type: "pair[]"}, {Type: "mood[]"}, {Type: "jsonb[]"}, {Type: "numeric[]"}, {Type: "deep"}}
	s, dsn := valueSource(t, columns)
	from := setUp(t, s)
	var inserts []string
	for i := range rows {
		values := make([]string, len(columns))
		for j, g := range []*rapid.Generator[string]{randomText, randomPair, randomMood, randomJSON, randomNumber} {
			values[j] = randomArray(g).Example(i) + "::" + columns[j].Type
			if i%3 == 0 { // other lower bounds; '{}' has none
				values[j] = fmt.Sprintf(`(SELECT CASE array_ndims(a) WHEN 1 THEN ('[-5:' || array_length(a, 1) - 6 || ']=' || a::text)::%s ELSE a END
					FROM (SELECT %s) x(a))`, columns[j].Type, values[j])
			}
		}
		values[5] = fmt.Sprintf("ROW(%s, %s, NULL, %s, NULL, NULL, NULL, NULL, %s)::deep",
			randomPair.Example(i), randomArray(randomPair).Example(i), randomJSON.Example(i), randomArray(randomInteger).Example(i)+"::bigint[]")
		inserts = append(inserts, questRow(int64(i+1), values))
	}
	run(t, dsn, inserts...)
	compareAll(t, s, dsn, from, columns, rows)
}

// The generators give SQL.
var (
	nasty = []rune(`"\{}()[],;:='NULnul ` + "\t\n\r\v\x01\x7f" + `aé日🎉0`)

	randomText = rapid.Custom(func(t *rapid.T) string {
		return literal(string(rapid.SliceOfN(rapid.SampledFrom(nasty), 0, 8).Draw(t, "text"))) + "::text"
	})
	randomInteger = rapid.Custom(func(t *rapid.T) string { return fmt.Sprintf("'%d'::bigint", rapid.Int64().Draw(t, "n")) })
	randomNumber  = rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("'%sE%d'::numeric", rapid.StringMatching(`-?[0-9]{1,20}(\.[0-9]{1,20})?`).Draw(t, "n"), rapid.IntRange(-30, 30).Draw(t, "e"))
	})
	randomMood = rapid.SampledFrom([]string{`'so "so"'::mood`, "'fine'::mood", "'a,b'::mood", "'NULL'::mood", "'{}'::mood"})
	randomPair = rapid.Custom(func(t *rapid.T) string {
		a, b := "NULL", randomText.Draw(t, "b")
		if rapid.Bool().Draw(t, "has a") {
			a = fmt.Sprint(rapid.Int32().Draw(t, "a"))
		}
		if rapid.IntRange(0, 9).Draw(t, "no b") == 0 {
			b = "NULL"
		}
		return fmt.Sprintf("ROW(%s, %s)::pair", a, b)
	})
	randomJSON = rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("jsonb_build_object(%s, %s, 'x', to_jsonb(%s))", randomText.Draw(t, "key"), randomNumber.Draw(t, "n"), randomText.Draw(t, "text"))
	})
)

// randomArray gives arrays of up to three dimensions, some empty, with nulls.
func randomArray(of *rapid.Generator[string]) *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		sizes := rapid.SliceOfN(rapid.IntRange(1, 3), 0, 3).Draw(t, "sizes")
		if len(sizes) == 0 {
			return "'{}'"
		}
		return build(t, of, sizes)
	})
}

func build(t *rapid.T, of *rapid.Generator[string], sizes []int) string {
	if len(sizes) == 0 {
		if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
			return "NULL"
		}
		return of.Draw(t, "element")
	}
	elements := make([]string, sizes[0])
	for i := range elements {
		elements[i] = build(t, of, sizes[1:])
	}
	if len(sizes) == 1 && !slices.ContainsFunc(elements, func(e string) bool { return e != "NULL" }) {
		elements[0] = of.Draw(t, "some element")
	}
	return "ARRAY[" + strings.Join(elements, ", ") + "]"
}
