// Package trend counts what became of findings, by rule and hour: opened, resolved,
// repaired, open at the end, and how long that took.
//
// Guarantees. What is counted depends on the stream of events only: whoever reads it from
// the beginning counts the same as who went on from a kept state. Hours are those of the
// events' own times, in UTC. An event counts once by its id: a second opening of what is
// open never counts, and any second one does not within 8,192 counted events. What a
// baseline showed is counted apart, and times are those of findings that the stream saw
// begin.
//
// A year is kept, of 366 days before the newest event, in a few hundred kilobytes however
// much happens, and 10 bytes for each finding that is open. What the stream of events has
// discarded before it was counted is lost. What is open at the end of an hour is reckoned
// back from what is open now, so that it is right from the first counted event on.
package trend
