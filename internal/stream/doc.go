// Package stream carries every change of the three tables from Postgres into
// the CDC stream, in commit order, exactly once.
//
// Guarantees.
//
// No loss: Postgres is told to forget only up to an end LSN that a message of
// the stream records, and only after that message, and with it every message
// before it, has been acknowledged for longer than the server takes to sync, which
// is no time where it syncs before it acknowledges.
//
// Exactly once, in order: there is one writer, fenced by the stream's last
// sequence. After any failure it reads the stream's tail and goes on behind it,
// in the middle of a transaction if need be.
//
// Continuity: where changes were lost before they could be streamed, a gap record
// says from where to where, and a baseline follows. Changes that can still be
// had are streamed before that baseline. A database that stops fitting (a column
// gone, another publication or replica identity) ends the session; the next one
// begins when it fits again, with a baseline. A server that took over from the one
// that was streamed is recognised by its timeline: the stream goes on if the new
// server has all that is in it, and has the slot; else that is a gap too.
//
// Baselines: one is taken where changes are missing, where somebody finds that the
// stream does not amount to the database (Restate), and where a reader needs one: with
// Config.Asked a reader that can go on from something else than the stream's
// beginning says with Need that it cannot, and the session ends for a baseline if the
// stream has discarded the last one.
//
// Time: a progress record says that everything that committed before its time is
// above it. It never stands inside a transaction.
//
// Backpressure: when JetStream does not take messages, because it is full, slow or
// away, reading stops and the log waits in Postgres; the connection is kept alive
// meanwhile, of which a little is read and thrown away, and the slot stays ours. A Guard looks after what may go wrong with
// that: it raises alarms long before log or messages are lost, and tells each when
// it begins and when it is over, in the log, in the status, and as an event as soon
// as JetStream takes it. Nothing waits for the guard. What it has not told when the
// process ends is lost, except that log lines have it.
//
// Where the time goes (two shared cores, Postgres 15, one approval of five rows a
// transaction, scripts/bench drain): the server's walsender is what bounds a drain.
// It costs 13 µs of CPU a row for a reader that keeps up, 7 µs for one that stays
// away until the socket's window has closed, as pgsource does when it is far
// behind. Of our own 5 µs a row, JetStream in the process takes about half
// (a message is parsed, stored and acknowledged by itself), decoding the rows an
// eighth, making and publishing messages a tenth, the kernel and the runtime the
// rest. A message for each quest of a transaction and not for each row is what
// keeps JetStream's share down. With the checker on, it reads and judges for
// another 3 µs a row.
//
// Flow.Run returns when its context ends or when the data cannot be understood; it
// survives everything else by starting a new session. All its goroutines have
// ended when it returns.
package stream
