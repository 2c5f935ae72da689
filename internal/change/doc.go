// Package change holds what flows through the CDC stream: a step (what one
// transaction did to one quest), the row changes in it, the control records
// between steps, and the wire form of all three.
//
// Guarantees. Encoding is deterministic: the same step gives the same bytes.
// Decoding checks everything it reads: malformed input is an error, never a
// panic and never a zero value that looks real. Unknown JSON keys are skipped,
// so that an older program reads a newer stream. A step in the very form that
// AppendStep gives it, as those of a stream are, is read several times as fast as
// in another form, and checked as much.
//
// Not checked here: that steps follow one another in order, and that a row has
// the columns a rule needs. The reader of the stream does the first, package
// quest the second.
package change
