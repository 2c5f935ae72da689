// Package watch reads the CDC stream, keeps the state of every quest, judges the
// rules, and publishes what it finds.
//
// Guarantees.
//
// Whole transactions: a quest is judged at the last message of a transaction
// that touches it, never in between.
//
// Deterministic: a Checker's events depend on the stream's messages and their
// order alone. Reading the same messages again gives the same events with the
// same ids.
//
// Exactly once: after a restart nothing is published that was published before;
// an event carries the sequence it was due at, and the newest event published
// says where to go on. The event's id guards what a crash leaves undecided.
//
// Repairs: a finding that is opened and has a plan is told with its plan, once. What a
// repair says of its own transaction becomes an event if the transaction has written to
// the quest; it changes nothing else: the finding ends as any other does. Whoever follows
// the findings hears of each after it was published, and of all that are open whenever
// the flow has caught up.
//
// Checkpoints: a Checker that was written and read goes on as the other one does, and
// taking one holds up nothing. A Flow stores one behind a message when everything is
// published that is due behind it, and begins with the newest one that can be used: it
// must be whole, of this version, namespace, stream and configuration; the stream must
// hold the very message that it stands behind, stored at the same time, and what
// follows; and the events' stream what had been published. Each that is not is refused
// with one log line, and the next older one is used. Where there is none the stream is
// read from its beginning, and whoever takes baselines is told from where on. No order
// of failures, of this process or of a server that loses the ends of its streams, each
// by itself, makes it repeat or omit an event; see the package's tests. It is no proof
// against somebody who may write into the store.
//
// Unknown stays silent: after a gap, or when a column that a rule needs is gone,
// nothing is judged until the next baseline has ended.
//
// Run returns when its context ends, when another instance has taken over, or
// when the stream cannot be understood; it survives everything else by beginning
// again. When its context ends it takes a last checkpoint, for ten seconds at most.
package watch
