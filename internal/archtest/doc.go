// Package archtest holds the project to its design: who may import whom, which packages stay pure, that every
// package says what it guarantees, how long a file may be, and that nothing runs at import time.
//
// It reads the sources and does not type-check them: a rule that a clever alias gets around is for the reviewer.
package archtest
