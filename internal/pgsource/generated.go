package pgsource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/hint"
)

// generatedVersion is the first server that can publish generated columns. Before
// it they are just not in what is streamed. From it on a published table with
// REPLICA IDENTITY FULL takes no UPDATE while one of them is not published, and
// those that are not stored cannot be.
const generatedVersion = 180000

// checkGenerated looks for generated columns that stand in the way, and notes
// tables whose generated columns the publication must have.
func (s *Source) checkGenerated(ctx context.Context, conn *pgx.Conn, version int, t *table) error {
	var stored, virtual []string
	err := conn.QueryRow(ctx, `
		SELECT coalesce(array_agg(attname::text ORDER BY attnum) FILTER (WHERE attgenerated = 's'), '{}'),
		       coalesce(array_agg(attname::text ORDER BY attnum) FILTER (WHERE attgenerated = 'v'), '{}')
		FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped`, t.oid).Scan(&stored, &virtual)
	if err != nil {
		return err
	}
	if len(virtual) > 0 {
		return hint.Setup(fmt.Errorf("column %s is virtual: with REPLICA IDENTITY FULL the server would refuse every UPDATE", strings.Join(virtual, ", ")),
			"make it a stored column, or drop it")
	}
	t.publishGenerated = version >= generatedVersion && len(stored) > 0
	for _, c := range s.names.columnsOf[t.entity] {
		if version < generatedVersion && slices.Contains(stored, c) {
			return hint.Setup(fmt.Errorf("its column %s is generated, and the log does not have it", c),
				"ALTER TABLE %s ALTER COLUMN %s DROP EXPRESSION; or name an ordinary column under tables.%s.columns in the configuration; or use Postgres 18", s.quoted(t.entity), quote(c), t.entity)
		}
	}
	return nil
}

// checkOthers looks whether the identity that we need would make another
// publication's tables refuse UPDATEs.
func (s *Source) checkOthers(ctx context.Context, conn *pgx.Conn, t *table) error {
	schema, name := change.SplitTable(s.names.tableOf[t.entity])
	var other string
	err := conn.QueryRow(ctx, `
		SELECT p.pubname FROM pg_publication p JOIN pg_publication_tables m ON m.pubname = p.pubname
		LEFT JOIN pg_publication_rel r ON r.prpubid = p.oid AND r.prrelid = $1
		WHERE m.schemaname = $2 AND m.tablename = $3 AND p.pubname <> $4 AND (p.pubupdate OR p.pubdelete)
		  AND (to_jsonb(r) ->> 'prattrs' IS NOT NULL OR $5 AND to_jsonb(p) ->> 'pubgencols' = 'n')
		LIMIT 1`, t.oid, schema, name, s.config.Publication, t.publishGenerated).Scan(&other)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	return hint.Setup(fmt.Errorf("publication %q does not publish all of its columns: with REPLICA IDENTITY FULL the server would refuse every UPDATE", other),
		"publish the table in %s without a column list, from Postgres 18 on with publish_generated_columns = stored", quote(other))
}

// publishGenerated is the statement that the publication, which exists, needs for
// the tables' generated columns, or "".
func (s *Source) publishGenerated(ctx context.Context, conn *pgx.Conn, tables []table) (sql string, err error) {
	if !slices.ContainsFunc(tables, func(t table) bool { return t.publishGenerated }) {
		return "", nil
	}
	var already bool
	err = conn.QueryRow(ctx, `SELECT to_jsonb(p) ->> 'pubgencols' = 's' FROM pg_publication p WHERE pubname = $1`,
		s.config.Publication).Scan(&already)
	if err != nil {
		return "", fmt.Errorf("read publication %q: %w", s.config.Publication, err)
	}
	if already {
		return "", nil
	}
	return fmt.Sprintf("ALTER PUBLICATION %s SET (publish_generated_columns = stored)", quote(s.config.Publication)), nil
}
