// Package replay looks into the past of the streams. Reader.Finding explains one finding: it
// reads back the transactions that led to it; Reader.Story tells all of it, to be sent
// around. Player.Play plays a range of a stream to a screen, a file or another stream.
// Checker.Check judges a range anew by given rules, and says what it finds otherwise than
// it was found live; Checker.Quest says what a quest was at a moment, and Checker.Snapshot
// what all were.
//
// Guarantees.
//
// The stream is the witness: what is said of a transaction is what its messages say. To
// explain, what the checker concluded is taken from its events and not judged again. What
// is no longer in the stream is said to be gone, never made up.
//
// Nobody sees half a transaction: a moment inside one is the moment before it. A range of
// times has exactly what committed in it, whatever order that was in (see finder.byTime).
// A position of the log that stands for two places is refused.
//
// What is played is neither lost nor doubled: an interrupt, and a file also after a crash,
// says where to go on. What the stream discards meanwhile is an error, never a hole.
//
// A check begins where everything is known that the live checker knew: at the stream's own
// beginning, or behind a checkpoint under the same rules. Where neither can be had it begins
// behind a checkpoint under other rules, or with a baseline, and says so: what began before
// is not compared then, and causes that lie before a baseline are not known.
//
// Deterministic: the same streams give the same evidence, whoever asks and when.
// People's names are looked up by the caller's leave and decide nothing.
//
// Bounded: the steps of one quest are read one after the other, and so many
// transactions are kept as were asked for, with so many changes of each (see
// changesShown) and so much of each value. What was left out is counted. A check needs
// what a watch.Checker does, and so many events of each side as may wait for their like
// (see mostWaiting): one whose like comes later still is told as two differences.
//
// Only reads, but for what is played elsewhere. It does not disturb who writes.
package replay
