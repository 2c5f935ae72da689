package audit

import (
	"context"
	"fmt"
	"slices"

	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Config says what a run does.
type Config struct {
	// User confines the run to one person, by name; "" is everybody.
	User string
	// Fix repairs; DryRun with it only says what would be repaired.
	Fix, DryRun bool
	// IncludeUnknown repairs missing participants of unknown cause. Compat does so
	// anyway.
	IncludeUnknown bool
	// Compat reproduces the original audit.
	Compat bool
	// Namespace, Actor and Reason are what the journal says of repairs, where the
	// database has one.
	Namespace, Actor, Reason string
	// Rules say what is judged, and how much it matters. With Compat they do not
	// count.
	Rules rule.Policy
	// FailOn is the lowest severity that makes the run unsuccessful when it remains;
	// 0 is never. With Compat anything that remains does.
	FailOn rule.Severity
	// SpillBytes is how much of what is found is held in memory before a temporary
	// file is used; 0 is a few megabytes.
	SpillBytes int
}

// Mode is the run's mode by its name in reports.
func (c *Config) Mode() string {
	switch {
	case c.Fix && c.DryRun:
		return "dry_run"
	case c.Fix:
		return "fix"
	}
	return "read_only"
}

// judged lists the rules that a run judges, in order.
func (c *Config) judged() []rule.Rule {
	if c.Compat {
		return rule.Originals
	}
	return slices.DeleteFunc(slices.Clone(rule.All[:]), c.Rules.IsOff)
}

// Check refuses a combination that makes no sense.
func (c *Config) Check() error {
	if c.DryRun && !c.Fix {
		return &UsageError{Reason: "--dry-run shows what --fix would do: give both"}
	}
	if c.IncludeUnknown && !c.Fix {
		return &UsageError{Reason: "--include-unknown widens --fix: give both"}
	}
	return nil
}

// ParseFailOn reads the lowest severity that matters, or never.
func ParseFailOn(s string) (rule.Severity, error) {
	if s == "never" {
		return 0, nil
	}
	severity, err := rule.ParseSeverity(s)
	if err != nil {
		return 0, &UsageError{Reason: fmt.Sprintf("--fail-on %q: want info, warning, critical or never", s)}
	}
	return severity, nil
}

// Database is what an audit needs of one.
type Database interface {
	// Survey reads one snapshot: the census, then quest by quest. A case is valid
	// during the call.
	Survey(ctx context.Context, of remedy.Scope, begin func(remedy.Census) error, each func(*remedy.Case) error) error
	// Writable says why repairs cannot work, before the first one.
	Writable(ctx context.Context) error
	// Repair locks the order's quest, reads it again and makes the writes of the parts
	// decided on.
	Repair(ctx context.Context, o *remedy.Order, decide func(*remedy.Case) ([]remedy.Part, error)) (remedy.Receipt, error)
}

// Progress hears how many quests are done, of about how many.
type Progress func(done, total int64)

// UsageError is a wrong combination of options.
type UsageError struct{ Reason string }

func (e *UsageError) Error() string { return e.Reason }

// Unsuccessful is how a run ends that did all that it was asked to and is not
// content: findings remain (exit status 1), or repairs failed (3).
type Unsuccessful struct {
	Status int
	Reason string
}

func (e *Unsuccessful) Error() string { return e.Reason }
