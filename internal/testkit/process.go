package testkit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a child that cannot outlive us.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed after the child was reaped
	err  error         // the result of Wait; read it after done
}

// startProcess starts cmd in a process group of its own, so that Ctrl-C in a terminal reaches us and not it.
//
// The kernel sends a parent-death signal when the thread that forked ends, not when the process does, and the Go
// runtime may end a thread at any time. So one goroutine, locked to its thread, forks the child and waits for it.
func startProcess(cmd *exec.Cmd, onParentDeath syscall.Signal) (*process, error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	dieWithParent(cmd.SysProcAttr, onParentDeath)

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		started <- nil
		p.err = cmd.Wait()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd.Path, err)
	}
	return p, nil
}

// running says whether the child has not been reaped yet.
func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// stop sends sig and waits; a child that does not end in time is killed with its children.
func (p *process) stop(sig syscall.Signal, patience time.Duration) error {
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("signal %s: %w", p.cmd.Path, err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		return p.kill()
	}
}

// kill ends the child and its children with SIGKILL, as a crash does, and waits until all of them are gone: a
// Postgres that is started while an old backend still lives refuses to come up.
func (p *process) kill() error {
	children := childrenOf(p.cmd.Process.Pid)
	if err := p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", p.cmd.Path, err)
	}
	<-p.done
	deadline := time.Now().Add(10 * time.Second)
	for _, pid := range children {
		for !goneOrZombie(pid) {
			// The error is ESRCH when the child ended by itself, which is what we wait for.
			_ = syscall.Kill(pid, syscall.SIGKILL)
			if time.Now().After(deadline) {
				return fmt.Errorf("kill child %d of %s: still running", pid, p.cmd.Path)
			}
			time.Sleep(2 * time.Millisecond)
		}
	}
	return nil
}

// childrenOf reads the process table. Without /proc it finds none, and we rely on Postgres's children noticing that
// their postmaster is gone.
func childrenOf(parent int) []int {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		if _, ppid := procStat(pid); ppid == parent {
			pids = append(pids, pid)
		}
	}
	return pids
}

// goneOrZombie counts a zombie as gone: orphans are reaped by whoever is process 1, which in a container may be nobody.
func goneOrZombie(pid int) bool {
	state, _ := procStat(pid)
	return state == "" || state == "Z" || state == "X"
}

// procStat returns a process's state letter and parent, or "" and 0 when there is no such process.
func procStat(pid int) (state string, ppid int) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", 0
	}
	// The command name, in parentheses, may hold anything, parentheses included.
	_, rest, ok := cutLast(string(data), ")")
	fields := strings.Fields(rest)
	if !ok || len(fields) < 2 {
		return "", 0
	}
	ppid, err = strconv.Atoi(fields[1])
	if err != nil {
		return "", 0
	}
	return fields[0], ppid
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
