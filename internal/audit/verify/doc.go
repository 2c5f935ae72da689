// Package verify compares the checker's state with the database it is of: the
// checker checks itself.
//
// Guarantees. State and database are compared at the same position, while both go
// on. A snapshot of the database is taken, then the end of its log is read: what the
// snapshot sees had written its commit before that position. When the checker has
// passed the position, its state holds all that, and is taken as it is then. Besides,
// it may hold what the snapshot does not see yet. Which transactions those are the
// snapshot says, and which quests they touched the checker remembers (quest.Recent):
// such a quest is beyond this snapshot and is left to the next one. Every other quest
// must be equal in every value that the state has, exactly.
//
// A commit can be in the stream long before any snapshot sees it, with synchronous
// replication, and it can have been applied before anything was remembered: after a
// start, or as a part of a baseline. That is known too (quest.Recent.Floor). While a
// transaction is under way that may be such a one, a difference decides nothing.
//
// A difference counts when a second, newer snapshot has one too. So a quest is
// reported only if it was wrong at two positions. Quests of which nothing could be
// said within the rounds that there are, are counted as undecided, never as equal.
//
// What it costs: the database sums up ranges of quests and reads the rows of those
// only whose sums differ. The checker stands still for a fraction of a millisecond a
// snapshot, and copies a small part of its tables of quests when it first writes to it
// after that. No snapshot is kept for more than a few seconds beyond the wait for
// the checker. Memory is eight bytes a quest, those copies, and what a few hundred
// quests take.
//
// While nothing streams, nothing is compared: the database may be another one by then.
//
// After a difference the state cannot be trusted: it is said in the log, in the
// status and as events, and a new baseline is asked for, once, until a comparison
// finds everything equal.
//
// Not compared: history (the database has none), names, and columns that no rule
// needs. A pass takes several snapshots: each quest has been compared at one
// position, and not all of them at the same.
package verify
