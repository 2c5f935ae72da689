package bus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/hint"
)

// Message is a stored message.
type Message struct {
	Seq     Seq
	Subject string
	Data    []byte
	// Stored is by the server's clock. ConsumeCDC may say when this process was told
	// that the message is stored, by its own.
	Stored time.Time
	// ID is the message's, from ReadEventIDs and ReadPast only. Of changes those have one that
	// were not written in batches.
	ID string
}

// StreamState is what a stream holds. First is Last+1 when it is empty. A
// stream that was deleted and made again has another Created.
type StreamState struct {
	Created         time.Time
	First, Last     Seq
	Messages, Bytes uint64
}

// Missing is how many messages between the first and the last are not there.
func (s StreamState) Missing() uint64 { return uint64(s.Last-s.First) + 1 - s.Messages }

// CDCState returns the CDC stream's state.
func (c *Conn) CDCState(ctx context.Context) (StreamState, error) {
	return c.streamState(ctx, c.names.cdcStream)
}

// EventsState returns the events stream's state.
func (c *Conn) EventsState(ctx context.Context) (StreamState, error) {
	return c.streamState(ctx, c.names.eventsStream)
}

func (c *Conn) streamState(ctx context.Context, name string) (StreamState, error) {
	var stream jetstream.Stream
	err := c.admin(ctx, name, func(ctx context.Context) (err error) {
		stream, err = c.js.Stream(ctx, name)
		return err
	})
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		err = hint.Wrap(err, "questwatch run makes it: name the namespace and the NATS server that it is run with")
	}
	if err != nil {
		return StreamState{}, classify(fmt.Sprintf("read state of stream %q", name), err)
	}
	return stateOf(stream.CachedInfo()), nil
}

func stateOf(info *jetstream.StreamInfo) StreamState {
	state := StreamState{
		Created: info.Created,
		First:   Seq(info.State.FirstSeq), Last: Seq(info.State.LastSeq),
		Messages: info.State.Msgs, Bytes: info.State.Bytes,
	}
	if state.Messages == 0 {
		state.First = state.Last + 1 // a new stream says 0
	}
	return state
}

// CDCMessage reads one message of the CDC stream, ErrNoMessage when it is gone
// or was never there. It does not tell foreign messages from ours.
func (c *Conn) CDCMessage(ctx context.Context, seq Seq) (Message, error) {
	stored, err := c.getMessage(ctx, c.names.cdcStream, getRequest{Seq: uint64(seq)})
	return stored.Message, err
}

// CDCStored says when a message of the CDC stream was stored, by this connection's
// clock where it wrote it lately. Asking the server for a message has it load a
// block of many, and keep that for a while.
func (c *Conn) CDCStored(ctx context.Context, seq Seq) (time.Time, error) {
	if at, ok := c.tail.stored(seq); ok {
		return at, nil
	}
	m, err := c.CDCMessage(ctx, seq)
	return m.Stored, err
}

// CDCTail finds where writing has to go on: last is the stream's last sequence,
// for NewWriter, and tail the newest message that a Writer wrote, which is not
// at last if foreign messages follow it. It fails with ErrNoMessage, and a
// valid last, when the stream holds no such message.
func (c *Conn) CDCTail(ctx context.Context) (last Seq, tail Message, err error) {
	state, err := c.CDCState(ctx)
	if err != nil {
		return 0, Message{}, err
	}
	for seq := state.Last; seq >= state.First; seq-- {
		stored, err := c.getMessage(ctx, c.names.cdcStream, getRequest{Seq: uint64(seq)})
		if err != nil {
			return state.Last, Message{}, err
		}
		if !c.isForeign(c.names.cdcStream, stored.header) {
			return state.Last, stored.Message, nil
		}
		c.skipForeign(c.names.cdcStream, stored.Message, seq == state.Last)
	}
	return state.Last, Message{}, fmt.Errorf("read tail of stream %q: %w", c.names.cdcStream, ErrNoMessage)
}

type getRequest struct {
	Seq     uint64 `json:"seq,omitempty"`
	LastFor string `json:"last_by_subj,omitempty"`
	NextFor string `json:"next_by_subj,omitempty"` // from Seq on
}

type getResponse struct {
	Error   *jetstream.APIError `json:"error"`
	Message *struct {
		Subject string    `json:"subject"`
		Seq     uint64    `json:"seq"`
		Header  []byte    `json:"hdrs"`
		Data    []byte    `json:"data"`
		Time    time.Time `json:"time"`
	} `json:"message"`
}

type storedMessage struct {
	Message
	header nats.Header
}

// getMessage asks the stream's leader. The faster direct reads may be answered
// by a replica that lags behind, which would be fatal for the tail.
func (c *Conn) getMessage(ctx context.Context, stream string, req getRequest) (storedMessage, error) {
	op := fmt.Sprintf("read message of stream %q", stream)
	if req.Seq == 0 && req.LastFor == "" {
		return storedMessage{}, fmt.Errorf("%s: sequence 0: %w", op, ErrNoMessage)
	}
	body, err := json.Marshal(req)
	if err != nil {
		return storedMessage{}, fmt.Errorf("%s: %w", op, err)
	}
	var reply *nats.Msg
	err = c.admin(ctx, stream, func(ctx context.Context) (err error) {
		reply, err = c.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+stream, body)
		return err
	})
	if errors.Is(err, nats.ErrNoResponders) {
		err = jetstream.ErrJetStreamNotEnabled
	}
	if err != nil {
		return storedMessage{}, classify(op, err)
	}
	m, err := decodeStored(reply.Data)
	return m, classify(op, err)
}

func decodeStored(data []byte) (storedMessage, error) {
	var resp getResponse
	if err := json.Unmarshal(data, &resp); err != nil {
		return storedMessage{}, fmt.Errorf("decode response: %w", err)
	}
	if resp.Error != nil && resp.Error.ErrorCode == codeNoMessage {
		return storedMessage{}, ErrNoMessage
	}
	if resp.Error != nil {
		return storedMessage{}, resp.Error
	}
	if resp.Message == nil {
		return storedMessage{}, errors.New("decode response: no message in it")
	}
	m := resp.Message
	s := storedMessage{Message: Message{Seq: Seq(m.Seq), Subject: m.Subject, Data: m.Data, Stored: m.Time}}
	if len(m.Header) > 0 {
		h, err := nats.DecodeHeadersMsg(m.Header)
		if err != nil {
			return storedMessage{}, fmt.Errorf("decode headers: %w", err)
		}
		s.header = h
	}
	return s, nil
}
