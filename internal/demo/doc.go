// Package demo shows the program at work: a private Postgres with PeerQuest's
// tables, traffic that goes wrong on purpose, the real program watching it, and
// at the end a comparison with what the traffic's author knows to be true.
//
// Nothing is left behind but a data directory that was asked for.
package demo
