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
// Unknown stays silent: after a gap, or when a column that a rule needs is gone,
// nothing is judged until the next baseline has ended.
//
// Run returns when its context ends, when another instance has taken over, or
// when the stream cannot be understood; it survives everything else by reading
// again from the start.
package watch
