package pgsource

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/pgjson"
)

// need is what the rules want of a column's values.
type need struct {
	column string
	kinds  []pgjson.Kind
	what   string
}

func needsOf(schema *change.Schema) (n [change.Participant + 1][]need) {
	number := func(column string) need { return need{column, []pgjson.Kind{pgjson.Integer}, "an integer type"} }
	text := func(column string) need { return need{column, []pgjson.Kind{pgjson.String}, "a text or an enum"} }
	person := func(column string) need {
		return need{column, []pgjson.Kind{pgjson.String, pgjson.Integer}, "a uuid, a text or an integer type"}
	}
	moment := func(column string) need { return need{column, []pgjson.Kind{pgjson.Time}, "timestamp or timestamptz"} }
	q, a, p := &schema.Quest, &schema.Application, &schema.Participant
	n[change.Quest] = []need{
		number(q.ID), text(q.Title), text(q.Status), person(q.AssignedTo), {q.IsDeleted, []pgjson.Kind{pgjson.Bool}, "boolean"},
	}
	n[change.Application] = []need{number(a.ID), number(a.QuestID), person(a.User), text(a.Status)}
	n[change.Participant] = []need{number(p.ID), number(p.QuestID), person(p.User), text(p.Status), moment(p.JoinedAt)}
	return n
}

// unreadable lists the columns that are of a type that the rules cannot read.
func (n *names) unreadable(e change.Entity, columns []column) (names []string) {
	for _, need := range n.needsOf[e] {
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == need.column })
		if i >= 0 && !slices.Contains(need.kinds, columns[i].as.Kind()) {
			names = append(names, need.column)
		}
	}
	return names
}

// wanted says what a column should be.
func (n *names) wanted(e change.Entity, column string) string {
	i := slices.IndexFunc(n.needsOf[e], func(need need) bool { return need.column == column })
	if i < 0 {
		return ""
	}
	return n.needsOf[e][i].what
}

// checkColumns looks whether a table has the columns that must be there, and
// whether the rules can read them.
func (s *Source) checkColumns(ctx context.Context, conn *pgx.Conn, e change.Entity, names []string, oids []uint32) error {
	var missing []string
	for _, c := range s.names.columnsOf[e] {
		if !slices.Contains(names, c) {
			missing = append(missing, c)
		}
	}
	if len(missing) > 0 {
		return hint.Setup(fmt.Errorf("it has no column %s", strings.Join(missing, ", ")),
			"set the column's name under tables.%s.columns in the configuration", e)
	}
	types, err := typesOf(ctx, conn, oids)
	if err != nil {
		return err
	}
	columns := make([]column, len(names))
	for i := range columns {
		columns[i] = column{name: names[i], as: types[oids[i]]}
		if columns[i].as == nil {
			columns[i].as = pgjson.Text
		}
	}
	if bad := s.names.unreadable(e, columns); len(bad) > 0 {
		return hint.Setup(fmt.Errorf("its column %s is of a type that the rules cannot read", bad[0]),
			"make it %s, or set another column's name under tables.%s.columns in the configuration", s.names.wanted(e, bad[0]), e)
	}
	return nil
}
