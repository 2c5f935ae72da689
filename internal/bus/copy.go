package bus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/hint"
)

// CopyHeader names the message that another one is a copy of: its stream, a slash, and its
// sequence.
const CopyHeader = "replayof"

// ErrNoCopies says that copies must not, or cannot, go to a subject.
var ErrNoCopies = errors.New("nothing can be published there")

// copyPatience bounds how long copies are tried for: the stream that takes them may be gone.
const copyPatience = 30 * time.Second

// CopyMsg is a copy of a stored message.
type CopyMsg struct {
	// Subject is below the prefix that copies go to.
	Subject, ID string
	// Of is the stream and the sequence of the message itself.
	Stream string
	Seq    Seq
	// ContentType is "" for what has none.
	ContentType string
	Data        []byte
}

// CheckCopies makes sure that copies can go to subjects below a prefix: a stream is there
// that takes them, which is none of ours nor of another instance.
func (c *Conn) CheckCopies(ctx context.Context, prefix string) error {
	op := fmt.Sprintf("publish below %q", prefix)
	tokens := strings.Split(prefix, ".")
	switch {
	case strings.ContainsAny(prefix, " \t\r\n*>") || slices.Contains(tokens, ""):
		return hint.Setup(fmt.Errorf("%s: %w: it is no subject", op, ErrNoCopies), "give words with dots between them, and no wildcards")
	case strings.HasPrefix(prefix, "$") || strings.HasPrefix(prefix, "_INBOX"):
		return hint.Setup(fmt.Errorf("%s: %w: the server keeps it for itself", op, ErrNoCopies), "give another prefix")
	case tokens[0] == c.names.namespace:
		return hint.Setup(fmt.Errorf("%s: %w: it is in the namespace of the instance, and would be taken for what happens", op, ErrNoCopies), "give another prefix")
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel() // a lister that is not read to its end
	taken := false
	for _, kind := range []string{"cdc", "events"} {
		lister := c.js.StreamNames(ctx, jetstream.WithStreamListSubject(prefix+"."+kind+".>"))
		for name := range lister.Name() {
			if name == c.names.cdcStream || name == c.names.eventsStream || ofInstance(name, tokens[0]) {
				return hint.Failed(op, fmt.Errorf("%w: stream %q takes it, which is an instance's own", ErrNoCopies, name), "give another prefix")
			}
			taken = true
		}
		if err := lister.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
			return classify(op, err)
		}
	}
	if !taken {
		return hint.Failed(op, fmt.Errorf("%w: no stream takes it", ErrNoCopies), fmt.Sprintf("make one: nats stream add COPIES --subjects '%s.>' --defaults; of an embedded server as its owner, who is in nats-owner.json of the data directory", prefix))
	}
	return nil
}

// ofInstance reports whether a stream is that of an instance whose namespace is a subject's
// first word.
func ofInstance(stream, namespace string) bool {
	other, err := newNames(namespace)
	return err == nil && (stream == other.cdcStream || stream == other.eventsStream)
}

// PublishCopies stores copies in their order and returns how many of the first ones are
// stored for certain. It tries as PublishEvent does. What is published again within the
// duplicate window of the stream that takes it is there once.
func (c *Conn) PublishCopies(ctx context.Context, prefix string, copies []CopyMsg) (stored int, err error) {
	op := fmt.Sprintf("publish below %q", prefix)
	for i := range copies {
		if err := c.checkSize(op, copies[i].Data); err != nil {
			return 0, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, copyPatience)
	defer cancel()
	stored, err = c.publishInOrder(ctx, prefix, len(copies), func(i int) *nats.Msg { return copyMessage(prefix, &copies[i]) })
	return stored, classify(op, err)
}

func copyMessage(prefix string, o *CopyMsg) *nats.Msg {
	m := nats.NewMsg(prefix + "." + o.Subject)
	m.Data = o.Data
	if o.ContentType != "" {
		m.Header.Set(contentTypeHeader, o.ContentType)
	}
	m.Header.Set(CopyHeader, o.Stream+"/"+strconv.FormatUint(uint64(o.Seq), 10))
	m.Header.Set(jetstream.MsgIDHeader, o.ID)
	return m
}
