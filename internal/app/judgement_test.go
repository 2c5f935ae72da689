package app

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/peerquest/questwatch/internal/bus"
	"github.com/peerquest/questwatch/internal/config"
	"github.com/peerquest/questwatch/internal/drift"
	"github.com/peerquest/questwatch/internal/event"
	"github.com/peerquest/questwatch/internal/testkit"
	"github.com/peerquest/questwatch/internal/testkit/peerquest"
)

var (
	judgementFor  = flag.Duration("judgement.for", 8*time.Second, "how long people are at work in the test of the judgement")
	judgementSeed = flag.Uint64("judgement.seed", 0, "what they do and what happens to the program meanwhile; 0 is another each time")
)

// People work on many quests at once, and some of what they do goes wrong. The program is killed, ended, taken over
// from and held up meanwhile. All that is wrong is found, as what it is, and nobody is called for anything else.
func TestJudgement(t *testing.T) {
	t.Parallel()
	j := newJudgement(t)
	ctx, cancel := context.WithTimeout(t.Context(), *judgementFor)
	defer cancel()
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	worked := make(chan error, 1)
	go func() { worked <- j.sim.Run(ctx) }()
	j.disturb(ctx)
	if err := <-worked; err != nil {
		t.Fatal(err)
	}
	j.program.kill() // whatever it was at
	r := start(t, j.c, j.dsn)
	s := r.verify(t)
	if gaps, baselines := s.count("gap"), s.count("baseline_end"); gaps != 0 || baselines != 1 {
		t.Errorf("%d gaps and %d baselines", gaps, baselines)
	}
	j.compare(r, s)
}

// judgement is the program between a simulated application and somebody who disturbs it.
type judgement struct {
	*testing.T
	c              config.Config
	dsn            string // around the proxy
	seed           uint64
	rng            *rand.Rand
	sim            *peerquest.Simulator
	program        *child
	postgres, nats *testkit.Proxy
	restarts, lags int
}

func newJudgement(t *testing.T) *judgement {
	t.Helper()
	j := &judgement{T: t, seed: *judgementSeed}
	if j.seed == 0 {
		j.seed = rand.Uint64()
	}
	j.rng = rand.New(rand.NewPCG(j.seed, 1))
	t.Logf("-judgement.seed=%d", j.seed)
	j.dsn = testkit.Database(t, testkit.DropUniqueParticipant)
	j.c = settings(t, j.dsn)
	j.c.Postgres.SenderTimeout = 2 * time.Second
	j.c.Stream.MaxRows = 4 // some transactions are streamed as they come
	j.c.Postgres.DSN, j.postgres = through(t, j.dsn)
	server := testkit.NewNATS(t, testkit.NATSOptions{})
	j.nats = proxyTo(t, server.Addr())
	j.c.NATS.URL = "nats://" + j.nats.Addr()
	j.sim = peerquest.New(peerquest.Config{
		DSN: j.dsn, Seed: j.seed, Workers: 6, AutocommitShare: 0.5, InjectShare: 0.15, Rate: 150, Grace: j.c.Rules.MissingParticipant.Grace,
	})
	j.spawn()
	j.program.says(t, "msg=streaming")
	return j
}

func (j *judgement) spawn() {
	c := j.c
	c.Data = j.TempDir() // of a standby, the other one's is in use
	j.program = spawn(j.T, c)
}

// between is a random number, both ends included.
func (j *judgement) between(least, most time.Duration) time.Duration {
	return least + time.Duration(j.rng.Int64N(int64(most-least)+1))
}

// pass lets random time pass, as long as ctx lasts.
func (j *judgement) pass(ctx context.Context, least, most time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(j.between(least, most)):
	}
}

// disturb makes what happens to the program. Nothing holds it up for as long as a violation lasts that is to be found.
func (j *judgement) disturb(ctx context.Context) {
	for j.pass(ctx, 200*time.Millisecond, 2*time.Second); ctx.Err() == nil; j.pass(ctx, 200*time.Millisecond, 2*time.Second) {
		old := j.program
		select {
		case <-old.ended:
			if begun(j.T, old) {
				j.Fatalf("the program ended by itself:\n%s", old.output(j.T))
			}
			j.restart() // it could not begin while its connections were cut: whoever runs it starts it again
			continue
		default:
		}
		switch j.rng.IntN(6) {
		case 0:
			old.kill()
			j.restart()
		case 1:
			if begun(j.T, old) { // else it says that it was interrupted
				old.terminate(j.T)
			}
			old.kill()
			j.restart()
		case 2:
			j.restarts++
			j.spawn()
			j.pass(ctx, 0, time.Second)
			old.kill()
			j.program.says(j.T, "msg=streaming")
		case 3:
			j.lag(ctx, j.postgres)
		case 4:
			j.lag(ctx, j.nats)
		case 5:
			j.postgres.Cut()
			j.nats.Cut()
		}
	}
}

func begun(t *testing.T, p *child) bool { return strings.Contains(p.output(t), "msg=streaming") }

