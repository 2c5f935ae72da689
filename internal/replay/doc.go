// Package replay looks into the past of the stream. What is there now explains one
// finding: Reader.Finding reads back the transactions that led to it.
//
// Guarantees.
//
// The stream is the witness: what is said of a transaction is what its messages say,
// and what the checker concluded is taken from its events and not judged again. What
// is no longer in the stream is said to be gone, never made up.
//
// Deterministic: the same streams give the same evidence, whoever asks and when.
// People's names are looked up by the caller's leave and decide nothing.
//
// Bounded: the steps of one quest are read one after the other, and so many
// transactions are kept as were asked for, with so many changes of each (see
// changesShown) and so much of each value. What was left out is counted.
//
// Only reads. It needs no right to write, and does not disturb who does.
package replay
