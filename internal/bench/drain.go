package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

// Options of all benchmarks.
type Options struct {
	Binary string // questwatch
	Rows   int
	Rounds int
	For    time.Duration // of the latency's traffic
	Rate   int           // approvals a second
	Cases  []string      // those to run; none means all
	Say    func(format string, args ...any)
}

// Drain is the result of draining a backlog.
type Drain struct {
	Rows         int       `json:"rows"`
	Transactions int       `json:"transactions"`
	Rounds       int       `json:"rounds"`
	Receive      float64   `json:"pg_recvlogical_rows_per_s"`
	Raw          float64   `json:"raw_reader_rows_per_s"`
	Cases        []Drained `json:"cases"`
}

// Drained is one case's medians.
type Drained struct {
	Case string  `json:"case"`
	Rate float64 `json:"rows_per_s"`
	// Ratio is the median of the rounds' ratios to pg_recvlogical.
	Ratio float64 `json:"ratio"`
	// CPU is that of the program and the external server, in microseconds; RSS the
	// sum of their peaks.
	CPU       float64   `json:"cpu_us_per_row"`
	RSS       float64   `json:"max_rss_mb"`
	Processes []Process `json:"processes"`
}

// Process is what one process of a case used.
type Process struct {
	Name string  `json:"name"`
	CPU  float64 `json:"cpu_s"`
	RSS  float64 `json:"max_rss_mb"`
}

// setup is a way to run the program.
type setup struct {
	name                       string
	external, checker, durable bool
}

var setups = []setup{
	{name: "embedded"},
	{name: "embedded+checker", checker: true},
	{name: "external", external: true},
	{name: "external+checker", external: true, checker: true},
	{name: "embedded+durable", durable: true},
}

// Cases names what a drain can measure.
func Cases() (names []string) {
	for _, s := range setups {
		names = append(names, s.name)
	}
	return names
}

// RunDrain drains Rows row changes that wait in a slot, made by so many
// transactions; 0 means one for each approval.
func RunDrain(ctx context.Context, o Options, transactions int) (d *Drain, err error) {
	quests := o.Rows / approvalRows
	if transactions == 0 {
		transactions = quests
	}
	r, err := openRig(ctx, o, quests, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.close()) }()
	o.Say("writing the backlog: %d rows in %d transactions", quests*approvalRows, transactions)
	if r.end, err = r.postgres.backlog(ctx, quests, transactions); err != nil {
		return nil, err
	}
	d = &Drain{Rows: quests * approvalRows, Transactions: transactions, Rounds: o.Rounds}
	runs := map[string][]run{}
	var receive, raw []float64
	for round := range o.Rounds {
		if err := r.round(ctx, round, d.Rows, &receive, &raw, runs); err != nil {
			return nil, err
		}
	}
	d.Receive, d.Raw = median(receive), median(raw)
	for _, s := range r.setups() {
		d.Cases = append(d.Cases, drained(s.name, runs[s.name], receive))
	}
	return d, nil
}

// round runs everything once, in another order each time.
func (r *rig) round(ctx context.Context, round, rows int, receive, raw *[]float64, runs map[string][]run) error {
	took, err := r.yardstick(ctx, r.postgres.receive)
	if err != nil {
		return err
	}
	*receive = append(*receive, float64(rows)/took.Seconds())
	r.options.Say("round %d: pg_recvlogical %.0f rows/s", round+1, (*receive)[round])
	if took, err = r.yardstick(ctx, r.postgres.read); err != nil {
		return err
	}
	*raw = append(*raw, float64(rows)/took.Seconds())
	r.options.Say("round %d: raw reader %.0f rows/s", round+1, (*raw)[round])
	all := r.setups()
	for i := range all {
		s := all[(i+round)%len(all)]
		one, err := r.drain(ctx, s, rows)
		if err != nil {
			return fmt.Errorf("drain, %s: %w", s.name, err)
		}
		runs[s.name] = append(runs[s.name], one)
		r.options.Say("round %d: %s %.0f rows/s, %.2f times pg_recvlogical, %.2f µs of CPU a row", round+1, s.name, one.rate, one.rate/(*receive)[round], one.cpu)
	}
	return nil
}

// run is one drain.
type run struct {
	rate, cpu float64
	processes []Process
}

