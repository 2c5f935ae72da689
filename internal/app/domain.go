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
	q, qc := &s.Quest, &t.Quest.Columns
	set(&q.Table, t.Quest.Table)
	set(&q.ID, qc.ID)
	set(&q.Title, qc.Title)
	set(&q.Status, qc.Status)
	set(&q.AssignedTo, qc.AssignedTo)
	set(&q.IsDeleted, qc.IsDeleted)
	set(&q.CreatedAt, qc.CreatedAt)
	set(&q.UpdatedAt, qc.UpdatedAt)
	set(&q.CompletedAt, qc.CompletedAt)
	a, ac := &s.Application, &t.Application.Columns
	set(&a.Table, t.Application.Table)
	set(&a.ID, ac.ID)
	set(&a.QuestID, ac.QuestID)
	set(&a.User, ac.User)
	set(&a.Status, ac.Status)
	set(&a.AppliedAt, ac.AppliedAt)
	set(&a.ReviewedAt, ac.ReviewedAt)
	p, pc := &s.Participant, &t.Participant.Columns
	set(&p.Table, t.Participant.Table)
	set(&p.ID, pc.ID)
	set(&p.QuestID, pc.QuestID)
	set(&p.User, pc.User)
	set(&p.Status, pc.Status)
	set(&p.JoinedAt, pc.JoinedAt)
	set(&s.User.Table, t.User.Table)
	set(&s.User.ID, t.User.Columns.ID)
	set(&s.User.Username, t.User.Columns.Username)
	return s
}

// Rules is what the checker judges by.
func Rules(c *config.Config) watch.Rules {
	r := watch.Rules{
		Schema: Schema(&c.Tables), Statuses: quest.PeerQuest(),
		Drift: drift.Config{Namespace: c.Namespace, Graces: map[rule.Rule]time.Duration{}},
		Off:   map[rule.Rule]bool{},
	}
	for which, settings := range map[rule.Rule]config.Rule{
		rule.MissingParticipant:   c.Rules.MissingParticipant,
		rule.OrphanParticipant:    c.Rules.OrphanParticipant,
		rule.OpenWithParticipants: c.Rules.OpenWithParticipants,
		rule.Unassigned:           c.Rules.Unassigned,
		rule.DuplicateParticipant: c.Rules.DuplicateParticipant,
	} {
		r.Drift.Graces[which] = settings.Grace
		if !settings.Enabled {
			r.Off[which] = true
		}
	}
	return r
}
