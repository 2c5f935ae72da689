package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a process has used so far.
type usage struct {
	cpu    time.Duration
	maxRSS int64 // bytes
}

// ticks is the unit of /proc/PID/stat, fixed by Linux for its programs.
const ticks = 100

// usageOf reads the process table.
func usageOf(pid int) (u usage, err error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, fmt.Errorf("read usage of process %d: %w", pid, err)
	}
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, i := range [...]int{11, 12} { // utime, stime
		n, err := strconv.ParseInt(fields[i], 10, 64)
		if err != nil {
			return u, fmt.Errorf("read usage of process %d: %w", pid, err)
		}
		u.cpu += time.Duration(n) * time.Second / ticks
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, fmt.Errorf("read usage of process %d: %w", pid, err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			kb, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				return u, fmt.Errorf("read usage of process %d: %w", pid, err)
			}
			u.maxRSS = kb << 10
		}
	}
	return u, nil
}

// program is a running questwatch.
type program struct {
	cmd  *exec.Cmd
	http string
	nats string
	done chan error
}

// settings of a run.
type settings struct {
	dsn, slot, data string
	nats            string // URL of an external server; "" for the embedded one
	checker         bool
	durable         bool
	grace           string
	checkpoints     string // how often they are taken
}

// startProgram starts the binary; what it logs goes to a file in its data folder.
func startProgram(ctx context.Context, binary string, s settings) (*program, error) {
	web, err := freeAddress()
	if err != nil {
		return nil, err
	}
	p := &program{http: web, nats: s.nats, done: make(chan error, 1)}
	args := []string{"run", "--dsn", s.dsn, "--data", s.data, "--http", web}
	env := append(os.Environ(), "QUESTWATCH_POSTGRES_SLOT="+s.slot)
	if s.nats != "" {
		args = append(args, "--nats", s.nats)
	} else {
		listen, err := freeAddress()
		if err != nil {
			return nil, err
		}
		args = append(args, "--nats-listen", listen)
		p.nats = "nats://" + listen
	}
	if !s.checker {
		args = append(args, "--stream-only")
	}
	if s.durable {
		env = append(env, "QUESTWATCH_STREAM_DURABILITY=always")
	}
	if s.checkpoints != "" {
		env = append(env, "QUESTWATCH_WATCH_CHECKPOINT_EVERY="+s.checkpoints)
	}
	if s.grace != "" {
		for _, rule := range []string{"MISSING_PARTICIPANT", "ORPHAN_PARTICIPANT", "OPEN_WITH_PARTICIPANTS", "UNASSIGNED", "DUPLICATE_PARTICIPANT"} {
			env = append(env, "QUESTWATCH_RULES_"+rule+"_GRACE="+s.grace)
		}
	}
	if err := os.MkdirAll(s.data, 0o700); err != nil {
		return nil, fmt.Errorf("make data folder: %w", err)
	}
	log, err := os.Create(filepath.Join(filepath.Dir(s.data), filepath.Base(s.data)+".log"))
	if err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	defer log.Close() // the child has its own
	p.cmd = exec.CommandContext(ctx, binary, args...)
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = env, log, log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", binary, err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	return p, nil
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("find a free port: %w", err)
	}
	return l.Addr().String(), l.Close()
}

// state is what the program says of itself.
type state struct {
	State    string `json:"state"`
	Ready    bool   `json:"ready"`
	Read     uint64 `json:"read_sequence"`
	CaughtUp bool   `json:"caught_up"`

	Checkpoint checkpoint `json:"checkpoint"`
}

// checkpoint is the newest one; Took is 0 where an earlier process took it.
type checkpoint struct {
	Bytes  int64   `json:"bytes"`
	Took   float64 `json:"took_seconds"`
	Paused float64 `json:"paused_seconds"`
}

func (p *program) state(ctx context.Context) (s state, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.http+"/api/v1/status", nil)
	if err != nil {
		return s, fmt.Errorf("ask for the status: %w", err)
	}
	response, err := http.DefaultClient.Do(req)
	if err != nil {
		return s, fmt.Errorf("ask for the status: %w", err)
	}
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&s); err != nil {
		return s, fmt.Errorf("read the status: %w", err)
	}
	return s, nil
}

// until polls the program's state until a condition holds.
func (p *program) until(ctx context.Context, what string, every time.Duration, holds func(state) bool) error {
	return p.poll(ctx, what, every, func() (bool, error) {
		s, err := p.state(ctx)
		return err == nil && holds(s), nil // it may not listen yet
	})
}

// patience bounds every wait.
const patience = 5 * time.Minute

// poll asks again and again, until it is told to end, the program ends, or
// patience does.
func (p *program) poll(ctx context.Context, what string, every time.Duration, holds func() (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errors.New("timed out"))
	defer cancel()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait until %s: %w", what, context.Cause(ctx))
		case err := <-p.done:
			p.done <- err
			return fmt.Errorf("wait until %s: the program ended: %w", what, err)
		case <-tick.C:
		}
	}
}

// stop ends the program in good order.
func (p *program) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop the program: %w", err)
	}
	err := <-p.done
	p.done <- err
	if err != nil {
		return fmt.Errorf("stop the program: %w", err)
	}
	return nil
}
