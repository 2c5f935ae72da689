// Package chronicle invents what happens to a quest site, as a stream of changes tells it, and says after each
// message what a checker must have to say.
//
// Many quests live at once, in virtual time. What people do to them are the workflows of the application, in one
// transaction or statement by statement, with pauses below the grace; with Faults, also what goes wrong, each with
// what it must be found as. Around them the stream has its own life: it lags, restarts in the middle of a transaction,
// idles, loses changes and takes baselines; the database's clock steps back; tables are emptied.
//
// Guarantees. The same dice give the same chronicle. Without Faults nothing above info lasts as long as the grace. A
// mark's time is honest: what committed before it, by a clock that only ever steps back, is above it.
//
// What is wrong with a quest is said here once more, from its rows; why it is, each workflow declares itself. Neither
// is taken from the checker on purpose: a mistake there must not be repeated here.
package chronicle
