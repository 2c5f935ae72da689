package testkit

import (
	"context"
	_ "embed"
)

//go:embed data/peerquest_schema.sql
var schemaSQL string

//go:embed data/audit001.sql
var audit001SQL string

// SchemaSQL is PeerQuest's schema as its migrations make it.
func SchemaSQL() string { return schemaSQL }

// LoadSchema creates PeerQuest's five tables in an empty database.
func LoadSchema(ctx context.Context, dsn string) error {
	return exec1(ctx, dsn, "load schema", schemaSQL)
}

// LoadAudit001 fills the tables with the scenario of the historical audit: 4 users, 11 quests, 5 issues.
func LoadAudit001(ctx context.Context, dsn string) error {
	return exec1(ctx, dsn, "load AUDIT-001", audit001SQL)
}

// DropUniqueParticipant makes duplicate participants possible, as they were before the constraint was introduced.
func DropUniqueParticipant(ctx context.Context, dsn string) error {
	return exec1(ctx, dsn, "drop unique constraint", `ALTER TABLE quests_questparticipant
		DROP CONSTRAINT IF EXISTS quests_questparticipant_quest_id_user_id_102f66b3_uniq`)
}
