// Package embedded runs a NATS server with JetStream inside the process.
//
// Ownership: one data directory has one server. Start takes an exclusive
// lock on it before it reads or writes anything else, because the server
// itself would happily open the same files twice. The lock ends with the
// process, however it dies. Other programs reach a running instance over TCP
// with what OwnerOptions finds in the directory; they never start a second one.
//
// Reading what a server left: StartCopy runs one on a copy. A server on the directory
// itself would discard what is too old by now, cut off damaged blocks, and be in the way of
// the next Start.
//
// Access: the owner may do everything. Its password is made once, is kept in
// the data directory (0600) and never logged. Everybody who connects without
// credentials is a reader: it may watch streams and buckets, and make, use
// and delete consumers other than the protected ones, but publish nothing and
// change no stream. The owner's inboxes are out of a reader's sight. One way
// round is left: a request may name any subject for its reply, and the server
// writes the reply there in its own name, be it a stream's subject or a key of
// a bucket. Whoever keeps a stream in order therefore has to recognise its own
// messages; package bus does. Buckets are not protected from this.
//
// Full disk: a server whose write failed refuses all others, also when there is room
// again. Healthy says so, and Keep starts the server again then, with the directory
// locked all the time, on the same address. What was acknowledged is still there;
// clients, those in the process too, connect again by themselves.
//
// Durability: writes are synced to disk every SyncInterval. A power failure
// loses what was acknowledged since the last sync. With SyncAlways nothing is
// acknowledged before it is synced. What a killed process left in the kernel's hands
// is synced before the next server starts on the directory.
//
// Shutdown: Stop is idempotent and returns after at most ten seconds. The lock
// is only given back when the server has really ended, even if that is later.
// Nothing in here ends the process or handles its signals.
package embedded
