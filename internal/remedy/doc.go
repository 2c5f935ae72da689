// Package remedy turns a violation into the writes that repair it, as the
// application's own code would have made them: a plan, with what must hold
// before each write and with its inverse.
//
// Guarantees. Everything here is pure: no I/O, no clock, no randomness. Apply
// changes a quest exactly as the database would be changed, so that a dry run
// and a repair come to the same follow-ups. A write whose precondition does not
// hold is an error.
//
// Not promised: that a repair is wanted. Policy says which causes may be
// repaired. Only three rules ever are: for the others a row that too much was
// written for cannot be told from one that something was forgotten for.
package remedy
