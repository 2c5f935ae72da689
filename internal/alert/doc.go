// Package alert tells people and services of consistency events, over channels: one
// file each.
//
// Guarantees. Each channel reads the events stream by itself, in order, and keeps the
// place up to which it has told everything, which it moves on only when a notice was
// taken by the other side or given up. So an alert survives restarts and outages of its
// channel and of NATS: none is lost, and after a crash between the sending of a notice
// and the keeping of the place, its incidents are told once more, once for each such
// crash. A notice of one event has the event's own id, so that who minds can tell.
// A channel that is slow or down does not hold up another.
//
// A channel begins with what is stored after it was first configured. A stream that was
// made anew, or rolled back, is read from the time of the last event that was told.
// Two instances do not both tell: who begins claims the place, and the other one, which
// looks before each try, ends with ErrTaken. Only a notice that is on its way just then
// comes twice.
//
// While the place cannot be kept, for lack of room or of the bucket, alerts go on, and are
// told again after a restart. A place that somebody deletes is kept anew.
//
// What is tried again: everything but a refusal of the notice itself (400, 413, 422; of a
// mail or a recipient with 5xx), after growing pauses, or those that Retry-After asks
// for. After the last try an event alert.undelivered says what was not told.
//
// An Alertmanager is also told of all that is open, again and again, and a channel to
// people, where that is wanted, once in an interval. What is open is asked for, and not
// read from the stream; while nobody can say, it is what it was last.
//
// What somebody has silenced is not told, and is told no later; where silences cannot be
// read, those count that were known. In a channel's quiet time what is not critical
// waits, also what it could not be told before, and so does the place.
//
// Status says which channel takes nothing, since when, why, and how much waits for it.
//
// Not guaranteed: an event that cannot be read is logged and not told. The time after
// which a notice is given up begins anew with the process.
//
// Addresses and secrets of channels are in no log and no error. Text that comes from the
// database is made harmless and escaped as the channel needs it, and so is what a
// template makes.
package alert
