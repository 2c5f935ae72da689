package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
)

// Story is a finding with all that the streams tell of it, to be sent around. Its JSON form
// is public.
type Story struct {
	*Evidence
	// Events are those about the finding, in order.
	Events []json.RawMessage `json:"events"`
	// EventsLeftOut counts older ones for which there was no room.
	EventsLeftOut int `json:"events_left_out"`
	// Replay is the command that shows the stretch of the stream.
	Replay string `json:"replay"`

	events []event.Event
}

// eventsTold is how many events a story has.
const eventsTold = 200

// Story tells a finding. Private leaves out what people are called and what they wrote.
func (r *Reader) Story(ctx context.Context, id string, private bool) (*Story, error) {
	reader := *r
	if private {
		reader.names = aliases{}
	}
	e, err := reader.Finding(ctx, id)
	if err != nil {
		return nil, err
	}
	s := &Story{Evidence: e, Events: []json.RawMessage{}}
	if err := s.gather(ctx, r.events); err != nil {
		return nil, err
	}
	if private {
		s.conceal()
	}
	for i := range s.events {
		data, err := json.Marshal(map[string]any{
			"id": s.events[i].ID, "type": s.events[i].Type(), "time": event.Stamp(s.events[i].Time), "data": s.events[i].Data,
		})
		if err != nil {
			return nil, fmt.Errorf("encode event %s: %w", s.events[i].ID, err)
		}
		s.Events = append(s.Events, data)
	}
	s.Replay = s.command()
	return s, nil
}

// gather takes in the events that are about the finding.
func (s *Story) gather(ctx context.Context, events Events) error {
	_, last, err := events.Bounds(ctx)
	if err != nil {
		return err
	}
	refs, err := newest(ctx, events, math.MaxInt, last, fmt.Sprintf("*.*.*.%d", s.Finding.QuestID))
	if err != nil {
		return fmt.Errorf("read the events of quest %d: %w", s.Finding.QuestID, err)
	}
	places := map[string]change.Seq{}
	err = eachStored(ctx, events, refs, func(stored *Stored) error {
		e, err := event.Parse(stored.Data)
		if err != nil || findingAbout(&e) != s.Finding.Finding { // one of another version is about nobody knows what
			return nil
		}
		places[e.ID] = stored.Seq
		if s.events = append(s.events, e); len(s.events) > eventsTold {
			s.events = slices.Delete(s.events, 0, 1)
			s.EventsLeftOut++
		}
		return nil
	})
	if err != nil {
		return err
	}
	return s.undelivered(ctx, events, last, places)
}

// undelivered takes in which channels of alerts were not told of the finding's events, of
// which the places are given.
func (s *Story) undelivered(ctx context.Context, events Events, last change.Seq, places map[string]change.Seq) error {
	refs, err := newest(ctx, events, incidentsRead, last, "alert.undelivered.>")
	if err != nil {
		return fmt.Errorf("read the events of alerts: %w", err)
	}
	return eachStored(ctx, events, refs, func(stored *Stored) error {
		if e, err := event.Parse(stored.Data); err == nil {
			if u, ok := e.Data.(event.Undelivered); ok && isOf(&u, places) {
				s.events = append(s.events, e)
			}
		}
		return nil
	})
}

// isOf reports whether any of the events is among those that were not told. Where all are
// named it goes by that, else by their place.
func isOf(u *event.Undelivered, places map[string]change.Seq) bool {
	for id, seq := range places {
		if slices.Contains(u.EventIDs, id) || len(u.EventIDs) < u.Events && uint64(seq) >= u.First && uint64(seq) <= u.Last {
			return true
		}
	}
	return false
}

// findingAbout is the finding that an event is about, also of a kind that has no type of its own.
func findingAbout(e *event.Event) string {
	if raw, unknown := e.Data.(json.RawMessage); unknown {
		var d struct {
			Finding string `json:"finding"`
		}
		if json.Unmarshal(raw, &d) == nil {
			return d.Finding
		}
	}
	return e.FindingID()
}

// aliases call people by numbers.
type aliases struct{}

func (aliases) Usernames(_ context.Context, ids []string) (map[string]string, error) {
	names := map[string]string{}
	for i, id := range ids {
		names[id] = fmt.Sprintf("person %d", i+1)
	}
	return names, nil
}

// withheld stands for what is left out.
const withheld = "(left out)"

// conceal leaves out titles, what other columns hold that people write, who repaired, and
// the texts of errors.
func (s *Story) conceal() {
	hide := func(text *string) {
		if *text != "" {
			*text = withheld
		}
	}
	hide(&s.Finding.QuestTitle)
	for _, t := range s.Transactions {
		if t.Repair != nil {
			hide(&t.Repair.Actor)
		}
		for _, c := range t.Changes {
			c.Columns = slices.DeleteFunc(c.Columns, func(o Column) bool { return o.role == noRole && o.Column != "id" && o.Column != "quest_id" })
		}
	}
	for i := range s.events {
		switch d := s.events[i].Data.(type) {
		case event.Finding:
			hide(&d.QuestTitle)
			s.events[i].Data = d
		case event.Approval:
			hide(&d.QuestTitle)
			hide(&d.Error)
			s.events[i].Data = d
		case event.Repaired:
			hide(&d.Actor)
			s.events[i].Data = d
		case event.NotRepaired:
			hide(&d.Actor)
			hide(&d.Error)
			s.events[i].Data = d
		case event.Undelivered:
			hide(&d.Error)
			s.events[i].Data = d
		case json.RawMessage:
			s.events[i].Data = json.RawMessage("{}")
		}
	}
}

// command shows the stretch from what led to the finding to what ended it.
func (s *Story) command() string {
	first, last := change.Seq(s.Finding.Position.Sequence), change.Seq(s.Finding.Position.Sequence)
	for _, t := range s.Transactions {
		first, last = min(first, t.Sequence), max(last, t.Sequence)
	}
	if first == 0 || s.History.Replaced {
		return fmt.Sprintf("questwatch replay --quest %d", s.Finding.QuestID)
	}
	return fmt.Sprintf("questwatch replay --quest %d --from %d --to %d", s.Finding.QuestID, first, last)
}

// WriteJSON writes the story as one line.
func (s *Story) WriteJSON(w io.Writer) error { return writeJSON(w, s, "the story") }
