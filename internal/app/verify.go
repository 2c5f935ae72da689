package app

import (
	"context"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/quest"
)

// StreamTime is the time that the checker has come to.
func (a *App) StreamTime() time.Time { return a.watch.Status().Now.Time() }

// Usernames looks up people's names.
func (a *App) Usernames(ctx context.Context, ids []string) (map[string]string, error) {
	return a.store.Usernames(ctx, ids)
}

// Differences compares the checker's state with the tables as they are now, and
// names at most limit quests that differ. It is for use after Run, on a database
// that nobody writes to any more.
func (a *App) Differences(ctx context.Context, limit int) ([]string, error) {
	rules := Rules(&a.config)
	now := quest.NewState(rules.Schema, rules.Statuses)
	err := snapshotPort{store: a.store, schema: rules.Schema}.rows(ctx, "", func(id int64, rows []change.Change) error {
		_, err := now.Apply(&change.Step{QuestID: id, Source: change.Source{Snapshot: true}, Changes: rows})
		return err
	})
	if err != nil {
		return nil, err
	}
	return quest.Differ(a.watch.Checker().State(), now, limit), nil
}