func drained(name string, runs []run, receive []float64) Drained {
	out := Drained{Case: name}
	var rates, ratios, cpus []float64
	for i := range runs {
		rates, cpus = append(rates, runs[i].rate), append(cpus, runs[i].cpu)
		ratios = append(ratios, runs[i].rate/receive[i])
	}
	out.Rate, out.Ratio, out.CPU = median(rates), median(ratios), median(cpus)
	for i := range runs[0].processes {
		var cpu, rss []float64
		for j := range runs {
			cpu, rss = append(cpu, runs[j].processes[i].CPU), append(rss, runs[j].processes[i].RSS)
		}
		out.Processes = append(out.Processes, Process{Name: runs[0].processes[i].Name, CPU: median(cpu), RSS: median(rss)})
		out.RSS += median(rss)
	}
	return out
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	if n == 0 {
		return 0
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// drain lets the program drain a copy of the backlog.
func (r *rig) drain(ctx context.Context, how setup, rows int) (one run, err error) {
	const slot = "drain"
	dir := filepath.Join(r.dir, "run")
	if err := copyTree(r.folder(how.external), dir); err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := r.postgres.copySlot(ctx, backlogSlot, slot); err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, r.postgres.dropSlot(context.WithoutCancel(ctx), slot)) }()
	s, nats, err := r.settings(dir, how.external)
	if err != nil {
		return one, err
	}
	defer func() { err = errors.Join(err, closeNATS(nats)) }()
	s.slot, s.checker, s.durable = slot, how.checker, how.durable
	p, err := startProgram(ctx, r.options.Binary, s)
	if err != nil {
		return one, err
	}
	defer func() {
		if err = errors.Join(err, p.stop()); err != nil {
			err = errors.Join(err, r.log(s.data))
		}
	}()
	return r.measure(ctx, p, nats, how, rows)
}

// measure times a program that has just been started.
func (r *rig) measure(ctx context.Context, p *program, nats *testkit.NATS, how setup, rows int) (one run, err error) {
	sender, err := r.freeze(ctx, p)
	if err != nil {
		return one, err
	}
	defer syscall.Kill(sender, syscall.SIGCONT) //nolint:errcheck // it may have ended
	if how.checker {
		if err := p.until(ctx, "the checker has read the baseline", 20*time.Millisecond, func(s state) bool { return s.CaughtUp }); err != nil {
			return one, err
		}
	}
	reader, err := connect(ctx, p.nats)
	if err != nil {
		return one, err
	}
	defer reader.close()
	before, err := reader.rows(ctx)
	if err != nil {
		return one, err
	}
	earlier, err := used(p, nats)
	if err != nil {
		return one, err
	}
	start := time.Now()
	if err := syscall.Kill(sender, syscall.SIGCONT); err != nil {
		return one, fmt.Errorf("let the walsender go on: %w", err)
	}
	if err := r.drained(ctx, p, reader, how.checker); err != nil {
		return one, err
	}
	took := time.Since(start)
	after, err := used(p, nats)
	if err != nil {
		return one, err
	}
	moved := float64(rows - before)
	if moved < float64(rows)/2 {
		return one, fmt.Errorf("%d of %d rows were drained before the clock started: use more rows", before, rows)
	}
	one.rate = moved / took.Seconds()
	for i := range after {
		cpu := (after[i].cpu - earlier[i].cpu).Seconds()
		one.cpu += cpu * 1e6 / moved
		one.processes = append(one.processes, Process{Name: after[i].name, CPU: cpu, RSS: float64(after[i].maxRSS) / (1 << 20)})
	}
	return one, nil
}

// freeze stops the walsender as soon as the program streams.
func (r *rig) freeze(ctx context.Context, p *program) (pid int, err error) {
	if err := p.until(ctx, "it streams", 2*time.Millisecond, func(s state) bool { return s.State == "streaming" }); err != nil {
		return 0, err
	}
	pid, err = ask[int](ctx, r.postgres, `SELECT active_pid FROM pg_replication_slots WHERE slot_name = 'drain'`)
	if err != nil {
		return 0, err
	}
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		return 0, fmt.Errorf("stop the walsender: %w", err)
	}
	return pid, nil
}

// drained waits until the last transaction is stored, or judged.
func (r *rig) drained(ctx context.Context, p *program, reader *reader, checker bool) error {
	var last uint64
	err := p.poll(ctx, "the backlog is stored", 5*time.Millisecond, func() (ok bool, err error) {
		last, ok, err = reader.last(ctx, r.quests+1)
		return ok, err
	})
	if err != nil || !checker {
		return err
	}
	return p.until(ctx, "the backlog is judged", 5*time.Millisecond, func(s state) bool { return s.Read >= last })
}

// named is a process's usage.
type named struct {
	name string
	usage
}

// used reads what the program, and its external server if it has one, used so far.
func used(p *program, nats *testkit.NATS) (all []named, err error) {
	u, err := usageOf(p.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	all = append(all, named{"questwatch", u})
	if nats != nil {
		if u, err = usageOf(nats.PID()); err != nil {
			return nil, err
		}
		all = append(all, named{"nats-server", u})
	}
	return all, nil
}
