// Package bus is the program's side of NATS JetStream: the CDC stream with its
// one writer, the events stream, two key-value buckets, and an object store.
// Connect makes no stream; Setup does, or checks them.
//
// # Writing the CDC stream
//
// A Writer publishes many messages without waiting for each, and promises:
// what is stored of the messages given to it is a prefix of them, in order,
// with nothing in between, whatever fails. To that end every message names
// the message it has to follow, twice. The expected last sequence alone is not
// enough: a foreign message that takes the place of ours makes the server
// refuse one message and then, the numbers being right again, accept the next,
// which leaves a hole. So each message also has an id of its own and names the
// id of its predecessor, and the server refuses everything after the first
// message that is missing. The ids serve only that; the duplicate window is
// as short as the server allows.
//
// After the first failure a Writer is dead. ErrFenced means that something
// else wrote to the stream; ErrUncertain, that messages after Acked may or may
// not be stored. Either way the caller reads the tail and makes a new Writer.
// Messages of a dead Writer may still arrive at the server for a moment; they
// can delay a new Writer, by fencing it, and cannot mix with its messages.
//
// A message in a stream that this package did not publish is foreign.
// Permissions should prevent them but cannot altogether: whoever may use
// JetStream's API can have its responses sent to any subject. Reading skips
// foreign messages and logs them. In the CDC stream none can pass for one of
// ours: the headers that mark ours make the server refuse a copy. In the
// events stream a copy of an event can be stored, and has that event's id.
// Values in buckets bear no such mark: treat them as input.
//
// A BatchWriter promises the same and publishes atomic batches, which a server
// that syncs every write (SyncAlways) takes many times faster than messages one by
// one. It keeps holes out in another way: one batch is under way at a time, is
// stored whole or refused, and names the sequence it has to follow. Setup allows
// batches on the stream; servers before 2.12 know none, and are refused.
//
// SyncPolicy reads from servers' monitoring pages when what they acknowledge is on
// the disk. Where nobody says so, two minutes is what a server takes by default.
//
// # Consuming
//
// ConsumeCDC and ConsumeEvents deliver strictly in stream order, each message
// once, one at a time, across reconnects and lost consumers. On the CDC stream
// a message that is missing ends consumption with a *SeqGapError, and a stream
// that was recreated or rolled back with ErrStreamReset; nothing is skipped
// silently.
//
// What a writer of the same Conn writes, ConsumeCDC takes from memory as soon as it
// is acknowledged (Config.TailBytes), instead of having the server send it back; the
// server would keep in memory what is read while it is written. Everything
// else comes from a consumer in the server: the start, what others wrote, and what a
// slow consumer has missed. Before the first message from memory, and every few
// seconds without one, the stream is looked at. One lone message of a BatchWriter has
// no id: a stream that lost its end and got the very same message again there passes
// for the old one.
//
// An acknowledged message can be lost by the server in a power
// failure, so positions that outlive a process need more than a sequence.
//
// # The past
//
// ReadSteps, ReadEventIDs and NextControl read what is stored and return. The server
// selects by subject, so that one quest's steps among millions are read in
// milliseconds. They give up where nothing comes for half a minute.
//
// # Events
//
// PublishEvent returns when the event is stored, and tries until its context
// ends unless trying is futile. An event's id makes that idempotent within the
// stream's duplicate window (ten minutes). PublishEvents keeps the order of
// its events, among which those of others may come.
//
// # Requests
//
// Serve answers requests to this instance (package micro of nats.go: discovery and
// statistics come with it), Ask makes them from another process. An answer may come
// in parts, so that long work shows signs of life.
//
// # Objects
//
// An object counts from the moment at which all of it is stored, and what is read of
// one is checked at its end. Neither side keeps an object in memory, whatever its
// size, and no more than a megabyte of one is under way. Another client can copy
// chunks into the store as it can events: an object that it spoils is damaged.
//
// # Failure and shutdown
//
// The connection reconnects for ever and buffers nothing meanwhile: calls fail
// or wait, as their docs say, and nothing is sent late. Errors that an operator
// can act upon carry advice (package hint). Close ends everything; calls under way
// return an error. A Writer, and a Consume, end by Close and ctx beforehand.
package bus
