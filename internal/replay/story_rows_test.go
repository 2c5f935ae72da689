package replay_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

// shorts are the columns as a story calls them, by entity, in the order of the wire.
var shorts = map[string][][2]string{
	"quest": {
		{"id", "id"},
		{"title", "title"},
		{"status", "status"},
		{"assigned", "assigned_to_id"},
		{"deleted", "is_deleted"},
		{"updated", "updated_at"},
	},
	"application": {{"id", "id"}, {"quest", "quest_id"}, {"applicant", "applicant_id"}, {"status", "status"}, {"reviewed", "reviewed_at"}},
	"participant": {{"id", "id"}, {"quest", "quest_id"}, {"user", "user_id"}, {"status", "status"}, {"joined", "joined_at"}},
}

var defaults = map[string]map[string]string{
	"quest":       {"title": `"Paint the fence"`, "status": `"open"`, "assigned": "null", "deleted": "false", "updated": "null"},
	"application": {"quest": "42", "status": `"pending"`, "reviewed": "null"},
	"participant": {"quest": "42", "status": `"joined"`, "joined": `"2026-06-01T12:00:00+00:00"`},
}

type written struct {
	quest  int64
	change change.Change
}

// changes are what a line of a transaction says.
func (s *story) changes(w []string) (all []written) {
	entity, id, rest := w[0], w[1], w[2:]
	times := 1
	if n := len(rest); n > 0 && strings.HasPrefix(rest[n-1], "times=") {
		var err error
		times, err = strconv.Atoi(rest[n-1][len("times="):])
		s.check(err)
		rest = rest[:n-1]
	}
	for i := range times {
		if times > 1 {
			rest = []string{fmt.Sprintf("status=step%d", i+1)}
		}
		all = append(all, s.one(entity, id, rest)...)
	}
	return all
}

func (s *story) one(entity, id string, rest []string) []written {
	key := entity + " " + id
	old := clone(s.rows[key])
	c := change.Change{Op: change.Update, Entity: entityOf(s.t, entity)}
	if old != nil {
		c.Before = s.row(entity, old)
	}
	switch {
	case len(rest) > 0 && rest[0] == "gone":
		delete(s.rows, key)
		c.Op = change.Delete
		return []written{{s.questOf(entity, old), c}}
	case len(rest) > 0 && rest[0] == "moved":
		unsent := s.write(entity, id, rest[1:])
		gone := change.Change{Op: change.Delete, Entity: c.Entity, Moved: true, Before: c.Before}
		come := change.Change{Op: change.Create, Entity: c.Entity, Moved: true, After: s.row(entity, s.rows[key], unsent...)}
		return []written{{s.questOf(entity, old), gone}, {s.questOf(entity, s.rows[key]), come}}
	case old == nil:
		c.Op = change.Create
	}
	unsent := s.write(entity, id, rest)
	c.After = s.row(entity, s.rows[key], unsent...)
	c.Unchanged = unsent
	return []written{{s.questOf(entity, s.rows[key]), c}}
}

// write changes a row, and returns the columns that are not to be sent.
func (s *story) write(entity, id string, sets []string) (unsent []string) {
	key := entity + " " + id
	if s.rows[key] == nil {
		s.rows[key] = clone(defaults[entity])
	}
	s.rows[key]["id"] = id
	for _, set := range sets {
		name, value, ok := strings.Cut(set, "=")
		if !ok {
			s.t.Fatalf("%s: what is %q?", key, set)
		}
		if name == "unsent" {
			unsent = append(unsent, s.column(entity, value))
			continue
		}
		s.column(entity, name)
		if id, ok := s.people[value]; ok {
			value = id
		}
		s.rows[key][name] = asJSON(value)
	}
	return unsent
}

var isJSON = regexp.MustCompile(`^(".*"|null|true|false|-?\d+)$`)

func asJSON(value string) string {
	if isJSON.MatchString(value) {
		return value
	}
	return strconv.Quote(value)
}

// column is the database's name of a column.
func (s *story) column(entity, short string) string {
	for _, c := range shorts[entity] {
		if c[0] == short {
			return c[1]
		}
	}
	s.t.Fatalf("a %s has no %s", entity, short)
	return ""
}

func (s *story) row(entity string, values map[string]string, without ...string) (row change.Row) {
	for _, c := range shorts[entity] {
		if !slices.Contains(without, c[1]) {
			row = change.AppendValue(row, c[1], []byte(values[c[0]]))
		}
	}
	return change.CloseRow(row)
}

func (s *story) questOf(entity string, values map[string]string) int64 {
	column := "quest"
	if entity == "quest" {
		column = "id"
	}
	id, err := strconv.ParseInt(values[column], 10, 64)
	s.check(err)
	return id
}

func entityOf(t *testing.T, name string) change.Entity {
	e, err := change.ParseEntity(name)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func idOf(t *testing.T, key string) int64 {
	_, id, _ := strings.Cut(key, " ")
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
