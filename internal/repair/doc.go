// Package repair carries out what mends an open finding: by itself where that is
// switched on, or because somebody asks for it.
//
// Guarantees.
//
// Checked twice: a repair is decided by the rows under their lock, and by the
// checker's own history up to that lock. Somebody who came and left again between
// detection and lock leaves no trace in the rows, but ends the finding; so the
// checker must have read past the lock, and the finding must still be open, for the
// same cause. Where it has not within a second, nothing is written, and it is tried
// again.
//
// At most once: the journal has a finding once, whoever repairs it and from however
// many processes. After a crash the journal says what was done. An automatic repair
// is never made of what a person undid, or of what did not last.
//
// Stoppable: pauses and halts are rows of the database, which the transaction of an
// automatic repair looks at. They hold for all instances and outlast them. Before
// the first finding of a batch is repaired, the whole batch has been counted by the
// breaker.
//
// Bounded: at most so many automatic repairs a minute, in all and of a rule. The
// count begins anew with the process.
//
// Told once: what the program left alone or could not do is told by one event a
// finding. That a repair was made, or undone, is told by the checker, when the
// stream shows it; and by nothing else does a finding end.
//
// Not promised: that a repair is right when the application means something else by
// its rows than the rules do; nor the order of repairs.
package repair
