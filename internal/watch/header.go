package watch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/rule"
)

// Header says which message of which stream a checkpoint was taken behind, and what
// its state depends on.
type Header struct {
	Namespace string `json:"namespace"`
	Anchor    Anchor `json:"anchor"`
	// Events are those that had been published by then.
	Events EventsMark `json:"events"`
	// Depends has a hash for each part of the configuration that shapes the state.
	Depends map[string]string `json:"depends"`
	Quests  int               `json:"quests"`
	Taken   time.Time         `json:"taken"`
}

// Anchor is a message of the stream in a form in which it can be recognised. The
// sequence is not enough, nor the position that the message carries: a stream that
// was made anew counts from 1, and one that lost its end may hold the same
// transaction at the same place, behind other marks.
type Anchor struct {
	// Created is when the stream was.
	Created time.Time  `json:"created"`
	Seq     change.Seq `json:"sequence"`
	// Stored is when the message was, by the server's clock, and Digest a hash of it.
	Stored time.Time `json:"stored"`
	Digest string    `json:"digest"`
}

// EventsMark is how far the events had come.
type EventsMark struct {
	// Created is when their stream was.
	Created time.Time `json:"created"`
	// Last is the position of the checker's newest one; Some is false where there was
	// none. Seq is the sequence of that one, or of a newer one.
	Last event.Position `json:"last"`
	Some bool           `json:"some"`
	Seq  change.Seq     `json:"sequence"`
}

// anchorOf is a message's anchor.
func anchorOf(m *Message) Anchor {
	h := sha256.New()
	_, _ = io.WriteString(h, m.Subject+"\x00") // hashes take everything
	_, _ = h.Write(m.Data)
	return Anchor{Created: m.Created, Seq: m.Seq, Stored: m.Stored, Digest: hex.EncodeToString(h.Sum(nil)[:16])}
}

// is reports whether two anchors are the same message.
func (a Anchor) is(b Anchor) bool {
	return a.Created.Equal(b.Created) && a.Seq == b.Seq && a.Stored.Equal(b.Stored) && a.Digest == b.Digest
}

// Depends has a hash for each part of the rules: all of them shape a state.
func (r *Rules) Depends() (map[string]string, error) {
	judged := struct {
		Drift      drift.Config
		Ways       rule.Ways
		Deleted    bool
		Off        []rule.Rule
		Severities []rule.Severity
	}{Drift: r.Drift, Ways: r.Ways, Deleted: r.Policy.Deleted}
	for _, one := range rule.All {
		if r.Policy.IsOff(one) {
			judged.Off = append(judged.Off, one)
		}
	}
	for _, o := range rule.Outcomes {
		judged.Severities = append(judged.Severities, r.Policy.Severity(o.Rule, o.Cause))
	}
	all := map[string]string{}
	for name, part := range map[string]any{"tables": r.Schema, "statuses": r.Statuses, "rules": judged} {
		data, err := json.Marshal(part)
		if err != nil {
			return nil, fmt.Errorf("encode the configured %s: %w", name, err)
		}
		sum := sha256.Sum256(data)
		all[name] = hex.EncodeToString(sum[:8])
	}
	return all, nil
}
