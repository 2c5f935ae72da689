// Package pgstore reads and writes the application's tables with ordinary SQL:
// the baseline of the stream, the audit's reading, repairs, names, and the
// database's clock.
//
// Guarantees. A reading is one snapshot: one REPEATABLE READ READ ONLY
// transaction on one connection, three cursors side by side, merged quest by
// quest, so that memory is bounded by the largest quest and a batch of rows a
// table. Rows whose quest is missing come out too. Row-level security is never
// obeyed silently: where a policy would hide rows the reading fails.
//
// A repair is one transaction on one quest: the quest row is locked, the rows are
// read again, the caller decides on what is there now, and every write is
// guarded by what it expects to find. It waits for locks for a short while only,
// less than Postgres takes to look for deadlocks, so that in a conflict with the
// application we are the one to give way.
//
// Not guaranteed: a repair locks no application row, because that would need a
// privilege that it does not otherwise need. An approval taken back in the
// milliseconds between reading and commit is seen by the next audit.
//
// Errors that an operator can act on carry a hint (package hint). No error
// contains the password.
package pgstore
