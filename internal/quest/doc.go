// Package quest is the state of quests: their row, applications, participants,
// and the few facts of their history that rules and causes need.
//
// Guarantees. State depends only on the steps applied, in their order: no clock,
// no randomness, no iteration over maps that could be seen outside. Applying a
// step is all or an error; after an error the state must be thrown away. Columns
// that a change leaves out (unchanged TOAST, omitted) keep their value.
//
// A quest may exist without its row: children can come first, or be left behind.
package quest
