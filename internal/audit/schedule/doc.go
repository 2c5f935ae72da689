// Package schedule makes audits by a timetable, and when somebody asks for one.
//
// Guarantees. Each planned time has one audit: what is due is noted, for all instances,
// by a write that fails when another one has noted it, before the audit begins. Times that
// passed while nothing ran have one audit together, for the newest of them. An audit that
// fails is tried again, a minute later, then two, four and so on up to an hour, until the
// next planned time has its turn. So is one that was killed: what is noted as begun and not
// as done is made again, under the same name and with the same ids of events, so that it is
// told of once. Where its report had been stored by then, that one counts and the database
// is not read again. One that kills the program would be made again a minute after the
// start, not at once. Of a planned time's failures the first is told as an event.
//
// A timetable counts from when it is first seen: neither the first start nor a changed
// timetable makes an audit at once. It begins to count again where the clock that counted
// was more than an hour ahead.
//
// An audit reads one snapshot, as questwatch audit does, and repairs nothing. Its findings
// are compared with those of the audit before, by rule, quest and person, and with what the
// checker holds to be violated at the same position: suspicions and what a baseline showed
// count, causes do not. What differs is told when it differs in a second snapshot too.
// Quests that a transaction of the moment touches are left out of that and counted. Where
// the checker cannot say anything, the audit says why and counts all the same. Neither
// comparison is made of more findings than a report holds, nor with a report that cannot be
// read.
//
// Reports have ids, and neither names nor titles.
package schedule
