// Package remedy turns a violation into the writes that repair it, as the
// application's own code would have made them: a plan, with what must hold
// before each write and with its inverse; and says how far repairs go by themselves,
// and what they do in words.
//
// Guarantees. Everything here is pure: no I/O, no clock, no randomness. Apply
// changes a quest exactly as the database would be changed, so that a dry run
// and a repair come to the same follow-ups. A write whose precondition does not
// hold is an error. A native plan ends its violation and begins none: that of a
// participant hands the quest over where nobody has it and moves an open one on.
// Nobody who takes part is displaced, and no row is deleted.
//
// Never automatic, whatever the modes say: who left, what somebody did on purpose,
// what was there before anybody watched, and people for a completed quest.
//
// Not promised: that a repair is wanted. Only three rules have one, and a fourth where
// people are to be brought back: for the others a row that too much was written for
// cannot be told from one that something was forgotten for. They have a suggestion.
// Original plans do what the audit command did, whatever that leaves behind.
package remedy
