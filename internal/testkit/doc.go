// Package testkit gives tests and the demo the real things instead of mocks: a private Postgres cluster,
// a nats-server in a process of its own, a TCP proxy that misbehaves on command, and PeerQuest's schema.
// The workload that drives them is in the folder peerquest.
//
// It guarantees that nothing outlives its owner: every server is stopped by Close, by the end of the context
// it was started with, and, on Linux, by the kernel when our process dies without a chance to clean up. Only
// the temporary folders of a killed process stay behind.
//
// It never skips: where a server's programs are missing the caller gets an error that says what to install.
// It does not import package testing, so that the demo does not link it; TB is the part of *testing.T it needs.
package testkit
