package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/peerquest/questwatch/internal/audit/schedule"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
)

// auditService is the name of the requests for an audit.
const auditService = "audit"

// audited is the answer; without both it is a sign of life.
type audited struct {
	Audited *event.Audited `json:"audited,omitempty"`
	Error   string         `json:"error,omitempty"`
	Advice  string         `json:"advice,omitempty"`
}

func (a *App) answerAudits(ctx context.Context) error {
	return a.serve(ctx, bus.Service{
		Name: auditService, Version: serviceVersion, About: "Audit the database now",
		Handle: func(ctx context.Context, r *bus.Request) []byte {
			quiet := alive(r, func() any { return audited{} })
			report, err := a.auditor.Request(ctx)
			quiet()
			if err != nil {
				return encode(audited{Error: err.Error(), Advice: hint.Of(err)})
			}
			return encode(audited{Audited: &report.Audited})
		},
	})
}

// AskToAudit has a running instance audit its database now.
func AskToAudit(ctx context.Context, c *config.Config, logger *slog.Logger) (*event.Audited, error) {
	answer, err := askOnce[audited](ctx, c, auditService, func([]byte) {}, logger)
	if err != nil {
		return nil, err
	}
	if answer.Error != "" || answer.Audited == nil {
		return nil, hint.Wrap(fmt.Errorf("the running instance could not audit: %s", answer.Error), "%s", answer.Advice)
	}
	return answer.Audited, nil
}

// AuditReports are the kept reports of audits.
type AuditReports struct {
	reports reportsPort
	// Close ends the connection.
	Close func()
}

// OpenAuditReports finds the reports of the instance that a configuration means, which need
// not run.
func OpenAuditReports(ctx context.Context, c *config.Config, logger *slog.Logger) (*AuditReports, error) {
	conn, done, err := openPast(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	return &AuditReports{reportsPort{conn.Reports(), &sync.Mutex{}, c.Audit.Keep}, done}, nil
}

// Each calls fn with the newest reports, at most so many, the newest first; 0 is all.
func (r *AuditReports) Each(ctx context.Context, limit int, fn func(*schedule.Report) error) error {
	names, err := r.reports.Names(ctx)
	if err != nil {
		return r.missing(err)
	}
	for i := len(names) - 1; i >= 0 && (limit == 0 || len(names)-i <= limit); i-- {
		report, err := r.reports.Load(ctx, names[i])
		if err == nil && report != nil {
			err = fn(report)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Load is the report with a name, the newest for ""; nil where there is none.
func (r *AuditReports) Load(ctx context.Context, name string) (report *schedule.Report, err error) {
	if name != "" {
		report, err = r.reports.Load(ctx, name)
		return report, r.missing(err)
	}
	err = r.Each(ctx, 1, func(newest *schedule.Report) error {
		report = newest
		return nil
	})
	return report, err
}

// missing: without a store there are no reports.
func (r *AuditReports) missing(err error) error {
	if errors.Is(err, bus.ErrSetup) {
		return hint.Wrap(err, "start questwatch run once with this version, or have the object store created")
	}
	return err
}
