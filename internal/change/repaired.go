package change

import (
	"encoding/json"
	"errors"
	"fmt"
)

// RepairPrefix is the prefix of the logical messages by which a repair says of its
// own transaction that it is one.
const RepairPrefix = "questwatch.repair"

// Repaired is what the transaction of a repair says of itself, or that of the undoing
// of one. Any role of the database may send it: what it says has been checked for its
// form alone.
type Repaired struct {
	// Namespace is that of the instance which repaired.
	Namespace string `json:"namespace"`
	// Entry is the journal's entry, Undoes the one that it takes back, or 0.
	Entry  int64 `json:"entry"`
	Undoes int64 `json:"undoes,omitempty"`
	// Finding is what was repaired; Rule, Cause and Action name what it was and what
	// was done.
	Finding string `json:"finding"`
	Rule    string `json:"rule"`
	Cause   string `json:"cause"`
	Action  string `json:"action"`
	QuestID int64  `json:"quest_id"`
	UserID  string `json:"user_id,omitempty"` // "" for a rule about the whole quest
	// Actor is who asked for it, Automatic that nobody did.
	Actor     string `json:"actor"`
	Automatic bool   `json:"automatic"`
	// Violated is when the transaction that began the violation committed, 0 where the
	// stream did not see it.
	Violated Millis `json:"violated_ms,omitempty"`
}

// Encode is the content of the message.
func (r *Repaired) Encode() string {
	data, err := json.Marshal(r)
	if err != nil { // there is nothing in it that cannot be encoded
		panic(err)
	}
	return string(data)
}

// ParseRepaired reads the content of a message. Its errors do not repeat the content.
func ParseRepaired(content string) (Repaired, error) {
	if len(content) > ReportLimit {
		return Repaired{}, fmt.Errorf("it has more than %d bytes", ReportLimit)
	}
	var r Repaired
	if err := json.Unmarshal([]byte(content), &r); err != nil {
		return Repaired{}, errors.New("it is not the JSON object of a repair")
	}
	if r.Namespace == "" || r.Entry <= 0 || r.Undoes < 0 || r.Finding == "" || r.QuestID == 0 {
		return Repaired{}, errors.New("it does not say what was repaired")
	}
	return r, nil
}
