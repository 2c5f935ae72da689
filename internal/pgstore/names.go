package pgstore

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

// tables are the tables' names as SQL.
type tables struct{ quest, application, participant, user string }

func tablesOf(s *change.Schema) tables {
	return tables{
		quest:       quoteTable(s.Quest.Table),
		application: quoteTable(s.Application.Table),
		participant: quoteTable(s.Participant.Table),
		user:        quoteTable(s.User.Table),
	}
}

func quoteTable(name string) string {
	schema, table := change.SplitTable(name)
	return pgx.Identifier{schema, table}.Sanitize()
}

func quoteName(name string) string { return pgx.Identifier{name}.Sanitize() }

// quoteText is a literal for a server with standard_conforming_strings, which
// has been the default since 2010 and which the sessions here set.
func quoteText(text string) string {
	return "'" + strings.ReplaceAll(strings.ReplaceAll(text, "\x00", ""), "'", "''") + "'"
}

// quoteNullable is a literal, or NULL for "".
func quoteNullable(text string) string {
	if text == "" {
		return "NULL"
	}
	return quoteText(text)
}

// column is a select expression; a column that the configuration leaves out
// reads as null.
func column(alias, name, kind string) string {
	if name == "" {
		return "NULL::" + kind
	}
	return alias + "." + quoteName(name) + "::" + kind
}

// words are the statuses that repairs write.
type words struct {
	inProgress, joined string
}

func wordsOf(s quest.Statuses) (words, error) {
	w := words{
		inProgress: cmp.Or(s.Started, wordFor(s.Quest, quest.InProgress)),
		joined:     cmp.Or(s.Joined, wordFor(s.Participant, quest.Joined)),
	}
	if w.inProgress == "" || w.joined == "" {
		return w, fmt.Errorf("there must be a word for a quest in progress (%q) and for a participant who joined (%q)", w.inProgress, w.joined)
	}
	return w, nil
}

// wordFor is the word for a role, the first by alphabet where it has several.
func wordFor[Role comparable](roles map[string]Role, role Role) string {
	for _, word := range slices.Sorted(maps.Keys(roles)) {
		if roles[word] == role {
			return word
		}
	}
	return ""
}
