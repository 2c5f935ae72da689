// Package pgstore reads and writes the application's tables with ordinary SQL:
// the baseline of the stream, the audit's reading, repairs and their journal, names,
// and the database's clock.
//
// Guarantees. A reading is one snapshot: one REPEATABLE READ READ ONLY
// transaction on one connection, three cursors side by side, merged quest by
// quest, so that memory is bounded by the largest quest and a batch of rows a
// table. Rows whose quest is missing come out too. Row-level security is never
// obeyed silently: where a policy would hide rows the reading fails.
//
// A repair is one transaction on one quest: the quest row is locked, the rows are
// read again, the caller decides on what is there now, every write is guarded by
// what it expects to find, and looked at once more. It waits for locks for a short
// while only, less than Postgres takes to look for deadlocks, so that in a conflict with
// the application we are the one to give way.
//
// With a journal (Setup) a repair locks the quest's applications and participants too,
// and its entry and its message to the stream are committed with it or not at all. A
// finding is repaired at most once, whoever tries (Carry). An entry is undone at most
// once, and only while its rows are as it left them (Undo). When Stop has returned, no
// automatic repair commits any more.
//
// Not guaranteed: without a journal a repair locks no application row, because that
// would need a privilege that it does not otherwise need. An approval taken back in the
// milliseconds between reading and commit is then seen by the next audit. Nor does
// anything here see a deferred trigger that undoes at COMMIT what was written, or, on a
// table without the unique constraint, a participant whose insert is not committed yet.
//
// Errors that an operator can act on carry a hint (package hint). No error
// contains the password.
package pgstore
