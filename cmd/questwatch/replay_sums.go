package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/peerquest/questwatch/internal/replay"
)

// differenceSums counts differences by what the events say, as in drift.opened.unassigned:
// of a rule that is being tuned somebody wants to know how often, and not only where.
type differenceSums map[string]map[string]int

func (s differenceSums) count(d *replay.Difference) {
	what := d.Subject[:max(strings.LastIndexByte(d.Subject, '.'), 0)] // without the quest
	if s[what] == nil {
		s[what] = map[string]int{}
	}
	s[what][d.Kind]++
}

func (s differenceSums) String() string {
	if len(s) == 0 {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%-44s%10s%10s%10s\n", "", "only live", "only now", "changed")
	for _, what := range slices.Sorted(maps.Keys(s)) {
		fmt.Fprintf(&text, "%-44s%10d%10d%10d\n", what, s[what][replay.OnlyLive], s[what][replay.OnlyAgain], s[what][replay.Changed])
	}
	return text.String()
}
