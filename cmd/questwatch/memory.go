package main

import (
	"os"
	"runtime/debug"
)

// gcPercent is GOGC for a program that streams. The embedded server keeps an
// index of what it has written lately: with Go's own 100 a large transaction would
// take as much again in garbage.
const gcPercent = 30

// saveMemory trades a little processor time for memory, unless GOGC says how.
func saveMemory() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
