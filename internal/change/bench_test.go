package change_test

import (
	"testing"

	"github.com/peerquest/questwatch/internal/change"
)

func BenchmarkAppendStep(b *testing.B) {
	s, buffer := documentedStep(), make([]byte, 0, 4096)
	b.SetBytes(int64(len(documented)))
	b.ReportAllocs()
	for b.Loop() {
		buffer = change.AppendStep(buffer[:0], &s)
	}
}

func BenchmarkDecodeStep(b *testing.B) {
	var d change.Decoder
	var s change.Step
	data := []byte(documented)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Step(data, &s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeApproval decodes what a usual transaction of the application
// did to a quest, with all the columns that are streamed.
func BenchmarkDecodeApproval(b *testing.B) {
	var d change.Decoder
	var s change.Step
	data := approval()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Step(data, &s); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkDecodeAndRead is the same and what the state does with it: reading
// the columns of the rows that now stand.
func BenchmarkDecodeAndRead(b *testing.B) {
	var d change.Decoder
	var s change.Step
	data := approval()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if err := d.Step(data, &s); err != nil {
			b.Fatal(err)
		}
		for i := range s.Changes {
			if _, err := readAsState(&s.Changes[i]); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkReadRow looks at every column of a row.
func BenchmarkReadRow(b *testing.B) {
	row := change.Row(`{"id":7,"quest_id":42,"applicant_id":"8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c","status":"approved",` +
		`"applied_at":"2026-07-01T13:22:32.000000+00:00","reviewed_at":null}`)
	b.SetBytes(int64(len(row)))
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := row.Each(func(_, value []byte) error { n += len(value); return nil }); err != nil {
			b.Fatal(err)
		}
	}
}

// standing is what the state keeps of a row.
type standing struct {
	id           int64
	user, status []byte
}

func readAsState(c *change.Change) (r standing, err error) {
	err = c.Each(func(column, value []byte) (err error) {
		if change.Null(value) {
			return nil
		}
		switch string(column) {
		case "id":
			r.id, err = change.Int(value)
		case "applicant_id", "user_id", "assigned_to_id":
			r.user, err = change.TextBytes(value)
		case "status":
			r.status, err = change.TextBytes(value)
		}
		return err
	})
	return r, err
}

// approval is the message of an approval: four rows, three of them updates
// whose old form is in the log too.
func approval() []byte {
	const (
		ann, bob = `"8f14e45f-ceea-467f-9b5c-3f2e5d0a1b2c"`, `"c9f0f895-fb98-4b91-9d3b-7c5e4a2d1e0f"`
		first    = `"applied_at":"2026-07-01T13:22:32.104233+00:00","reviewed_at":`
		now      = `"2026-07-01T14:05:11.523871+00:00"`
	)
	application := func(id, person, status, reviewed string) change.Row {
		return change.Row(`{"id":` + id + `,"quest_id":48213,"applicant_id":` + person + `,"status":"` + status + `",` + first + reviewed + `}`)
	}
	quest := func(status, assigned, updated string) change.Row {
		return change.Row(`{"id":48213,"title":"Help with the school's library: shelves","status":"` + status + `","assigned_to_id":` + assigned +
			`,"is_deleted":false,"completed_at":null,"updated_at":` + updated + `}`)
	}
	const applications, lsn = "public.applications_application", 24_023_128_512
	return change.AppendStep(nil, &change.Step{
		QuestID:     48213,
		Transaction: change.Transaction{ID: 7_541_902, CommitLSN: lsn + 2000, EndLSN: lsn + 2048, Time: 1782912152000, Message: 1, Messages: 1},
		Source:      change.Source{DB: "peerquest", Epoch: 3},
		Changes: []change.Change{
			{
				Op: change.Update, Entity: change.Application, Table: applications, Order: 1, LSN: lsn,
				Before: application("130977", ann, "pending", "null"), After: application("130977", ann, "approved", now),
			},
			{
				Op: change.Create, Entity: change.Participant, Table: "public.quests_questparticipant", Order: 2, LSN: lsn + 400,
				After: change.Row(`{"id":66012,"quest_id":48213,"user_id":` + ann + `,"status":"joined","joined_at":` + now + `}`),
			},
			{
				Op: change.Update, Entity: change.Quest, Table: "public.quests_quest", Order: 3, LSN: lsn + 800,
				Before: quest("open", "null", `"2026-06-30T08:11:09.000417+00:00"`), After: quest("in-progress", ann, now),
			},
			{
				Op: change.Update, Entity: change.Application, Table: applications, Order: 4, LSN: lsn + 1200,
				Before: application("130981", bob, "pending", "null"), After: application("130981", bob, "rejected", now),
			},
		},
		Published: 1782912152004,
	})
}
