package bench

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/change"
)

// reader looks at the CDC stream as any client can.
type reader struct {
	conn   *nats.Conn
	stream jetstream.Stream
}

func connect(ctx context.Context, url string) (*reader, error) {
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	r := &reader{conn: conn}
	js, err := jetstream.New(conn)
	if err == nil {
		r.stream, err = js.Stream(ctx, "QUESTWATCH_CDC")
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("look at the stream: %w", err)
	}
	return r, nil
}

func (r *reader) close() { r.conn.Close() }

// subject is where a quest's steps are.
func subject(quest int) string {
	h := fnv.New32a()
	id := strconv.Itoa(quest)
	h.Write([]byte(id))
	return fmt.Sprintf("questwatch.cdc.%d.%s", h.Sum32()%16, id)
}

// last finds the newest message of a quest that is not of the baseline.
func (r *reader) last(ctx context.Context, quest int) (seq uint64, ok bool, err error) {
	m, err := r.stream.GetLastMsgForSubject(ctx, subject(quest))
	if err != nil {
		return 0, false, fmt.Errorf("look for the last message: %w", err)
	}
	var d change.Decoder
	var step change.Step
	if err := d.Step(m.Data, &step); err != nil {
		return 0, false, fmt.Errorf("look for the last message: %w", err)
	}
	return m.Sequence, !step.Source.Snapshot, nil
}

// rows counts the changes that are in the stream behind the baseline.
func (r *reader) rows(ctx context.Context) (n int, err error) {
	info, err := r.stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at the stream: %w", err)
	}
	var d change.Decoder
	for seq := info.State.LastSeq; seq > 0; seq-- {
		m, err := r.stream.GetMsg(ctx, seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("look at the stream: %w", err)
		}
		if change.IsControl(m.Data) {
			c, err := d.Control(m.Data)
			if err != nil {
				return 0, fmt.Errorf("look at the stream: %w", err)
			}
			if c.Kind == change.BaselineEnd {
				break
			}
			continue
		}
		var step change.Step
		if err := d.Step(m.Data, &step); err != nil {
			return 0, fmt.Errorf("look at the stream: %w", err)
		}
		n += len(step.Changes)
	}
	return n, nil
}
