// Package event is what the program tells others: CloudEvents 1.0 in structured
// JSON, their types, ids and subjects.
//
// Guarantees. An event is a function of the stream: its id, time and data do not
// depend on who publishes it or when, so that publishing it twice under its id is
// harmless. It carries ids, never people's names. Its Position says after which
// message of the CDC stream it was due, and which of that message's events it is.
package event
