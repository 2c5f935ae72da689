package watch_test

import (
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit/chronicle"
)

// wire puts a chronicle's message into the stream's form.
func wire(seq change.Seq, m *chronicle.Message) change.Record {
	source := change.Source{DB: "peerquest", Epoch: m.Epoch, Snapshot: m.Snapshot}
	tx := &change.Transaction{
		ID: m.Transaction.ID, CommitLSN: change.LSN(m.Transaction.CommitLSN), EndLSN: change.LSN(m.Transaction.EndLSN),
		Time: change.Millis(m.Transaction.Time), Message: m.Transaction.Message, Messages: m.Transaction.Messages,
	}
	if m.Kind == chronicle.Step {
		s := change.Step{QuestID: m.Quest, Transaction: *tx, Source: source}
		for _, c := range m.Changes {
			s.Changes = append(s.Changes, change.Change{
				Op: change.Op(c.Op), Entity: entities[c.Entity], Before: wireRow(c.Entity, c.Before), After: wireRow(c.Entity, c.After),
			})
		}
		return change.Record{Seq: seq, Subject: fmt.Sprintf("test.cdc.%d.%d", partOfQuest(m.Quest), m.Quest), Data: change.AppendStep(nil, &s)}
	}
	c := change.Control{
		Kind: change.Kind(m.Kind), Source: source, LSN: change.LSN(m.LSN), Time: change.Millis(m.Time),
		Reason: m.Reason, Entities: m.Entities, Instance: "us",
	}
	switch m.Kind {
	case chronicle.TxEnd, chronicle.Truncate:
		c.Transaction = tx
	case chronicle.Report:
		c.Transaction, c.Prefix = tx, change.ReportPrefix
		c.Content = fmt.Sprintf(`{"quest_id":%d,"application_id":%d,"user_id":%q}`, m.Quest, m.Failed.ID, m.Failed.User)
	}
	data, err := change.AppendControl(nil, &c)
	if err != nil {
		panic(err) // nothing in a control record can fail to encode
	}
	return change.Record{Seq: seq, Subject: controlSubject, Data: data}
}

// parts is how many partitions there are.
const (
	parts          = 16
	controlSubject = "test.cdc.control"
)

var entities = map[string]change.Entity{
	chronicle.Quest: change.Quest, chronicle.Application: change.Application, chronicle.Participant: change.Participant,
}

func wireRow(entity string, r *chronicle.Row) (row change.Row) {
	if r == nil {
		return nil
	}
	row = change.AppendValue(row, "id", fmt.Append(nil, r.ID))
	user := map[string]string{chronicle.Quest: "assigned_to_id", chronicle.Application: "applicant_id", chronicle.Participant: "user_id"}[entity]
	if r.User == "" {
		row = change.AppendValue(row, user, []byte("null"))
	} else {
		row = change.AppendText(row, user, r.User)
	}
	row = change.AppendText(row, "status", r.Status)
	if entity == chronicle.Quest {
		row = change.AppendText(row, "title", "")
		row = change.AppendValue(row, "is_deleted", fmt.Append(nil, r.Deleted))
	}
	return change.CloseRow(row)
}
