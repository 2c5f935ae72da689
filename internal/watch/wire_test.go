package watch_test

import (
	"fmt"

	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/testkit/chronicle"
)

// wire puts a chronicle's message into the stream's form.
func wire(seq change.Seq, m *chronicle.Message) change.Record {
	subject := controlSubject
	if m.Kind == chronicle.Step {
		subject = fmt.Sprintf("test.cdc.%d.%d", partOfQuest(m.Quest), m.Quest)
	}
	return change.Record{Seq: seq, Subject: subject, Data: m.JSON()}
}

// parts is how many partitions there are.
const (
	parts          = 16
	controlSubject = "test.cdc.control"
)
