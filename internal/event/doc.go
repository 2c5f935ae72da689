// Package event is what the program tells others: CloudEvents 1.0 in structured
// JSON, their types, ids and subjects.
//
// Guarantees. An event is a function of the stream: its id, time and data do not
// depend on who publishes it or when, so that publishing it twice under its id is
// harmless. It carries ids, never people's names. Its Position says after which
// message of the CDC stream it was due, and which of that message's events it is.
//
// Some kinds are otherwise, and say what the program itself met with. They have no
// Position, and their time is that of our own clock. audit.mismatch says that the
// checker's state is not what the database holds: one event for each of the first
// quests that differ (third token: state), and one about all of them (summary).
//
// audit.completed tells of an audit that the program made by its timetable (third token:
// scheduled) or because somebody asked (requested). Where such an audit and the checker
// judge a quest otherwise, audit.mismatch has one event for each of the first differences
// (finding) and one about all of them (findings). Their ids are made of the time for which
// the audit was planned: one that is made again, after a crash, doubles nothing. audit.failed
// tells, once for each planned time, that an audit could not be made and is tried again.
//
// The repair group tells what becomes of findings that can be repaired. planned comes
// once with each finding of the stream that is opened and has a plan, where plans are
// made. applied and undone are what a repair, or the undoing of one, says of its own
// transaction: any role of the database may send that message, and it is believed of a
// transaction that has written to the quest. These three are functions of the stream, and
// applied has the time from commit to commit. The finding is resolved by what came
// with it. The others have no Position:
//
//	skipped  an order had nothing to repair any more. The reason is healed, or left_alone:
//	         as the rows are now, a person has to ask
//	failed   an order could not be carried out and is given up. The reason is repeated (the
//	         same was repaired before, and that was undone or did not last), locked (others
//	         held the quest's rows for too long), refused (by the database: error has its
//	         words), or no_effect (it was repaired, and is violated still)
//	halted   automatic repairs have stopped by themselves until somebody lets them go on.
//	         The third token is the reason: breaker, more findings were opened than can be
//	         right
//	resumed  they go on; each has its halted, with the same reason and since_ms
//
// alert.undelivered says that a channel of alerts was not told of some events, after the
// last try. It has no Position; its third token is the channel.
//
// stream.stalled and stream.recovered are alarms. What happened while JetStream was
// away is told after it, with the time at which it began. Each stalled has its recovered, of the same reason and the same
// since_ms; where the process ended in between, the next one tells that, if what it
// had to tell of the first was stored. The third token of the subject is the reason:
//
//	wal_kept       warning   the slot keeps bytes of Postgres's log, limit_bytes is
//	                         the configured limit; holder names the transaction that
//	                         keeps it so, if one does
//	wal_safe       critical  bytes may still be written before Postgres throws away log
//	                         that the slot needs; limit_bytes is where the alarm begins
//	disk           warning   bytes are free on the disk of the data directory
//	stream_unread  critical  messages of the CDC stream are about to be discarded, by
//	                         size (bytes of limit_bytes) or by age (seconds of
//	                         limit_seconds), that the checker has not read; sequence is
//	                         the first of them
//	checkpoint_old warning   messages that follow the checker's newest checkpoint are about
//	                         to be discarded, with the same numbers: the next start would
//	                         need a baseline
//	nats_away      critical  JetStream cannot be reached
//	nats_full      critical  JetStream has no room
//	nats_slow      critical  messages have waited for seconds for their acknowledgement
//	interrupted    critical  nothing streams, for another reason than JetStream's
//	heartbeat      critical  what we wrote into the database's log has not come back
//	                         through the slot for seconds
//	lagging        critical  what is streamed is seconds behind the database
//	malformed      critical  data that cannot be decoded has stopped the program; lsn or
//	                         sequence says where, what says what kind of message it is
//
// A warning means that changes still arrive; critical, that they do not, or that
// some are about to be lost.
package event
