package testkit

import (
	"context"
	_ "embed"
)

//go:embed data/peerquest_schema.sql
var schemaSQL string

//go:embed data/audit001.sql
var audit001SQL string

//go:embed data/other_site.sql
var otherSiteSQL string

// OtherSiteYAML is the configuration for what LoadOtherSite makes.
//
//go:embed data/other_site.yaml
var OtherSiteYAML string

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

// LoadOtherSite creates the tables of a site that is not PeerQuest, beside PeerQuest's own, with three people and nothing else.
func LoadOtherSite(ctx context.Context, dsn string) error {
	return exec1(ctx, dsn, "load other site", otherSiteSQL)
}

// DropUniqueParticipant makes duplicate participants possible, as they were before the constraint was introduced.
func DropUniqueParticipant(ctx context.Context, dsn string) error {
	return exec1(ctx, dsn, "drop unique constraint", `ALTER TABLE quests_questparticipant
		DROP CONSTRAINT IF EXISTS quests_questparticipant_quest_id_user_id_102f66b3_uniq`)
}
