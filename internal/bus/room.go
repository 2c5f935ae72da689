package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Room is how full the CDC stream is.
type Room struct {
	StreamState
	// MaxBytes and MaxAge are the stream's limits, 0 or less where there is none.
	MaxBytes int64
	MaxAge   time.Duration
}

// CDCRoom looks how full the CDC stream is.
func (c *Conn) CDCRoom(ctx context.Context) (r Room, err error) {
	name := c.names.cdcStream
	var stream jetstream.Stream
	err = c.admin(ctx, name, func(ctx context.Context) (err error) {
		stream, err = c.js.Stream(ctx, name)
		return err
	})
	if err != nil {
		return r, classify(fmt.Sprintf("look how full stream %q is", name), err)
	}
	info := stream.CachedInfo()
	return Room{StreamState: stateOf(info), MaxBytes: info.Config.MaxBytes, MaxAge: info.Config.MaxAge}, nil
}

// Room is how many bytes the account may still store, if that is limited.
func (c *Conn) Room(ctx context.Context) (bytes int64, limited bool, err error) {
	err = c.admin(ctx, "INFO", func(ctx context.Context) error {
		info, err := c.js.AccountInfo(ctx)
		if err == nil {
			bytes, limited = info.Limits.MaxStore-int64(info.Store), info.Limits.MaxStore > 0
		}
		return err
	})
	return bytes, limited, classify("look how much may be stored", err)
}
