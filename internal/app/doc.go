// Package app puts the program together: it makes the parts that a configuration
// asks for, runs them, and takes them down again, last in, first out.
//
// New acquires everything or leaves nothing behind; what it changes at the
// database it changes last, when all else is known to work. Run returns when its
// context ends or a part fails for good; Close is bounded and may be called once.
package app
