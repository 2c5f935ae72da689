package bench

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// Latency is how long what is committed takes to come out.
type Latency struct {
	Rate   int     `json:"approvals_per_s"`
	For    float64 `json:"for_s"`
	Rounds int     `json:"rounds"`
	// Commit is what the COMMIT itself takes its client.
	Commit Spread `json:"commit_ms"`
	// Publish is from just before COMMIT to the step at a NATS subscriber.
	Publish Spread `json:"publish_ms"`
	// Detect is from just before COMMIT to drift.opened at a subscriber, with no grace.
	Detect Spread `json:"detect_ms"`
}

// Spread is medians over rounds, in milliseconds.
type Spread struct {
	P50 float64 `json:"p50"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

const (
	// writers share the traffic.
	writers = 8
	// oneInFails: every so many approvals leave the participant out.
	oneInFails = 10
)

// RunLatency lets approvals come at an even pace, and times them.
func RunLatency(ctx context.Context, o Options) (l *Latency, err error) {
	perRound := int(float64(o.Rate) * o.For.Seconds())
	r, err := openRig(ctx, o, perRound*o.Rounds, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.postgres.exec(ctx, approveBadlySQL); err != nil {
		return nil, err
	}
	s := settings{dsn: r.postgres.dsn, slot: backlogSlot, data: filepath.Join(r.folder(false), "data"), checker: true, grace: "0s"}
	p, err := startProgram(ctx, o.Binary, s)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.stop()) }()
	if err := p.until(ctx, "it is ready", 50*time.Millisecond, func(s state) bool { return s.Ready }); err != nil {
		return nil, err
	}
	l = &Latency{Rate: o.Rate, For: o.For.Seconds(), Rounds: o.Rounds}
	var commits, publishes, detects []Spread
	for round := range o.Rounds {
		t, err := r.traffic(ctx, p.nats, round*perRound+1, perRound)
		if err != nil {
			return nil, err
		}
		c, d, f := spread(t.commits), spread(t.published), spread(t.detected)
		o.Say("round %d: commit %.2f ms, published %.2f ms (p99 %.2f), detected %.2f ms (p99 %.2f)", round+1, c.P50, d.P50, d.P99, f.P50, f.P99)
		commits, publishes, detects = append(commits, c), append(publishes, d), append(detects, f)
	}
	l.Commit, l.Publish, l.Detect = medians(commits), medians(publishes), medians(detects)
	return l, nil
}

// approveBadlySQL is an approval that fails half-way, silently.
const approveBadlySQL = `
	CREATE FUNCTION approve_badly(q bigint) RETURNS void LANGUAGE sql AS $$
		UPDATE applications_application SET status = CASE WHEN applicant_id = '00000000-0000-4000-8000-000000000001' THEN 'approved' ELSE 'rejected' END,
			reviewed_at = now(), reviewed_by_id = '00000000-0000-4000-8000-000000000000' WHERE quest_id = q;
	$$`

// traffic is one round: when each approval was about to commit, and how long it
// took from there.
type traffic struct {
	first   int
	before  []atomic.Int64 // Unix nanoseconds, by quest
	pending atomic.Int64
	done    chan struct{}

	mu                           sync.Mutex // two subscriptions and the writers report
	commits, published, detected []time.Duration
}

func (r *rig) traffic(ctx context.Context, url string, first, n int) (*traffic, error) {
	t := &traffic{first: first, before: make([]atomic.Int64, n), done: make(chan struct{})}
	t.pending.Store(int64(n + (n+oneInFails-1)/oneInFails))
	conn, err := nats.Connect(url)
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	defer conn.Close()
	for subject, to := range map[string]*[]time.Duration{
		"questwatch.cdc.*.*": &t.published, "questwatch.events.drift.opened.missing_participant.*": &t.detected,
	} {
		if _, err := conn.Subscribe(subject, func(m *nats.Msg) { t.arrived(m.Subject, to) }); err != nil {
			return nil, fmt.Errorf("subscribe: %w", err)
		}
	}
	if err := conn.Flush(); err != nil {
		return nil, fmt.Errorf("subscribe: %w", err)
	}
	if err := t.write(ctx, r.postgres.dsn, r.options.Rate); err != nil {
		return nil, err
	}
	select {
	case <-t.done:
		return t, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-time.After(patience):
		return nil, fmt.Errorf("%d messages did not come", t.pending.Load())
	}
}

// arrived notes a message of one of our quests.
func (t *traffic) arrived(subject string, to *[]time.Duration) {
	now := time.Now().UnixNano()
	quest, err := strconv.Atoi(subject[strings.LastIndexByte(subject, '.')+1:])
	if i := quest - t.first; err == nil && i >= 0 && i < len(t.before) {
		t.note(to, time.Duration(now-t.before[i].Load()))
		if t.pending.Add(-1) == 0 {
			close(t.done)
		}
	}
}

func (t *traffic) note(to *[]time.Duration, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	*to = append(*to, took)
}

// write lets the writers approve quest after quest.
func (t *traffic) write(ctx context.Context, dsn string, perSecond int) error {
	pace := rate.NewLimiter(rate.Limit(perSecond), 1)
	var next atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for range writers {
		group.Go(func() error {
			conn, err := pgx.Connect(ctx, dsn)
			if err != nil {
				return fmt.Errorf("connect: %w", err)
			}
			defer conn.Close(context.WithoutCancel(ctx))
			for {
				if err := pace.Wait(ctx); err != nil {
					return err
				}
				i := int(next.Add(1) - 1)
				if i >= len(t.before) {
					return nil
				}
				if err := t.approve(ctx, conn, i); err != nil {
					return fmt.Errorf("approve: %w", err)
				}
			}
		})
	}
	return group.Wait()
}

func (t *traffic) approve(ctx context.Context, conn *pgx.Conn, i int) error {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	sql := `SELECT approve($1)`
	if i%oneInFails == 0 {
		sql = `SELECT approve_badly($1)`
	}
	if _, err := tx.Exec(ctx, sql, t.first+i); err != nil {
		return errors.Join(err, tx.Rollback(ctx))
	}
	start := time.Now()
	t.before[i].Store(start.UnixNano())
	if err := tx.Commit(ctx); err != nil {
		return err
	}
	t.note(&t.commits, time.Since(start))
	return nil
}

func spread(all []time.Duration) Spread {
	slices.Sort(all)
	at := func(q float64) float64 { return float64(all[int(q*float64(len(all)-1))]) / float64(time.Millisecond) }
	return Spread{at(0.5), at(0.99), at(1)}
}

func medians(all []Spread) Spread {
	of := func(which func(Spread) float64) float64 {
		var values []float64
		for _, s := range all {
			values = append(values, which(s))
		}
		return median(values)
	}
	return Spread{
		of(func(s Spread) float64 { return s.P50 }), of(func(s Spread) float64 { return s.P99 }), of(func(s Spread) float64 { return s.Max }),
	}
}
