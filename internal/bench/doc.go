// Package bench measures the program, as a process of its own, beside
// pg_recvlogical and a reader that throws everything away, on the same backlog in
// the same round.
//
// Every figure is a median over rounds, in which the cases take turns. A drain is
// timed from a standing start: the walsender is stopped (SIGSTOP) as soon as the
// program streams, the program is left to finish its own start, and the
// clock starts when the walsender goes on. Rows that came before do not count.
// The end is a last transaction, which touches a quest of its own: the clock
// stops when JetStream has it, or with the checker when that has judged it.
package bench
