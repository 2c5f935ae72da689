package audit

import (
	"bufio"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/rule"
)

// Format is how a report is written.
type Format string

// The formats.
const (
	Text Format = "text"
	JSON Format = "json"
	HTML Format = "html"
)

// FormatOf is the format that a file's name asks for, or "".
func FormatOf(path string) Format {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".json":
		return JSON
	case ".html", ".htm":
		return HTML
	case ".txt", ".text", ".md", ".log":
		return Text
	}
	return ""
}

// View says how a report looks.
type View struct {
	Detailed bool
	// At is when the audit was made, or which moment of the past it is of.
	At   time.Time
	Past bool
}

// Write writes the report.
func (r *Result) Write(w io.Writer, f Format, v View) error {
	buf := bufio.NewWriterSize(w, 64<<10)
	var err error
	switch f {
	case JSON:
		err = r.writeJSON(buf)
	case HTML:
		err = r.writeHTML(buf, v)
	case Text:
		err = r.writeText(buf, v)
	default:
		err = fmt.Errorf("unknown format %q", f)
	}
	if err == nil {
		err = buf.Flush()
	}
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// byPhase goes through the findings phase by phase, phases without any too.
func (r *Result) byPhase(begin, end func(rule.Rule) error, item func(*Finding, *notes) error) error {
	left, open := r.Config.judged(), rule.Rule(0)
	// upTo ends the phase at hand and begins those that follow, the last one included.
	upTo := func(last rule.Rule) error {
		for len(left) > 0 && left[0] <= last {
			if open != 0 {
				if err := end(open); err != nil {
					return err
				}
			}
			open, left = left[0], left[1:]
			if err := begin(open); err != nil {
				return err
			}
		}
		return nil
	}
	err := r.findings.each(func(payload []byte) error {
		f, n, err := readPayload(payload)
		if err == nil {
			err = upTo(f.Rule)
		}
		if err == nil {
			err = item(&f, &n)
		}
		return err
	})
	if err == nil {
		err = upTo(rule.All[len(rule.All)-1])
	}
	if err == nil && open != 0 {
		err = end(open)
	}
	return err
}

// headings of the phases: the first five as the original audit named them.
func heading(r rule.Rule) string {
	switch r {
	case rule.MissingParticipant:
		return "Approved applications without participants"
	case rule.OrphanParticipant:
		return "Participants without approved applications"
	case rule.OpenWithParticipants:
		return "Quest status inconsistencies"
	case rule.Unassigned:
		return "Assignment inconsistencies"
	case rule.DuplicateParticipant:
		return "Duplicate participants"
	case rule.AssigneeNotParticipant:
		return "Assignees who do not take part"
	case rule.IdleInProgress:
		return "Quests in progress without participants"
	case rule.ApprovedButDropped:
		return "Approved applications of people who dropped out"
	case rule.ActiveAfterCompletion:
		return "Participants at work on completed quests"
	case rule.DanglingReference:
		return "Rows of quests that do not exist"
	}
	return r.String()
}

func (r *Result) modeWords() string {
	switch r.Config.Mode() {
	case "fix":
		return "repair"
	case "dry_run":
		return "dry run: nothing was written"
	}
	return "read-only"
}

func (r *Result) scopeWords() string {
	if r.Config.User != "" {
		return "user " + clean(r.Config.User)
	}
	return "system-wide (all users)"
}

func (r *Result) rulesWords() string {
	if r.Config.Compat {
		return "the original audit command's (--compat django)"
	}
	text := "Questwatch's own; soft-deleted quests are left out"
	if r.Config.Rules.Deleted {
		text = "Questwatch's own, for soft-deleted quests too"
	}
	var off []string
	for _, rl := range rule.All {
		if r.Config.Rules.IsOff(rl) {
			off = append(off, rl.String())
		}
	}
	if off != nil {
		text += "; switched off: " + strings.Join(off, ", ")
	}
	return text
}

func when(t remedy.Micros) string {
	return time.UnixMicro(int64(t)).UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// before are the figures as they were without the repairs of this run.
func (r *Result) before() (participants, issues int64) {
	return r.Stats.Participants - r.Inserted, r.Stats.IssuesFound
}
