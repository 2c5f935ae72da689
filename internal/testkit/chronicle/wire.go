package chronicle

import "encoding/json"

// The form that messages have on the stream, as the design says it: it is not taken from the
// program that reads and writes it.
type (
	wireTransaction struct {
		ID        uint64 `json:"id"`
		CommitLSN uint64 `json:"commit_lsn"`
		EndLSN    uint64 `json:"end_lsn,omitempty"`
		Time      Millis `json:"ts_ms"`
		Message   int    `json:"message"`
		Messages  int    `json:"messages"`
	}
	wireSource struct {
		Connector string `json:"connector"`
		DB        string `json:"db"`
		Epoch     uint64 `json:"epoch"`
		Snapshot  bool   `json:"snapshot"`
	}
	wireChange struct {
		Op     string         `json:"op"`
		Entity string         `json:"entity"`
		Table  string         `json:"table"`
		Order  int            `json:"order"`
		LSN    uint64         `json:"lsn"`
		Before map[string]any `json:"before"`
		After  map[string]any `json:"after"`
	}
	wireStep struct {
		QuestID     int64           `json:"quest_id"`
		Transaction wireTransaction `json:"transaction"`
		Source      wireSource      `json:"source"`
		Changes     []wireChange    `json:"changes"`
		Published   Millis          `json:"ts_ms"`
	}
	wireControl struct {
		Control     Kind             `json:"control"`
		LSN         uint64           `json:"lsn,omitempty"`
		Time        Millis           `json:"ts_ms,omitempty"`
		Reason      string           `json:"reason,omitempty"`
		Entities    []string         `json:"entities,omitempty"`
		Instance    string           `json:"instance,omitempty"`
		Prefix      string           `json:"prefix,omitempty"`
		Content     string           `json:"content,omitempty"`
		Transaction *wireTransaction `json:"transaction,omitempty"`
		Source      wireSource       `json:"source"`
	}
)

// JSON is the message as the stream has it.
func (m *Message) JSON() []byte {
	t := &m.Transaction
	tx := wireTransaction{t.ID, t.CommitLSN, t.EndLSN, t.Time, t.Message, t.Messages}
	source := wireSource{"questwatch", "peerquest", m.Epoch, m.Snapshot}
	if m.Kind == Step {
		s := wireStep{QuestID: m.Quest, Transaction: tx, Source: source, Changes: []wireChange{}}
		for i, c := range m.Changes {
			s.Changes = append(s.Changes, wireChange{
				Op: string(rune(c.Op)), Entity: c.Entity, Order: i + 1, Before: c.columns(c.Before), After: c.columns(c.After),
			})
		}
		return encoded(s)
	}
	c := wireControl{
		Control: m.Kind, LSN: m.LSN, Time: m.Time, Reason: m.Reason, Entities: m.Entities, Instance: "us", Source: source,
	}
	switch m.Kind {
	case TxEnd, Truncate:
		c.Transaction = &tx
	case Report:
		c.Transaction, c.Prefix = &tx, "questwatch.approval_failed"
		c.Content = string(encoded(map[string]any{"quest_id": m.Quest, "application_id": m.Failed.ID, "user_id": m.Failed.User}))
	case Step, Progress, Epoch, Gap, BaselineBegin, BaselineEnd:
	}
	return encoded(c)
}

func (c *Change) columns(r *Row) map[string]any {
	if r == nil {
		return nil
	}
	person := map[string]string{Quest: "assigned_to_id", Application: "applicant_id", Participant: "user_id"}[c.Entity]
	all := map[string]any{"id": r.ID, person: nil, "status": r.Status}
	if r.User != "" {
		all[person] = r.User
	}
	if c.Entity == Quest {
		all["title"], all["is_deleted"] = "", r.Deleted
	}
	return all
}

func encoded(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // there is nothing in it that JSON does not have
	}
	return data
}
