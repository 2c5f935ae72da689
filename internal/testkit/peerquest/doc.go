// Package peerquest writes to a database as the PeerQuest application does, and knows what is wrong afterwards.
//
// Workers take quests through their life: applications, approvals, kicks, departures, completions, deletions, in
// one transaction each or statement by statement. A share of the operations goes wrong in the ways that the
// application's history shows. Two approvals of one quest sometimes run at the same time.
//
// What a checker has to find is not written down next to each operation. After every transaction the simulator
// judges its own copy of the quest by a naive reading of the rules and keeps how long each violation lasted. A
// violation either ends within 60 % of the grace or lasts until three seconds after it. Where that cannot be said,
// because a server was killed under a commit or a machine was too slow, the expectation's kind is Uncertain: the
// checker may report it or not.
//
// The rules stated here are independent of the checker's on purpose: a mistake there must not be repeated.
package peerquest