func (j *judgement) restart() {
	j.restarts++
	j.spawn()
	if j.rng.IntN(3) > 0 { // else it may be killed before it has begun
		j.program.says(j.T, "msg=streaming")
	}
}

func (j *judgement) lag(ctx context.Context, p *testkit.Proxy) {
	j.lags++
	p.Stall(true)
	j.pass(ctx, 0, 1500*time.Millisecond)
	p.Stall(false)
}

// compare holds the events against the truth.
func (j *judgement) compare(r *running, s *streamed) {
	j.Helper()
	o := peerquest.Match(j.sim.Truth(), reported(r.findings(j.T)))
	hidden := 0
	for _, e := range o.Missed {
		if j.hidden(&e, s) {
			hidden++
			continue
		}
		j.Errorf("not found: %+v", e)
	}
	for _, e := range o.WrongCause {
		j.Errorf("found as something else: %+v", e)
	}
	for _, f := range append(o.FalseAlarms, o.Untrue...) {
		j.Errorf("nothing is wrong with %+v", f)
	}
	wrong := j.compareTurns(r) + len(o.Untrue)
	if o.Found == 0 {
		j.Error("nothing was wrong")
	}
	w := tabwriter.NewWriter(os.Stdout, 12, 0, 1, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "behaviour\tworkflows\ttransactions\trestarts\tlags\tbaselines\texpected\tfound\tmissed\twrong cause\totherwise\tfalse alarms\t")
	fmt.Fprintf(w, "live\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t\n", j.sim.Operations(), j.sim.Transactions(), j.restarts, j.lags,
		s.count("baseline_end"), o.Expected-hidden, o.Found, len(o.Missed)-hidden, len(o.WrongCause), wrong, len(o.FalseAlarms))
	_ = w.Flush() // to standard output
	j.Logf("%d were over before the stream had a mark to find them at", hidden)
}

// reported are the findings of the stream, in the simulator's words.
func reported(findings map[string]*finding) (all []peerquest.Finding) {
	for _, f := range findings {
		if f.Origin == drift.FromBaseline {
			continue
		}
		one := peerquest.Finding{
			Key:   peerquest.Key{Rule: f.Rule.String(), QuestID: f.QuestID},
			Cause: string(f.Cause), Severity: f.Severity.String(), XID: f.Transaction.ID,
		}
		if f.UserID != nil {
			one.UserID = *f.UserID
		}
		all = append(all, one)
	}
	return all
}

// hidden reports whether something was over before the stream had a mark behind its grace: it lagged for longer.
func (j *judgement) hidden(e *peerquest.Expectation, s *streamed) bool {
	if e.EndedAt.IsZero() {
		return false
	}
	due := e.CommittedAt.Add(j.c.Rules.MissingParticipant.Grace)
	return !slices.ContainsFunc(s.controls, func(c controlRecord) bool {
		at := time.UnixMilli(c.Time)
		return c.Control == "progress" && at.After(due) && at.Before(e.EndedAfter)
	})
}

// compareTurns does the same for what is no finding: approvals that were taken back or reported, statuses that went
// back. It returns the number of differences.
func (j *judgement) compareTurns(r *running) (wrong int) {
	j.Helper()
	want, unclear := j.sim.Turns()
	got := j.turns(r)
	for _, w := range want {
		if !slices.Contains(got, w) {
			wrong++
			j.Errorf("not told: %+v", w)
		}
	}
	for _, g := range got {
		if !slices.Contains(want, g) && !unclear[g.QuestID] {
			wrong++
			j.Errorf("nothing of the kind happened: %+v", g)
		}
	}
	return wrong
}

func (j *judgement) turns(r *running) (all []peerquest.Turn) {
	j.Helper()
	err := r.Bus().ConsumeEvents(j.Context(), nil, 0, func(m bus.Message) error {
		var e struct {
			Type string `json:"type"`
			Data struct {
				Reason      event.Why         `json:"reason"`
				QuestID     int64             `json:"quest_id"`
				UserID      string            `json:"user_id"`
				From        string            `json:"from"`
				To          string            `json:"to"`
				Transaction event.Transaction `json:"transaction"`
			} `json:"data"`
		}
		what := strings.TrimSuffix(strings.TrimPrefix(m.Subject, "questwatch.events."), ".v1")
		if !strings.HasPrefix(what, "approval.") && !strings.HasPrefix(what, "status.") || strings.HasPrefix(what, "approval.failed.silent") {
			return nil // a silent failure is a finding
		}
		if err := json.Unmarshal(m.Data, &e); err != nil {
			return err
		}
		tokens := strings.Split(what, ".")
		all = append(all, peerquest.Turn{
			Kind: strings.Join(tokens[:3], "."), QuestID: e.Data.QuestID, UserID: e.Data.UserID, XID: e.Data.Transaction.ID,
		})
		return nil
	}, bus.OnCaughtUp(func(bus.Seq) error { return errCaughtUp }))
	if !errors.Is(err, errCaughtUp) {
		j.Fatal(err)
	}
	return all
}
