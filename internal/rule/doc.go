// Package rule says what must hold in a quest, and what does not: the state of a
// quest in, its violations out.
//
// Judge is the program's own reading of the rules, with their causes. Original
// is the reading of the audit command that the program replaces, which knows
// neither causes nor soft deletion. Both depend on nothing but the quest, and
// give their violations in a fixed order: by rule, then as the rows lie.
package rule
