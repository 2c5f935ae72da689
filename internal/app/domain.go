package app

import (
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/quest"
	"github.com/peerquest/questwatch/internal/rule"
	"github.com/peerquest/questwatch/internal/watch"
)

// Schema is the configured tables over the application's own.
func Schema(t *config.Tables) change.Schema {
	s := change.PeerQuest()
	set := func(name *string, configured string) {
		if configured != "" {
			*name = configured
		}
	}
	// optional is a column that the rules can do without.
	optional := func(name *string, configured string) {
		if set(name, configured); configured == config.NoColumn {
			*name = ""
		}
	}
	q, qc := &s.Quest, &t.Quest.Columns
	set(&q.Table, t.Quest.Table)
	set(&q.ID, qc.ID)
	optional(&q.Title, qc.Title)
	set(&q.Status, qc.Status)
	set(&q.AssignedTo, qc.AssignedTo)
	optional(&q.IsDeleted, qc.IsDeleted)
	optional(&q.CreatedAt, qc.CreatedAt)
	optional(&q.UpdatedAt, qc.UpdatedAt)
	optional(&q.CompletedAt, qc.CompletedAt)
	a, ac := &s.Application, &t.Application.Columns
	set(&a.Table, t.Application.Table)
	set(&a.ID, ac.ID)
	set(&a.QuestID, ac.QuestID)
	set(&a.User, ac.User)
	set(&a.Status, ac.Status)
	optional(&a.AppliedAt, ac.AppliedAt)
	optional(&a.ReviewedAt, ac.ReviewedAt)
	p, pc := &s.Participant, &t.Participant.Columns
	set(&p.Table, t.Participant.Table)
	set(&p.ID, pc.ID)
	set(&p.QuestID, pc.QuestID)
	set(&p.User, pc.User)
	set(&p.Status, pc.Status)
	optional(&p.JoinedAt, pc.JoinedAt)
	set(&s.User.Table, t.User.Table)
	set(&s.User.ID, t.User.Columns.ID)
	set(&s.User.Username, t.User.Columns.Username)
	return s
}

// Rules is what the checker judges by. c has been through its Finish.
func Rules(c *config.Config) watch.Rules {
	r := watch.Rules{
		Schema: Schema(&c.Tables), Statuses: Statuses(&c.Statuses),
		Drift:  drift.Config{Namespace: c.Namespace, Graces: map[rule.Rule]time.Duration{}, Deleted: c.Watch.Deleted},
		Policy: rule.Policy{Deleted: c.Watch.Deleted},
		Ways: rule.Ways{
			Reopen: rule.Way(c.WaysBack.InProgressToOpen), Resume: rule.Way(c.WaysBack.CompletedToInProgress),
			Restart: rule.Way(c.WaysBack.CompletedToOpen),
		},
	}
	settings, _ := c.Rules.List() // Finish has looked for errors
	r.Repair, _ = c.Modes()
	for _, s := range settings {
		r.Drift.Graces[s.Rule] = s.Grace
		if !s.Enabled {
			r.Policy.Off(s.Rule)
		}
		for cause, severity := range s.Severity {
			_ = r.Policy.SetSeverity(s.Rule, cause, severity) // the settings have the rules' own causes
		}
	}
	return r
}

// Statuses is the configured words by the roles that they stand for.
func Statuses(c *config.Statuses) quest.Statuses {
	q, a, p := &c.Quest, &c.Application, &c.Participant
	first := func(setting string) string { return append(config.Words(setting), "")[0] }
	return quest.Statuses{
		Started: first(q.InProgress), Joined: first(p.Joined),
		Quest: words(map[quest.Status]string{quest.Open: q.Open, quest.InProgress: q.InProgress, quest.Completed: q.Completed}),
		Application: words(map[quest.ApplicationStatus]string{
			quest.Pending: a.Pending, quest.Approved: a.Approved, quest.Rejected: a.Rejected, quest.Kicked: a.Kicked,
		}),
		Participant: words(map[quest.ParticipantStatus]string{
			quest.Joined: p.Joined, quest.Working: p.InProgress, quest.Finished: p.Completed, quest.Dropped: p.Dropped,
		}),
	}
}

func words[Role comparable](settings map[Role]string) map[string]Role {
	roles := map[string]Role{}
	for role, setting := range settings {
		for _, word := range config.Words(setting) {
			roles[word] = role
		}
	}
	return roles
}
