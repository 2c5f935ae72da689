package audit_test

import (
	"fmt"
	"strings"
)

const emptyTables = "TRUNCATE users_user, quests_questcategory, quests_quest, quests_questparticipant, applications_application RESTART IDENTITY;\n"

func text(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

func nullable(s *string) string {
	if s == nil {
		return "NULL"
	}
	return text(*s)
}

// userSQL gives a user all the columns that take no null.
func userSQL(id, name string) string {
	return fmt.Sprintf(`INSERT INTO users_user (id,username,email,password,first_name,last_name,is_superuser,is_staff,is_active,date_joined,role,
		display_name,gender,location,social_links,settings,bio,level,is_admin,is_verified,verification_documents,preferred_language,timezone,
		notification_preferences,privacy_settings,email_verified,is_banned,two_factor_enabled,two_factor_method,backup_codes_generated,spending_limits)
		VALUES (%[1]s,%[2]s,%[1]s||'@peerquest.test','!','','',false,false,true,'2025-01-01Z','adventurer','','','','{}','{}','',1,false,true,'{}',
		'en','UTC','{}','{}',true,false,false,'email',false,'{}');`+"\n", text(id), text(name))
}

func questSQL(q questRow) string {
	return fmt.Sprintf(`INSERT INTO quests_quest (id,title,description,difficulty,status,xp_reward,gold_reward,commission_fee,created_at,updated_at,
		completed_at,requirements,resources,slug,is_deleted,assigned_to_id,creator_id,category_id)
		VALUES (%d,%s,'','initiate',%s,25,0,0,%s,%[4]s,%s,'','','quest-%[1]d',%[6]t,%s,%s,1);`+"\n",
		q.ID, text(q.Title), text(q.Status), text(q.CreatedAt), nullable(q.CompletedAt), q.IsDeleted, nullable(q.AssignedTo), text(q.Creator))
}

func applicationSQL(a applicationRow) string {
	return fmt.Sprintf("INSERT INTO applications_application (id,quest_id,applicant_id,status,applied_at,reviewed_at) VALUES (%d,%d,%s,%s,%s,%s);\n",
		a.ID, a.Quest, text(a.User), text(a.Status), text(a.AppliedAt), nullable(a.ReviewedAt))
}

func participantSQL(p participantRow) string {
	return fmt.Sprintf("INSERT INTO quests_questparticipant (id,quest_id,user_id,status,joined_at,completed_at,progress_notes) VALUES (%d,%d,%s,%s,%s,%s,'');\n",
		p.ID, p.Quest, text(p.User), text(p.Status), text(p.JoinedAt), nullable(p.CompletedAt))
}

// sql replaces everything in the database by the dataset, in one round trip.
func (d *dataset) sql() string {
	var b strings.Builder
	b.WriteString("BEGIN;\n" + emptyTables + "INSERT INTO quests_questcategory (id,name,created_at) VALUES (1,'any',now());\n")
	for _, u := range d.Users {
		b.WriteString(userSQL(u.ID, u.Username))
	}
	for _, q := range d.Quests {
		b.WriteString(questSQL(q))
	}
	for _, a := range d.Applications {
		b.WriteString(applicationSQL(a))
	}
	for _, p := range d.Participants {
		b.WriteString(participantSQL(p))
	}
	for _, table := range []string{"quests_quest", "applications_application", "quests_questparticipant"} {
		fmt.Fprintf(&b, "SELECT setval(pg_get_serial_sequence('%s','id'), coalesce((SELECT max(id) FROM %[1]s), 0) + 1, false);\n", table)
	}
	b.WriteString("COMMIT;\n")
	return b.String()
}
