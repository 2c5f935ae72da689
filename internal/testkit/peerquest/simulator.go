package peerquest

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"
)

// Simulator is one run of the workload. Truth and the counters may be read at any time.
type Simulator struct {
	cfg     Config
	ledger  *ledger
	limiter *rate.Limiter

	operations, transactions, changes atomic.Int64

	// Set by Run before the workers start.
	workers    []*worker
	pool       *pgxpool.Pool
	users      []string
	category   int64
	duplicates bool   // the unique constraint is gone
	unchecked  bool   // foreign keys can be passed by
	run        string // tells slugs of several runs on one database apart
}

// New describes a run; Run starts it.
func New(cfg Config) *Simulator {
	cfg = cfg.withDefaults()
	limit := rate.Inf
	if cfg.Rate > 0 {
		limit = rate.Limit(cfg.Rate)
	}
	return &Simulator{cfg: cfg, ledger: &ledger{grace: cfg.Grace}, limiter: rate.NewLimiter(limit, burst)}
}

const burst = 64

// Truth lists what a checker with the configured grace must find, and what it may. During a run it leaves out the
// operations under way; after it, it is complete.
func (s *Simulator) Truth() []Expectation { return s.ledger.expectations() }

// Operations is the number of things that people did to quests.
func (s *Simulator) Operations() int64 { return s.operations.Load() }

// Transactions is the number of committed transactions that wrote to a watched table.
func (s *Simulator) Transactions() int64 { return s.transactions.Load() }

// Changes is the number of rows they inserted, updated and deleted.
func (s *Simulator) Changes() int64 { return s.changes.Load() }

// Run drives traffic until ctx ends, then finishes the operations under way, in bounded time. An end of ctx is not
// an error. A server that fails is waited for; what happened to its transactions is read back afterwards.
func (s *Simulator) Run(ctx context.Context) error {
	if err := s.open(ctx); err != nil {
		return err
	}
	defer s.pool.Close()
	if err := s.prepare(ctx); err != nil {
		return err
	}
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	// A violation that has to stand is the longest that an operation may have to wait for.
	patience := s.cfg.Grace + settle + 30*time.Second
	var timer *time.Timer
	armed := make(chan struct{})
	disarm := context.AfterFunc(ctx, func() {
		timer = time.AfterFunc(patience, cancel)
		close(armed)
	})
	defer func() {
		if !disarm() {
			<-armed
			timer.Stop()
		}
	}()

	group, stop := errgroup.WithContext(ctx)
	for i := range s.cfg.Workers {
		w := &worker{sim: s, number: i, rng: rand.New(rand.NewPCG(s.cfg.Seed, uint64(i)+1)), faults: map[int]int{}}
		s.workers = append(s.workers, w)
		group.Go(func() error { return w.run(stop, work) })
	}
	if err := group.Wait(); err != nil {
		return fmt.Errorf("simulate PeerQuest: %w", err)
	}
	return nil
}

func (s *Simulator) open(ctx context.Context) error {
	cfg, err := pgxpool.ParseConfig(s.cfg.DSN)
	if err != nil {
		return fmt.Errorf("read DSN: %w", err)
	}
	cfg.MaxConns = int32(2*s.cfg.Workers + 1)
	cfg.ConnConfig.RuntimeParams["application_name"] = "peerquest"
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		// Approvals at the same time deadlock, and the second that a server usually waits before it looks is half of
		// our time. Only a superuser may shorten it; for others the outcome is more often uncertain.
		_, err := conn.Exec(ctx, "SELECT set_config('deadlock_timeout', '50ms', false) WHERE current_setting('is_superuser')::bool")
		return err
	}
	s.pool, err = pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return fmt.Errorf("open database: %w", err)
	}
	return nil
}

// prepare makes the people and the category, and looks whether duplicates are possible.
func (s *Simulator) prepare(ctx context.Context) error {
	s.run = strconv.FormatInt(time.Now().UnixNano(), 36)
	rng := rand.New(rand.NewPCG(s.cfg.Seed, 0))
	s.users = s.users[:0]
	for i := range s.cfg.Users {
		id, name := uuid(rng), fmt.Sprintf("student%d-%d", i+1, s.cfg.Seed)
		s.users = append(s.users, id)
		if _, err := s.pool.Exec(ctx, insertUser, id, name, name+"@peerquest.test", "Student "+strconv.Itoa(i+1)); err != nil {
			return fmt.Errorf("create user %s: %w", name, err)
		}
	}
	err := s.pool.QueryRow(ctx, `SELECT id FROM quests_questcategory ORDER BY id LIMIT 1`).Scan(&s.category)
	if errors.Is(err, pgx.ErrNoRows) {
		err = s.pool.QueryRow(ctx, `INSERT INTO quests_questcategory (name, description, created_at)
			VALUES ('Development', 'Programming work', now()) RETURNING id`).Scan(&s.category)
	}
	if err != nil {
		return fmt.Errorf("find category: %w", err)
	}
	err = s.pool.QueryRow(ctx, `SELECT NOT EXISTS (SELECT FROM pg_constraint
		WHERE conrelid = 'quests_questparticipant'::regclass AND contype = 'u'), current_setting('is_superuser')::bool`).
		Scan(&s.duplicates, &s.unchecked)
	if err != nil {
		return fmt.Errorf("look for unique constraint: %w", err)
	}
	return nil
}

const insertUser = `INSERT INTO users_user (id, username, email, display_name, password, first_name, last_name, is_superuser,
	is_staff, is_active, date_joined, role, gender, location, social_links, settings, bio, level, is_admin, is_verified,
	verification_documents, preferred_language, timezone, notification_preferences, privacy_settings, email_verified, is_banned,
	two_factor_enabled, two_factor_method, backup_codes_generated, spending_limits)
	VALUES ($1, $2, $3, $4, '!', '', '', false, false, true, now(), 'adventurer', '', '', '{}', '{}', '', 1, false, true,
	'{}', 'en', 'UTC', '{}', '{}', true, false, false, 'email', false, '{}') ON CONFLICT DO NOTHING`

func uuid(rng *rand.Rand) string {
	var b [16]byte
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	h := hex.EncodeToString(b[:])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
}

// throttle makes up for n transactions. It comes after an operation and not within: a pause there would
// lengthen the violations in between.
func (s *Simulator) throttle(ctx context.Context, n int) error {
	for n > 0 {
		part := min(n, burst)
		if err := s.limiter.WaitN(ctx, part); err != nil {
			return err
		}
		n -= part
	}
	return ctx.Err()
}
