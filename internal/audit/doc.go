// Package audit checks every quest of a database at one moment, reports what
// does not hold, and repairs it on request.
//
// Guarantees. A run reads one snapshot. Its memory is bounded by the largest
// quest: findings beyond a limit are sorted through a temporary file that has no
// name. There is a phase a rule, the first five of them the original audit's, and
// each one sees the repairs of those before; as every rule is about one quest, all
// are done quest by quest, and what is found is put into order at the end.
//
// With Compat the findings, their order, the statistics, the exit status and the
// tables after a repair are those of the audit command that this program
// replaces, whatever the rules' settings. Otherwise the program's own rules judge,
// as they are set: soft-deleted quests are left out, a rule that is switched off
// has no phase, and since a snapshot has no history, causes are what the rows
// alone show. A missing participant is left alone unless the caller includes what
// is unknown.
//
// A dry run writes nothing and asks for no right to write. It makes the same
// decisions with the same code on the snapshot. A repair makes them on the
// quest's rows as they are under its lock, one transaction a quest; what was
// healed meanwhile is skipped, and a quest that cannot be repaired does not stop
// the others.
//
// A report's destination is tried before the first repair. Where the report
// cannot be delivered all the same, the statements that take the repairs back go
// to standard error.
//
// Not promised: that a finding on a live system is a fault. An approval in
// several transactions looks like one between them.
package audit
