package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/peerquest/questwatch/internal/audit/schedule"
	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/change"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/pack/squeeze"
	"github.com/peerquest/questwatch/internal/pgstore"
	"github.com/peerquest/questwatch/internal/remedy"
	"github.com/peerquest/questwatch/internal/watch"
)

func (a *App) newAuditor(rules *watch.Rules) *schedule.Auditor {
	table, _ := a.config.Audit.Timetable() // checked by config
	return schedule.New(schedule.Config{
		Namespace: a.config.Namespace, Instance: a.instance, Timetable: table, Within: a.config.Audit.Within,
		Rules: rules.Policy, HTML: a.config.Audit.HTML,
	}, deskPort{a.bus.Control()}, reportsPort{a.bus.Reports(), &a.reporting, a.config.Audit.Keep}, toldPort{a.bus, a.config.Namespace},
		a.verifier, surveyPort{a.store}, a.logger)
}

// AuditStatus is how audits by timetable stand.
type AuditStatus struct {
	Next string         `json:"next,omitempty"`
	Last *event.Audited `json:"last,omitempty"`
	// Error is why the newest one failed, Blocked why none can be planned now.
	Error   string `json:"error,omitempty"`
	Blocked string `json:"blocked,omitempty"`
}

func (a *App) auditStatus() *AuditStatus {
	if a.auditor == nil {
		return nil
	}
	s := a.auditor.Status()
	out := &AuditStatus{Last: s.Last}
	if !s.Next.IsZero() {
		out.Next = s.Next.UTC().Format("2006-01-02T15:04:05Z")
	}
	if s.Err != nil {
		out.Error = s.Err.Error()
	}
	if s.Blocked != nil {
		out.Blocked = s.Blocked.Error()
	}
	return out
}

// deskPort keeps the note in the control bucket.
type deskPort struct{ bucket *bus.Bucket }

const deskKey = "audit"

func (p deskPort) Read(ctx context.Context) (n schedule.Note, revision uint64, err error) {
	e, err := p.bucket.Get(ctx, deskKey)
	if errors.Is(err, bus.ErrNoKey) {
		return n, 0, nil
	}
	if err == nil {
		err = json.Unmarshal(e.Value, &n)
	}
	return n, e.Revision, err
}

func (p deskPort) Write(ctx context.Context, n schedule.Note, revision uint64) (next uint64, err error) {
	data, err := json.Marshal(n)
	if err != nil {
		return 0, fmt.Errorf("encode the note of audits: %w", err)
	}
	if revision == 0 {
		next, err = p.bucket.Create(ctx, deskKey, data)
	} else {
		next, err = p.bucket.Update(ctx, deskKey, data, revision)
	}
	if errors.Is(err, bus.ErrConflict) {
		err = fmt.Errorf("%w: %w", schedule.ErrTaken, err)
	}
	return next, err
}

// surveyPort is the database that audits read.
type surveyPort struct{ store *pgstore.Store }

func (p surveyPort) Survey(
	ctx context.Context, of remedy.Scope, at func(verify.At) error, begin func(remedy.Census) error, each func(*remedy.Case) error,
) error {
	return p.store.SurveyAt(ctx, of, func(lsn change.LSN, v change.Visible) error { return at(verify.At{LSN: lsn, Visible: v}) }, begin, each)
}

// Told looks at the newest event of the same subject.
func (p toldPort) Told(ctx context.Context, e *event.Event) (bool, error) {
	m, err := p.bus.LastEvent(ctx, e.Subject(p.namespace))
	if errors.Is(err, bus.ErrNoMessage) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	id, err := event.IDOf(m.Data)
	return id == e.ID, err
}

// reportsPort keeps reports in the object store, compressed.
type reportsPort struct {
	objects *bus.Objects
	// writing is for one at a time: an upload that was cut off is swept away before the
	// next one.
	writing *sync.Mutex
	keep    int
}

// putObject stores an object when nobody else does.
func putObject(ctx context.Context, objects *bus.Objects, writing *sync.Mutex, name string, data []byte) error {
	writing.Lock()
	defer writing.Unlock()
	if err := objects.Sweep(ctx); err != nil {
		return err
	}
	_, err := objects.Put(ctx, name, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
	return err
}

// getObject is nil where there is none of the name.
func getObject(ctx context.Context, objects *bus.Objects, name string) (data []byte, err error) {
	object, err := objects.Get(ctx, name)
	if errors.Is(err, bus.ErrNoMessage) {
		return nil, nil
	}
	if err == nil {
		err = objects.Read(ctx, object, func(r io.Reader) (err error) {
			data, err = io.ReadAll(r)
			return err
		})
	}
	return data, err
}

func (p reportsPort) Load(ctx context.Context, name string) (*schedule.Report, error) {
	data, err := getObject(ctx, p.objects, name)
	if err != nil || data == nil {
		return nil, err
	}
	plain, err := squeeze.Out(bytes.NewReader(data))
	var r schedule.Report
	if err == nil {
		err = json.Unmarshal(plain, &r)
	}
	if err != nil {
		return nil, fmt.Errorf("read report %s: %w", name, err)
	}
	return &r, nil
}

func (p reportsPort) Names(ctx context.Context) (names []string, err error) {
	objects, err := p.objects.List(ctx)
	for _, o := range objects {
		if schedule.IsName(o.Name) {
			names = append(names, o.Name)
		}
	}
	slices.Sort(names)
	return names, err
}

func (p reportsPort) Save(ctx context.Context, r *schedule.Report) error {
	plain, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode report %s: %w", r.Report, err)
	}
	if err := putObject(ctx, p.objects, p.writing, r.Report, squeeze.In(plain)); err != nil {
		return err
	}
	return p.prune(ctx)
}

func (p reportsPort) prune(ctx context.Context) error {
	names, err := p.Names(ctx)
	if err != nil {
		return err
	}
	for _, name := range names[:max(0, len(names)-p.keep)] {
		object, err := p.objects.Get(ctx, name)
		if err == nil {
			err = p.objects.Delete(ctx, object)
		}
		if err != nil && !errors.Is(err, bus.ErrNoMessage) {
			return err
		}
	}
	return nil
}
