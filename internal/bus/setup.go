package bus

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/peerquest/questwatch/internal/hint"
)

const (
	// cdcDuplicates is the shortest window the server accepts: ids on the CDC
	// stream chain messages, they never meet twice.
	cdcDuplicates = 100 * time.Millisecond
	// eventsDuplicates has to outlast the retries of an event whose ack was
	// lost: a restart of the server with its recovery.
	eventsDuplicates = 10 * time.Minute
	// markerTTL is how long a bucket remembers that a key was deleted.
	markerTTL = time.Hour
)

// Setup makes the streams and buckets, or with ManageVerify only checks them.
// Limits of a stream that exists are changed to what is configured; a stream
// that differs in what cannot be changed safely is refused.
func (c *Conn) Setup(ctx context.Context) error {
	for _, want := range []jetstream.StreamConfig{c.cdcConfig(), c.eventsConfig()} {
		if err := c.setupStream(ctx, want); err != nil {
			return classify(fmt.Sprintf("set up stream %q", want.Name), err)
		}
	}
	for _, bucket := range []string{c.names.findingsBucket, c.names.controlBucket} {
		if err := c.setupBucket(ctx, bucket); err != nil {
			return classify(fmt.Sprintf("set up bucket %q", bucket), err)
		}
	}
	if c.cfg.Checkpoints {
		err := c.setupObjects(ctx, c.checkpoints, "states of questwatch's checker", "; or set watch.checkpoint_every to 0s, to go on without")
		if err != nil {
			return classify(fmt.Sprintf("set up object store %q", c.names.checkpointsBucket), err)
		}
	}
	if !c.cfg.Reports {
		return nil
	}
	// Streaming and checking need none.
	if err := c.setupObjects(ctx, c.reports, "reports of questwatch's audits, and trends", ""); err != nil {
		err = classify(fmt.Sprintf("set up object store %q", c.names.reportsBucket), err)
		c.log.Warn("reports of audits and trends cannot be kept", "err", err, "advice", hint.Of(err))
	}
	return ctx.Err()
}

func (c *Conn) cdcConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        c.names.cdcStream,
		Description: "changes of quests in commit order; written by one questwatch only",
		Subjects:    []string{c.names.cdcPrefix + ">"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxAge:      c.cfg.CDCMaxAge,
		MaxBytes:    c.cfg.CDCMaxBytes,
		Duplicates:  min(cdcDuplicates, c.cfg.CDCMaxAge),
		Replicas:    c.cfg.Replicas,
		DenyDelete:  true, // a message taken out of the middle would be a silent loss
		AllowDirect: true,
		MaxMsgs:     -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1,
		AllowAtomicPublish: c.cfg.Batches,
	}
}

func (c *Conn) eventsConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:        c.names.eventsStream,
		Description: "consistency events of questwatch (CloudEvents)",
		Subjects:    []string{c.names.eventsPrefix + ">"},
		Storage:     jetstream.FileStorage,
		Retention:   jetstream.LimitsPolicy,
		Discard:     jetstream.DiscardOld,
		MaxAge:      c.cfg.EventsMaxAge,
		MaxBytes:    -1,
		Duplicates:  min(eventsDuplicates, c.cfg.EventsMaxAge),
		Replicas:    c.cfg.Replicas,
		AllowDirect: true,
		MaxMsgs:     -1, MaxMsgsPerSubject: -1, MaxMsgSize: -1, MaxConsumers: -1,
	}
}

func (c *Conn) setupStream(ctx context.Context, want jetstream.StreamConfig) error {
	var have *jetstream.StreamInfo
	err := c.admin(ctx, want.Name, func(ctx context.Context) error {
		stream, err := c.js.Stream(ctx, want.Name)
		if err == nil {
			have = stream.CachedInfo()
		}
		return err
	})
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound) && c.cfg.Manage == ManageVerify:
		return hint.Failed("verify stream", fmt.Errorf("%w: it does not exist", ErrSetup), "create it: "+streamCommand("add", want))
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return c.admin(ctx, want.Name, func(ctx context.Context) error {
			made, err := c.js.CreateStream(ctx, want)
			if err != nil {
				return err
			}
			return checkBatches(made.CachedInfo().Config, want)
		})
	case err != nil:
		return err
	}
	if diff := fixedDifferences(have.Config, want); len(diff) > 0 {
		return hint.Failed("verify stream", fmt.Errorf("%w: %s", ErrSetup, strings.Join(diff, ", ")), "use another namespace, or change the stream where that is possible; a new one would be made by: "+streamCommand("add", want))
	}
	return c.adjustLimits(ctx, have.Config, want)
}

// adjustLimits changes what only decides how much is kept, and leaves the rest
// of an existing stream (its placement, its tags) as it is.
func (c *Conn) adjustLimits(ctx context.Context, have, want jetstream.StreamConfig) error {
	adjusted := have
	adjusted.MaxAge, adjusted.MaxBytes, adjusted.MaxMsgs = want.MaxAge, want.MaxBytes, want.MaxMsgs
	adjusted.Duplicates, adjusted.AllowDirect = want.Duplicates, want.AllowDirect
	adjusted.AllowAtomicPublish = have.AllowAtomicPublish || want.AllowAtomicPublish
	if limits(adjusted) == limits(have) {
		return nil
	}
	if c.cfg.Manage == ManageVerify {
		if err := checkBatches(have, want); err != nil {
			return err
		}
		c.log.Info("stream keeps limits of its own", "stream", have.Name, "limits", limits(have).String(), "configured", limits(adjusted).String())
		return nil
	}
	c.log.Info("changing limits of stream", "stream", have.Name, "from", limits(have).String(), "to", limits(adjusted).String())
	return c.admin(ctx, want.Name, func(ctx context.Context) error {
		now, err := c.js.UpdateStream(ctx, adjusted)
		if err != nil {
			return err
		}
		return checkBatches(now.CachedInfo().Config, want)
	})
}

