// Package pgsource reads what Postgres's logical replication says of the three
// tables: the server's readiness, the publication, the slot, and the stream.
//
// Guarantees. A Stream gives the transactions that committed at or after its
// start position, whole, in commit order. Everything that the server sends is
// either understood, or known to be of no concern, or an error: nothing is
// skipped because it could not be read. Values are as package pgjson has them: as
// Postgres's to_json gives them in a UTC session, byte for byte, but for types with
// a cast of their own to json, which are strings.
//
// A composite type whose attributes are renamed keeps their old names until the
// next Stream: the log does not tell of it.
//
// What the server may forget, it forgets only by Stream.Status, whose caller
// decides what is durable. A Stream never confirms anything by itself. The server
// keeps a connection that it hears from, and Status and Hold see to it that it hears
// also while nobody receives.
//
// What Fit finds out holds for one server: a replication connection that leads to
// another one is refused.
//
// The stream needs REPLICA IDENTITY FULL: the old row must name its quest.
package pgsource
