// Package pgjson turns Postgres's text form of values into the JSON that the
// server's own to_json gives in a UTC session, byte for byte. The log and an
// ordinary query both give texts: what reads rows by way of this package gets
// the same bytes from either.
//
// It wants a session with Settings, which decide what the texts look like.
//
// Arrays of any dimension, composite types, domains over them, and what is made
// of these, are arrays and objects, with every element as its own type wants it.
//
// Three things are not as to_json has them. A type with a cast to json of its
// own, such as hstore, is a string of its text form: its cast runs in the server
// only. So is a type that is not known, because it was dropped since. And so is
// json that nests deeper than 500 levels, which readers of JSON refuse.
//
// Every value is checked: a text that is none of its type is an error, and the
// result is always JSON.
package pgjson