// checkBatches looks whether a stream really takes batches, where they are wanted:
// a server that does not know them leaves the flag out without a word, and would
// store their messages one by one.
func checkBatches(have, want jetstream.StreamConfig) error {
	if !want.AllowAtomicPublish || have.AllowAtomicPublish {
		return nil
	}
	return hint.Setup(fmt.Errorf("check stream: %w: it does not allow atomic batches", ErrSetup), "%s", allowBatches(want.Name))
}

// allowBatches is advice for who wants every batch durable on a stream that takes
// none.
func allowBatches(stream string) string {
	return fmt.Sprintf("allow atomic batches, which nats-server has since 2.12: nats stream edit %s --allow-batch; or set stream.durability to interval", stream)
}

type streamLimits struct {
	maxAge, duplicates time.Duration
	maxBytes, maxMsgs  int64
	direct, batches    bool
}

func limits(c jetstream.StreamConfig) streamLimits {
	return streamLimits{maxAge: c.MaxAge, duplicates: c.Duplicates, maxBytes: c.MaxBytes, maxMsgs: c.MaxMsgs, direct: c.AllowDirect, batches: c.AllowAtomicPublish}
}

func (l streamLimits) String() string {
	return fmt.Sprintf("age %v, bytes %d, messages %d, duplicate window %v, direct %t, batches %t", l.maxAge, l.maxBytes, l.maxMsgs, l.duplicates, l.direct, l.batches)
}

// fixedDifferences are those that would break a promise of this program, or
// that the server would not change.
func fixedDifferences(have, want jetstream.StreamConfig) []string {
	var diff []string
	note := func(what string, have, want any) {
		if h, w := fmt.Sprint(have), fmt.Sprint(want); h != w {
			diff = append(diff, fmt.Sprintf("%s is %s, not %s", what, h, w))
		}
	}
	note("subjects", have.Subjects, want.Subjects)
	note("storage", have.Storage, want.Storage)
	note("retention", have.Retention, want.Retention)
	note("discard policy", have.Discard, want.Discard)
	note("messages per subject", have.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
	note("largest message", have.MaxMsgSize, want.MaxMsgSize)
	note("no-ack", have.NoAck, want.NoAck)
	note("sealed", have.Sealed, want.Sealed)
	note("mirror", have.Mirror != nil, false)
	note("sources", len(have.Sources), 0)
	note("subject transform", have.SubjectTransform != nil, false)
	note("persist mode", have.PersistMode, want.PersistMode) // the other one acknowledges before it writes
	return diff
}

func (c *Conn) setupBucket(ctx context.Context, name string) error {
	err := c.admin(ctx, name, func(ctx context.Context) error {
		_, err := c.js.KeyValue(ctx, name)
		return err
	})
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return err
	}
	if c.cfg.Manage == ManageVerify {
		return hint.Failed("verify bucket", fmt.Errorf("%w: it does not exist", ErrSetup), fmt.Sprintf("create it: nats kv add %s --history=1 --storage=file --replicas=%d --marker-ttl=%s", name, c.cfg.Replicas, markerTTL))
	}
	cfg := jetstream.KeyValueConfig{
		Bucket: name, History: 1, Storage: jetstream.FileStorage, Replicas: c.cfg.Replicas, LimitMarkerTTL: markerTTL,
	}
	return c.admin(ctx, name, func(ctx context.Context) error {
		_, err := c.js.CreateKeyValue(ctx, cfg)
		if errors.Is(err, jetstream.ErrLimitMarkerTTLNotSupported) { // servers before 2.11
			cfg.LimitMarkerTTL = 0
			_, err = c.js.CreateKeyValue(ctx, cfg)
		}
		return err
	})
}

// setupObjects makes an object store.
func (c *Conn) setupObjects(ctx context.Context, o *Objects, about, otherwise string) error {
	err := c.admin(ctx, o.stream(), func(ctx context.Context) error {
		_, err := c.js.Stream(ctx, o.stream())
		return err
	})
	if !errors.Is(err, jetstream.ErrStreamNotFound) {
		return err
	}
	if c.cfg.Manage == ManageVerify {
		return hint.Failed("verify object store", fmt.Errorf("%w: it does not exist", ErrSetup),
			fmt.Sprintf("create it: nats object add %s --storage=file --replicas=%d%s", o.bucket, c.cfg.Replicas, otherwise))
	}
	return c.admin(ctx, o.stream(), func(ctx context.Context) error {
		_, err := c.js.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{
			Bucket: o.bucket, Description: about, Storage: jetstream.FileStorage, Replicas: c.cfg.Replicas,
		})
		return err
	})
}

// streamCommand is the nats CLI's way to make the stream.
func streamCommand(verb string, s jetstream.StreamConfig) string {
	parts := []string{
		"nats stream " + verb, s.Name,
		fmt.Sprintf("--subjects='%s'", strings.Join(s.Subjects, ",")),
		"--storage=file --retention=limits --discard=old",
		fmt.Sprintf("--max-age=%s --max-bytes=%d --max-msgs=-1 --max-msgs-per-subject=-1 --max-msg-size=-1", s.MaxAge, s.MaxBytes),
		fmt.Sprintf("--dupe-window=%s --replicas=%d --allow-direct", s.Duplicates, s.Replicas),
	}
	if s.DenyDelete {
		parts = append(parts, "--deny-delete")
	}
	if s.AllowAtomicPublish {
		parts = append(parts, "--allow-batch")
	}
	return strings.Join(append(parts, "--defaults"), " ")
}
