package app

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/hint"
	"github.com/peerquest/questwatch/internal/repair"
	"github.com/peerquest/questwatch/internal/replay"
)

// repairService is the name of the requests about repairs.
const repairService = "repair"

// What is asked of the service.
const (
	askList  = "list"
	askShow  = "show"
	askApply = "apply"
)

// repairRequest asks about repairs.
type repairRequest struct {
	Ask string `json:"ask"`
	repair.Request
}

// repairAnswer is a part of the answer: an item, what became of one, or nothing, which
// is a sign of life. The last part may be an error.
type repairAnswer struct {
	Item   *repair.Item   `json:"item,omitempty"`
	Answer *repair.Answer `json:"answer,omitempty"`
	Error  string         `json:"error,omitempty"`
	Advice string         `json:"advice,omitempty"`
	// Usage says that the error is the asker's.
	Usage bool `json:"usage,omitempty"`
}

// answerRepairs answers requests of other processes until ctx ends.
func (a *App) answerRepairs(ctx context.Context) error {
	return a.serve(ctx, bus.Service{
		Name: repairService, Version: serviceVersion, About: "List, show and make repairs", Handle: a.answerRepair,
	})
}

func (a *App) answerRepair(ctx context.Context, r *bus.Request) []byte {
	var req repairRequest
	if err := json.Unmarshal(r.Data(), &req); err != nil {
		return encode(repairAnswer{Error: "the request cannot be read", Advice: "use the version of questwatch that is running", Usage: true})
	}
	quiet := alive(r, func() any { return repairAnswer{} })
	err := a.doRepairRequest(ctx, &req, func(part repairAnswer) error { return r.Tell(encode(part)) })
	quiet()
	if err == nil {
		return encode(repairAnswer{})
	}
	usage := errors.Is(err, repair.ErrUnknown) || errors.Is(err, repair.ErrAmbiguous)
	return encode(repairAnswer{Error: err.Error(), Advice: hint.Of(err), Usage: usage})
}

func (a *App) doRepairRequest(ctx context.Context, req *repairRequest, tell func(repairAnswer) error) error {
	item := func(it repair.Item) error { return tell(repairAnswer{Item: &it}) }
	switch req.Ask {
	case askList:
		return a.repairer.List(ctx, req.Wish, item)
	case askShow:
		for _, id := range req.Findings {
			it, err := a.repairer.Show(ctx, id)
			if err != nil {
				return err
			}
			if err := item(*it); err != nil {
				return err
			}
		}
		return nil
	case askApply:
		return a.repairer.Apply(ctx, req.Request, func(answer repair.Answer) error { return tell(repairAnswer{Answer: &answer}) })
	}
	return fmt.Errorf("%q is no request about repairs", req.Ask)
}

// AskedError is an error of who asked: an id or a name of what is not there.
type AskedError struct{ What string }

func (e *AskedError) Error() string { return e.What }

// Repairs is a running instance, for who asks about its repairs.
type Repairs struct{ conn *bus.Conn }

// ConnectRepairs finds the running instance that a configuration means.
func ConnectRepairs(ctx context.Context, c *config.Config, logger *slog.Logger) (*Repairs, error) {
	conn, err := ConnectBus(ctx, c, logger)
	if err != nil {
		return nil, err
	}
	return &Repairs{conn}, nil
}

// Close ends the connection.
func (r *Repairs) Close() { r.conn.Close() }

// List calls fn with the open findings that are wished for.
func (r *Repairs) List(ctx context.Context, w repair.Wish, fn func(*repair.Item)) error {
	return r.ask(ctx, askList, repair.Request{Wish: w}, func(part *repairAnswer) {
		if part.Item != nil {
			fn(part.Item)
		}
	})
}

// Show is one open finding, with everything about its repair.
func (r *Repairs) Show(ctx context.Context, id string) (item *repair.Item, err error) {
	if id, err = replay.ParseID(id); err != nil {
		return nil, err
	}
	err = r.ask(ctx, askShow, repair.Request{Wish: repair.Wish{Findings: []string{id}}}, func(part *repairAnswer) {
		if part.Item != nil {
			item = part.Item
		}
	})
	if err == nil && item == nil {
		err = errors.New("the running instance said nothing of it")
	}
	return item, err
}

// Apply has repairs made and calls fn with what became of each. Whoever gives up
// waiting does not stop them.
func (r *Repairs) Apply(ctx context.Context, req repair.Request, fn func(*repair.Answer)) error {
	for i, id := range req.Findings {
		id, err := replay.ParseID(id)
		if err != nil {
			return err
		}
		req.Findings[i] = id
	}
	return r.ask(ctx, askApply, req, func(part *repairAnswer) {
		if part.Answer != nil {
			fn(part.Answer)
		}
	})
}

func (r *Repairs) ask(ctx context.Context, what string, req repair.Request, part func(*repairAnswer)) error {
	question, err := json.Marshal(repairRequest{Ask: what, Request: req})
	if err != nil {
		return fmt.Errorf("encode the request: %w", err)
	}
	var unreadable error
	last, err := ask(ctx, r.conn, repairService, question, func(data []byte) {
		var p repairAnswer
		if err := json.Unmarshal(data, &p); err != nil {
			unreadable = err
			return
		}
		part(&p)
	})
	if err != nil {
		return err
	}
	var end repairAnswer
	if err := errors.Join(unreadable, json.Unmarshal(last, &end)); err != nil {
		return fmt.Errorf("decode the instance's answer: %w", err)
	}
	switch {
	case end.Error == "":
		return nil
	case end.Usage:
		return hint.Wrap(&AskedError{end.Error}, "%s", cmp.Or(end.Advice, "questwatch repair list shows what is open"))
	}
	return hint.Wrap(fmt.Errorf("the running instance could not do it: %s", end.Error), "%s", end.Advice)
}
