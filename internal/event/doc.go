// Package event is what the program tells others: CloudEvents 1.0 in structured
// JSON, their types, ids and subjects.
//
// Guarantees. An event is a function of the stream: its id, time and data do not
// depend on who publishes it or when, so that publishing it twice under its id is
// harmless. It carries ids, never people's names. Its Position says after which
// message of the CDC stream it was due, and which of that message's events it is.
//
// Three kinds are otherwise, and say what the program itself met with. They have no
// Position, and their time is that of our own clock. audit.mismatch says that the
// checker's state is not what the database holds: one event for each of the first
// quests that differ (third token: state), and one about all of them (summary).
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
