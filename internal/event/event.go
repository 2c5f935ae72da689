package event

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/change"
)

// ContentType is that of an encoded event.
const ContentType = "application/cloudevents+json"

// Event is one consistency event.
type Event struct {
	// ID is unique and deterministic; JetStream drops a second one.
	ID string
	// Group, What and Detail are the subject's tokens: drift, opened, the rule.
	Group, What, Detail string
	// Quest is the quest it is about, or 0.
	Quest int64
	// Time is when it happened, in stream time.
	Time change.Millis
	// Data is encoded with encoding/json; it embeds Position.
	Data any
}

// Position is where in the CDC stream an event was due.
type Position struct {
	// Sequence is the stream sequence of the message.
	Sequence uint64 `json:"sequence"`
	// Index counts the events of that message from 0.
	Index int `json:"index"`
}

// After reports whether p comes after q.
func (p Position) After(q Position) bool {
	return p.Sequence > q.Sequence || p.Sequence == q.Sequence && p.Index > q.Index
}

// Subject is the event's subject under a namespace.
func (e *Event) Subject(namespace string) string {
	quest := "_"
	if e.Quest != 0 {
		quest = strconv.FormatInt(e.Quest, 10)
	}
	return fmt.Sprintf("%s.events.%s.%s.%s.%s", namespace, e.Group, e.What, token(e.Detail), quest)
}

// token is a text as one token of a subject. A reason comes from a record of the
// stream; one that made a bad subject would stop all that follows.
func token(text string) string {
	if text == "" {
		return "_"
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r >= 0x7f || strings.ContainsRune(".*>", r) {
			return '_'
		}
		return r
	}, text)
}

// Type is the CloudEvents type.
func (e *Event) Type() string { return fmt.Sprintf("dev.questwatch.%s.%s.v1", e.Group, e.What) }

// envelope is the CloudEvents 1.0 JSON format.
type envelope struct {
	SpecVersion     string `json:"specversion"`
	ID              string `json:"id"`
	Source          string `json:"source"`
	Type            string `json:"type"`
	Subject         string `json:"subject,omitempty"`
	Time            string `json:"time"`
	DataContentType string `json:"datacontenttype"`
	Data            any    `json:"data"`
}

// Encode is the event's CloudEvents form; its source is the namespace.
func (e *Event) Encode(namespace string) ([]byte, error) {
	env := envelope{
		SpecVersion: "1.0", ID: e.ID, Source: "/questwatch/" + namespace, Type: e.Type(),
		Time: Stamp(e.Time), DataContentType: "application/json", Data: e.Data,
	}
	if e.Quest != 0 {
		env.Subject = "quest/" + strconv.FormatInt(e.Quest, 10)
	}
	data, err := json.Marshal(env)
	if err != nil {
		return nil, fmt.Errorf("encode event %s: %w", e.ID, err)
	}
	return data, nil
}

// PositionOf reads the position out of an encoded event.
func PositionOf(data []byte) (Position, error) {
	var env struct {
		Data struct {
			Position *Position `json:"position"`
		} `json:"data"`
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return Position{}, fmt.Errorf("read event's position: %w", err)
	}
	if env.Data.Position == nil {
		return Position{}, fmt.Errorf("read event's position: it has none")
	}
	return *env.Data.Position, nil
}

// Stamp is a moment in RFC 3339 with milliseconds.
func Stamp(m change.Millis) string { return m.Time().Format("2006-01-02T15:04:05.000Z07:00") }

// ms is a length of time on the wire.
func ms(d time.Duration) int64 { return d.Milliseconds() }

// hashed makes an event's id of what tells it from others of its kind, so that one that is
// told again has the same.
func hashed(kind, format string, args ...any) string {
	about := fmt.Sprintf(format, args...)
	sum := sha256.Sum256([]byte(kind + " " + about))
	return kind + "." + hex.EncodeToString(sum[:10])
}

// IDOf reads the id out of an encoded event.
func IDOf(data []byte) (string, error) {
	var env struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal(data, &env); err != nil {
		return "", fmt.Errorf("read event's id: %w", err)
	}
	return env.ID, nil
}
