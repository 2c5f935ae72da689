// Package drift is the life of a finding: suspected when a rule begins to be
// violated, open when it still is after the rule's grace, resolved by the step
// that ends it. The resolution says why: the rule holds again, the cause became
// a graver one, the quest was deleted, or a baseline does not show it.
//
// Guarantees. Time is the stream's: the newest progress mark's, which never goes
// back. Nothing here reads a clock. The same steps and marks give the same
// transitions in the same order, however they were batched. A finding is opened
// at most once and, once opened, resolved at most once. A snapshot costs nothing to
// take, however much is open, and a tracker read from one goes on as the other did.
package drift
