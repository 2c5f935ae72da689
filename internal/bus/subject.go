package bus

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/peerquest/questwatch/internal/hint"
)

const (
	defaultNamespace = "questwatch"
	partitions       = 16

	fnvOffset = 2166136261
	fnvPrime  = 16777619
)

// names are all names on the server, derived from the namespace.
type names struct {
	namespace                     string
	cdcStream, eventsStream       string
	cdcPrefix, eventsPrefix       string
	control                       string
	findingsBucket, controlBucket string
	checkpointsBucket             string
	reportsBucket                 string
}

func newNames(namespace string) (names, error) {
	for _, r := range namespace {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return names{}, hint.Failed(fmt.Sprintf("check namespace %q", namespace), fmt.Errorf("character %q", r), "use lower-case letters, digits, '-' and '_' only")
		}
	}
	upper := strings.ToUpper(strings.ReplaceAll(namespace, "-", "_"))
	return names{
		namespace: namespace,
		cdcStream: upper + "_CDC", eventsStream: upper + "_EVENTS",
		cdcPrefix: namespace + ".cdc.", eventsPrefix: namespace + ".events.",
		control:        namespace + ".cdc.control",
		findingsBucket: namespace + "-findings", controlBucket: namespace + "-control",
		checkpointsBucket: namespace + "-checkpoints",
		reportsBucket:     namespace + "-reports",
	}, nil
}

// CDCStream is the CDC stream's name.
func (c *Conn) CDCStream() string { return c.names.cdcStream }

// EventsStream is the events stream's name.
func (c *Conn) EventsStream() string { return c.names.eventsStream }

// ControlSubject is where control records of the CDC stream go.
func (c *Conn) ControlSubject() string { return c.names.control }

// EventSubject completes the part after "<namespace>.events.".
func (c *Conn) EventSubject(rest string) string { return c.names.eventsPrefix + rest }

// StepSubject is where the steps of a quest go.
func (c *Conn) StepSubject(questID int64) string {
	return string(c.AppendStepSubject(nil, questID))
}

// AppendStepSubject appends StepSubject to dst.
func (c *Conn) AppendStepSubject(dst []byte, questID int64) []byte {
	var buf [20]byte
	id := strconv.AppendInt(buf[:0], questID, 10)
	dst = append(dst, c.names.cdcPrefix...)
	dst = strconv.AppendUint(dst, uint64(partition(id)), 10)
	dst = append(dst, '.')
	return append(dst, id...)
}

// partition is the server's own partition function: fnv1a32 modulo.
func partition(id []byte) uint32 {
	h := uint32(fnvOffset)
	for _, b := range id {
		h = (h ^ uint32(b)) * fnvPrime
	}
	return h % partitions
}
