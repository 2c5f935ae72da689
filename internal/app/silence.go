package app

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/alert"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/pgstore"
)

const silencePrefix = "silence."

// Silences keeps silences of alerts, with the other notes of the program. They are in
// force within some seconds, whether or not an instance runs.
type Silences struct {
	bucket   *bus.Bucket
	findings *bus.Bucket
	close    func()
}

// ConnectSilences opens the silences of the instance that the configuration means.
func ConnectSilences(ctx context.Context, c *config.Config, logger *slog.Logger) (*Silences, error) {
	conn, err := ConnectBus(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	return &Silences{conn.Control(), conn.Findings(), conn.Close}, nil
}

// Close ends the connection.
func (s *Silences) Close() { s.close() }

// openIn bounds a look at what is open.
const openIn = 10 * time.Second

// Open is what is open now, each as the event that told it.
func (s *Silences) Open(ctx context.Context) ([]event.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, openIn)
	defer cancel()
	return keptOpen(ctx, s.findings)
}

// usersIn bounds a look at the database.
const usersIn = 10 * time.Second

// formOfID is that of an id in the databases that there are: a UUID or a number.
var formOfID = regexp.MustCompile(`(?i)^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9]+)$`)

// Person is the id of somebody who is given by id or by name: of something that is open,
// or in the database, or, where that cannot be read, whatever has the form of an id. With
// a reason not to the database is not read.
func Person(ctx context.Context, c *config.Config, not error, who string, open []event.Event) (id string, err error) {
	for i := range open {
		if id := open[i].UserID(); id != "" && strings.EqualFold(id, who) {
			return id, nil
		}
	}
	ctx, cancel := context.WithTimeout(ctx, usersIn)
	defer cancel()
	if err = not; err == nil {
		id, err = userID(ctx, c, who)
	}
	switch {
	case err == nil:
		return id, nil
	case errors.Is(err, pgstore.ErrUnknownUser):
		return "", &AskedError{fmt.Sprintf("no user has the name or the id %q (capitals count)", who)}
	case formOfID.MatchString(who):
		return strings.ToLower(who), nil
	}
	return "", hint.Wrap(fmt.Errorf("look up who is called %q: %w", who, err), "or give the user's id, as questwatch tail --output json has it")
}

func userID(ctx context.Context, c *config.Config, who string) (string, error) {
	store, err := OpenStore(ctx, c)
	if err != nil {
		return "", err
	}
	defer store.Close()
	return store.UserID(ctx, who)
}

// Add keeps a silence, and gives it an id.
func (s *Silences) Add(ctx context.Context, one *alert.Silence) error {
	one.ID = strings.ToLower(rand.Text()[:6])
	if err := one.Check(); err != nil {
		return &AskedError{err.Error()}
	}
	_, err := s.bucket.Create(ctx, silencePrefix+one.ID, encode(one))
	return err
}

// End ends one before its time.
func (s *Silences) End(ctx context.Context, id string) error {
	list, err := s.List(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(one alert.Silence) bool { return one.ID == id }) {
		return &AskedError{fmt.Sprintf("there is no silence %q", id)}
	}
	return s.bucket.Delete(ctx, silencePrefix+id)
}

// List is those that are in force, the first to end first.
func (s *Silences) List(ctx context.Context) ([]alert.Silence, error) {
	list, err := s.all(ctx)
	now := time.Now()
	return slices.DeleteFunc(list, func(one alert.Silence) bool { return !now.Before(one.Until) }), err
}

// silencesPort is the silences for who is to be silent.
type silencesPort struct{ Silences }

func (p silencesPort) List(ctx context.Context) ([]alert.Silence, error) { return p.all(ctx) }

// silenceKept is for how long one is known when it is over.
const silenceKept = 2 * 24 * time.Hour

// all has those too that are over, and forgets them in the end.
func (s *Silences) all(ctx context.Context) ([]alert.Silence, error) {
	// All in one go: alerts wait for it, and do without when it takes long.
	entries, err := s.bucket.Entries(ctx, silencePrefix+"*")
	if err != nil {
		return nil, err
	}
	list := []alert.Silence{}
	for _, e := range entries {
		// Nobody but us writes here; what is not from us silences nothing.
		one, strict := alert.Silence{}, json.NewDecoder(bytes.NewReader(e.Value))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&one); err != nil || silencePrefix+one.ID != e.Key || one.Check() != nil {
			continue
		}
		if time.Now().After(one.Until.Add(silenceKept)) {
			_ = s.bucket.Delete(ctx, e.Key) // or the next time
			continue
		}
		list = append(list, one)
	}
	slices.SortFunc(list, func(a, b alert.Silence) int { return cmp.Or(a.Until.Compare(b.Until), cmp.Compare(a.ID, b.ID)) })
	return list, nil
}
