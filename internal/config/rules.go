package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Rules are the rules' settings. Each names the causes that its rule has; package
// rule says which, and how much they matter where nothing is set.
type Rules struct {
	MissingParticipant Rule[struct {
		ApprovalFailed string `yaml:"approval_failed"`
		Departed       string `yaml:"departed"`
		Unknown        string `yaml:"unknown"`
	}] `yaml:"missing_participant"`
	OrphanParticipant Rule[struct {
		DirectJoin string `yaml:"direct_join"`
		Revoked    string `yaml:"revoked"`
		Unknown    string `yaml:"unknown"`
	}] `yaml:"orphan_participant"`
	OpenWithParticipants Rule[struct {
		StatusLost string `yaml:"status_lost"`
		Released   string `yaml:"released"`
	}] `yaml:"open_with_participants"`
	Unassigned Rule[struct {
		AssignmentLost string `yaml:"assignment_lost"`
		Released       string `yaml:"released"`
	}] `yaml:"unassigned"`
	DuplicateParticipant Rule[struct {
		Duplicated string `yaml:"duplicated"`
	}] `yaml:"duplicate_participant"`
	AssigneeNotParticipant Rule[struct {
		AssigneeLeft string `yaml:"assignee_left"`
		NeverJoined  string `yaml:"never_joined"`
		Unknown      string `yaml:"unknown"`
	}] `yaml:"assignee_not_participant"`
	IdleInProgress Rule[struct {
		Idle string `yaml:"idle"`
	}] `yaml:"idle_in_progress"`
	ApprovedButDropped Rule[struct {
		DroppedOut string `yaml:"dropped_out"`
	}] `yaml:"approved_but_dropped"`
	ActiveAfterCompletion Rule[struct {
		Unfinished string `yaml:"unfinished"`
	}] `yaml:"active_after_completion"`
	DanglingReference Rule[struct {
		QuestMissing string `yaml:"quest_missing"`
	}] `yaml:"dangling_reference"`
}

// Rule is one rule's settings.
type Rule[Causes any] struct {
	Enabled bool          `yaml:"enabled"`
	Grace   time.Duration `yaml:"grace"`
	// Severity has info, warning or critical for each cause.
	Severity Causes `yaml:"severity"`
	// Repair has off, plan or auto for each cause, or "" for repair.mode.
	Repair Causes `yaml:"repair"`
}

// RuleSettings are one rule's settings in a form that is the same for all.
type RuleSettings struct {
	Rule     rule.Rule
	Enabled  bool
	Grace    time.Duration
	Severity map[rule.Cause]rule.Severity
	// Repair has the causes that have a mode of their own.
	Repair map[rule.Cause]remedy.Mode
}

// List lists all rules' settings in order.
func (r *Rules) List() ([]RuleSettings, error) {
	all := make([]RuleSettings, 0, len(rule.All))
	err := r.each(func(name string, fields ruleFields) error {
		which, err := rule.Parse(name)
		if err != nil {
			return err
		}
		s := RuleSettings{
			Rule: which, Enabled: *fields.enabled, Grace: *fields.grace,
			Severity: map[rule.Cause]rule.Severity{}, Repair: map[rule.Cause]remedy.Mode{},
		}
		if s.Grace < 0 {
			return &Error{Where: "rules." + name + ".grace", Err: errors.New("must not be negative")}
		}
		for cause, text := range fields.severity {
			severity, err := rule.ParseSeverity(*text)
			if err != nil {
				return &Error{Where: "rules." + name + ".severity." + cause, Err: errors.New("want info, warning or critical")}
			}
			s.Severity[rule.Cause(cause)] = severity
		}
		for cause, text := range fields.repair {
			if *text == "" {
				continue
			}
			mode, err := remedy.ParseMode(*text)
			if err != nil {
				return &Error{Where: "rules." + name + ".repair." + cause, Err: errWantMode}
			}
			s.Repair[rule.Cause(cause)] = mode
		}
		all = append(all, s)
		return nil
	})
	return all, err
}

// ruleFields are one rule's fields, those of its causes by their keys.
type ruleFields struct {
	enabled          *bool
	grace            *time.Duration
	severity, repair map[string]*string
}

// each calls fn with every rule's fields, by the rules' keys.
func (r *Rules) each(fn func(name string, fields ruleFields) error) error {
	v := reflect.ValueOf(r).Elem()
	for i := range v.NumField() {
		settings := v.Field(i)
		causes := func(name string) map[string]*string {
			fields, byKey := settings.FieldByName(name), map[string]*string{}
			for j := range fields.NumField() {
				byKey[fields.Type().Field(j).Tag.Get("yaml")] = fields.Field(j).Addr().Interface().(*string)
			}
			return byKey
		}
		err := fn(v.Type().Field(i).Tag.Get("yaml"), ruleFields{
			enabled:  settings.FieldByName("Enabled").Addr().Interface().(*bool),
			grace:    settings.FieldByName("Grace").Addr().Interface().(*time.Duration),
			severity: causes("Severity"), repair: causes("Repair"),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func defaultRules() (r Rules) {
	_ = r.each(func(name string, fields ruleFields) error {
		which, err := rule.Parse(name)
		*fields.enabled, *fields.grace = true, rule.DefaultGrace
		for cause, severity := range fields.severity {
			*severity = rule.SeverityOf(which, rule.Cause(cause)).String()
		}
		return err
	})
	return r
}

// Words cuts a setting of words into them.
func Words(setting string) []string {
	var words []string
	for word := range strings.SplitSeq(setting, ",") {
		if word = strings.TrimSpace(word); word != "" {
			words = append(words, word)
		}
	}
	return words
}

// check refuses a table whose words say nothing, or one of two roles.
func (s *Statuses) check() error {
	tables := reflect.ValueOf(s).Elem()
	for i := range tables.NumField() {
		table := "statuses." + tables.Type().Field(i).Tag.Get("yaml")
		roles, roleOf := tables.Field(i), map[string]string{}
		for j := range roles.NumField() {
			role := roles.Type().Field(j).Tag.Get("yaml")
			words := Words(roles.Field(j).String())
			if len(words) == 0 {
				return &Error{Where: table + "." + role, Err: errors.New("want at least one word")}
			}
			for _, word := range words {
				if other, taken := roleOf[word]; taken {
					return &Error{Where: table + "." + role, Err: fmt.Errorf("%q stands for %s already: a word has one role", word, other)}
				}
				roleOf[word] = role
			}
		}
	}
	return nil
}

func (w *WaysBack) check() error {
	for _, way := range []struct{ key, value string }{
		{"in_progress_to_open", w.InProgressToOpen}, {"completed_to_in_progress", w.CompletedToInProgress}, {"completed_to_open", w.CompletedToOpen},
	} {
		if _, err := rule.ParseWay(way.value); err != nil {
			return &Error{Where: "ways_back." + way.key, Err: errors.New("want never, released or always")}
		}
	}
	return nil
}

// SetGrace gives all rules the same grace.
func (r *Rules) SetGrace(d time.Duration) {
	_ = r.each(func(_ string, fields ruleFields) error {
		*fields.grace = d
		return nil
	})
}
