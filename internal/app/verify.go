package app

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/peerquest/questwatch/internal/audit/verify"
	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/pgstore"
	"github.com/peerquest/questwatch/internal/stream"
	"github.com/peerquest/questwatch/internal/watch"
)

func (a *App) newVerifier(rules *watch.Rules) *verify.Verifier {
	return verify.New(verify.Config{
		Namespace: a.config.Namespace, Schema: rules.Schema, Statuses: rules.Statuses, Every: a.config.Watch.VerifyEvery,
	}, statePort{a.watch}, streamPort{a.stream}, tablesPort{a.store}, toldPort{a.bus, a.config.Namespace}, a.logger)
}

// Verify compares the checker's state with the database, while Run runs.
func (a *App) Verify(ctx context.Context) (*verify.Result, error) {
	return a.verifier.Verify(ctx, func(verify.Progress) {})
}

// verifyService is the name of the requests to compare.
const verifyService = "verify"

// answer answers requests of other processes until ctx ends.
func (a *App) answer(ctx context.Context) error {
	return a.serve(ctx, bus.Service{
		Name: verifyService, Version: serviceVersion, About: "Compare the checker's state with the database", Handle: a.answerVerify,
	})
}

// verified is a part of the answer: how far it has come, or how it ended.
type verified struct {
	Progress *verify.Progress `json:"progress,omitempty"`
	Result   *verify.Result   `json:"result,omitempty"`
	Error    string           `json:"error,omitempty"`
	Advice   string           `json:"advice,omitempty"`
}

func (a *App) answerVerify(ctx context.Context, r *bus.Request) []byte {
	var mu sync.Mutex // the comparison makes progress while signs of life are given
	var progress verify.Progress
	quiet := alive(r, func() any {
		mu.Lock()
		defer mu.Unlock()
		so := progress
		return verified{Progress: &so}
	})
	result, err := a.verifier.Verify(ctx, func(p verify.Progress) {
		mu.Lock()
		defer mu.Unlock()
		progress = p
	})
	quiet()
	if err != nil {
		return encode(verified{Error: err.Error(), Advice: hint.Of(err)})
	}
	return encode(verified{Result: result})
}

// AskToVerify has a running instance compare its state with its database.
func AskToVerify(ctx context.Context, c *config.Config, tell func(verify.Progress), logger *slog.Logger) (*verify.Result, error) {
	v, err := askOnce[verified](ctx, c, verifyService, func(part []byte) {
		var v verified
		if json.Unmarshal(part, &v) == nil && v.Progress != nil {
			tell(*v.Progress)
		}
	}, logger)
	if err != nil {
		return nil, err
	}
	if v.Error != "" || v.Result == nil {
		return nil, hint.Wrap(fmt.Errorf("the running instance could not compare: %s", v.Error), "%s", v.Advice)
	}
	return v.Result, nil
}

// statePort is the checker's state.
type statePort struct{ flow *watch.Flow }

func (p statePort) Look(fn func(*verify.View) error) error {
	status := p.flow.Status()
	return p.flow.Look(func(c *watch.Checker, run int) error {
		if c == nil {
			return fn(nil)
		}
		return fn(&verify.View{
			State: c.State(), Violated: c.Violated, Recent: c.Recent(), Passed: c.Passed(), Known: c.Known(), CaughtUp: status.CaughtUp,
			Sequence: status.Read, Epoch: c.Writer().Epoch, Generation: verify.Generation{Run: run, Baseline: c.Baselines()},
		})
	})
}

// streamPort is what fills the checker's state.
type streamPort struct{ *stream.Flow }

func (p streamPort) Streaming() bool { return p.Status().Streaming() }

// tablesPort is the database that the state is of.
type tablesPort struct{ store *pgstore.Store }

func (p tablesPort) NextXID(ctx context.Context) (uint64, error) { return p.store.NextXID(ctx) }

func (p tablesPort) Moment(ctx context.Context, fn func(verify.At, verify.Rows) error) error {
	return p.store.Moment(ctx, func(m *pgstore.Moment) error {
		return fn(verify.At{LSN: m.LSN, Visible: m.Visible}, m)
	})
}

// toldPort publishes events that are no function of the stream.
type toldPort struct {
	bus       *bus.Conn
	namespace string
}

func (p toldPort) Publish(ctx context.Context, events []event.Event) error {
	var messages []bus.EventMsg
	for i := range events {
		data, err := events[i].Encode(p.namespace)
		if err != nil {
			return err
		}
		messages = append(messages, bus.EventMsg{Subject: events[i].Subject(p.namespace), ID: events[i].ID, Data: data})
	}
	return p.bus.PublishEvents(ctx, messages)
}

// StreamTime is the time that the checker has come to.
func (a *App) StreamTime() time.Time { return a.watch.Status().Now.Time() }

// Usernames looks up people's names.
func (a *App) Usernames(ctx context.Context, ids []string) (map[string]string, error) {
	return a.store.Usernames(ctx, ids)
}
