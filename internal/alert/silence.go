package alert

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// LongestSilence is how long one may be: what is to be silent for ever is a matter of the
// configuration.
const LongestSilence = 30 * 24 * time.Hour

// Silence keeps channels from telling of some events until its end. What is told meanwhile
// is not told later; when a finding ends after it, that is told. Alertmanagers have
// silences of their own, and these do not count there.
type Silence struct {
	ID string `json:"id"`
	// Rule, Quest and User are what it is about; those that are empty are any.
	Rule  string `json:"rule,omitempty"`
	Quest int64  `json:"quest_id,omitempty"`
	User  string `json:"user_id,omitempty"`
	// Since and Until are by the clock of whoever asked for it.
	Since  time.Time `json:"since"`
	Until  time.Time `json:"until"`
	Actor  string    `json:"actor"`
	Reason string    `json:"reason"`
}

// Check finds fault with a silence that somebody asks for.
func (s *Silence) Check() error {
	if s.Rule == "" && s.Quest == 0 && s.User == "" {
		return errors.New("a silence wants a rule, a quest or a user")
	}
	if s.Rule != "" {
		if _, err := rule.Parse(s.Rule); err != nil {
			return err
		}
	}
	if s.Quest < 0 {
		return fmt.Errorf("no quest has the id %d", s.Quest)
	}
	if length := s.Until.Sub(s.Since); length <= 0 || length > LongestSilence {
		return fmt.Errorf("a silence wants an end, such as 2h from now (--for 2h), at most %d days ahead", LongestSilence/(24*time.Hour))
	}
	return nil
}

func (s *Silence) String() string {
	var about []string
	if s.Rule != "" {
		about = append(about, s.Rule)
	}
	if s.Quest != 0 {
		about = append(about, "quest "+strconv.FormatInt(s.Quest, 10))
	}
	if s.User != "" {
		about = append(about, "user "+s.User)
	}
	text := fmt.Sprintf("%s until %s UTC, by %s", strings.Join(about, ", "), s.Until.UTC().Format(time.DateTime), s.Actor)
	if s.Reason != "" {
		text += ": " + s.Reason
	}
	return text
}

// covers reports whether it keeps an event from being told: because it is in force, or
// was when the event was stored.
func (s *Silence) covers(e *event.Event, stored, now time.Time) bool {
	if !now.Before(s.Until) && (stored.Before(s.Since) || !stored.Before(s.Until)) {
		return false
	}
	return s.About(e)
}

// About reports whether an event is of what it is about, whenever.
func (s *Silence) About(e *event.Event) bool {
	which := e.Rule()
	if a, ok := e.Data.(event.Approval); ok && a.Finding != "" {
		which = rule.MissingParticipant.String() // as that finding
	}
	return (s.Rule == "" || s.Rule == which) &&
		(s.Quest == 0 || s.Quest == e.Quest) && (s.User == "" || s.User == e.UserID())
}

// Silences are those that somebody has asked for, also those that ended in the last days:
// what came under them may wait yet, for the end of a night or of an outage.
type Silences interface {
	List(ctx context.Context) ([]Silence, error)
}

const (
	silencesFor = time.Second     // for how long what was listed counts
	silencesIn  = 2 * time.Second // how long a list may take: alerts wait for it
)

// audible leaves out what a silence covers. Where they cannot be read now they are what
// they were last.
func (w *worker) audible(ctx context.Context, items []item) []item {
	if _, own := w.outlet.Channel.(standing); own || w.config.Silences == nil {
		return items
	}
	now := w.listSilences(ctx)
	if len(w.silences) == 0 {
		return items
	}
	told := make([]item, 0, len(items))
	for i := range items {
		if !w.silent(&items[i], now) {
			told = append(told, items[i])
		}
	}
	return told
}

// listSilences sees to it that the silences are those of now.
func (w *worker) listSilences(ctx context.Context) (now time.Time) {
	now = time.Now()
	if w.config.Silences == nil || now.Sub(w.listed) < silencesFor {
		return now
	}
	within, cancel := context.WithTimeout(ctx, silencesIn)
	defer cancel()
	list, err := w.config.Silences.List(within)
	switch {
	case err == nil:
		w.silences = list
	case ctx.Err() == nil && !w.unlisted:
		w.logger.Warn("silences cannot be read; those that were known count", "err", err)
	}
	w.listed, w.unlisted = time.Now(), err != nil
	return w.listed
}

func (w *worker) silent(it *item, now time.Time) bool {
	for i := range w.silences {
		if w.silences[i].covers(&it.event, it.at.Stored, now) {
			return true
		}
	}
	return false
}
