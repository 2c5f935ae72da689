package alert

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/peerquest/questwatch/internal/terminal"
)

// Command runs a program for each notice, without a shell. The notice is on its standard
// input, in JSON; it is taken when the program exits with 0, and tried again otherwise.
// When a try takes too long the program and what it has started are killed.
//
// The program's environment is our own without what configures us, and without the
// passwords for Postgres and NATS.
type Command struct {
	path   string
	args   []string
	logger *slog.Logger
	said   string // by the program, in the last try that failed
}

// NewCommand makes a Command of a program and its arguments.
func NewCommand(words []string, logger *slog.Logger) (*Command, error) {
	if len(words) == 0 || words[0] == "" {
		return nil, errors.New("find the program: none is named")
	}
	path, err := exec.LookPath(words[0])
	if err != nil {
		return nil, fmt.Errorf("find the program: %w", err)
	}
	return &Command{path: path, args: words[1:], logger: logger}, nil
}

const (
	saidBytes = 1000 // of what a program says
	tempFail  = 75   // EX_TEMPFAIL
	// outlive is for how long output of children is waited for after a program's end.
	outlive = time.Second
)

// Send is of Channel.
func (c *Command) Send(ctx context.Context, n *Notice) (answer string, err error) {
	input, err := json.Marshal(paperOf(n))
	if err != nil {
		return "", fmt.Errorf("encode the notice: %w", err)
	}
	cmd := exec.CommandContext(ctx, c.path, c.args...)
	var output clipped
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(append(input, '\n')), &output, &output
	cmd.Env = append(ownEnvironment(os.Environ()),
		"QUESTWATCH_ID="+n.ID, "QUESTWATCH_SEVERITY="+n.Severity.String(), "QUESTWATCH_TITLE="+n.Title())
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = outlive
	err = cmd.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // the program itself has exited with 0
		err = nil
	}
	var exit *exec.ExitError
	switch {
	case err == nil:
		c.said = ""
		if answer = "exit status 0"; output.Len() > 0 {
			answer += ", and it said: " + output.String()
		}
		return answer, nil
	case ctx.Err() != nil:
		err = fmt.Errorf("it was killed: %w", ctx.Err())
	case errors.As(err, &exit) && exit.ExitCode() == tempFail:
		err = fmt.Errorf("exit status %d: not now", tempFail)
	}
	c.tell(output.String())
	return "", fmt.Errorf("run the alert command: %w", err)
}

// tell logs what the program said, once: it is tried for long.
func (c *Command) tell(text string) {
	text = terminal.Clean(strings.ToValidUTF8(strings.TrimSpace(text), ""))
	if text != "" && text != c.said {
		c.logger.Warn("the alert command has not taken an alert", "output", text)
	}
	c.said = text
}

// ownEnvironment leaves out what may hold secrets of ours.
func ownEnvironment(environ []string) (rest []string) {
	for _, pair := range environ {
		secret := func(prefix string) bool { return strings.HasPrefix(pair, prefix) }
		if !slices.ContainsFunc([]string{"QUESTWATCH_", "PGPASSWORD=", "PGSSLPASSWORD=", "NATS_"}, secret) {
			rest = append(rest, pair)
		}
	}
	return rest
}

// clipped keeps the beginning of what is written.
type clipped struct{ bytes.Buffer }

func (c *clipped) Write(p []byte) (int, error) {
	_, err := c.Buffer.Write(p[:min(len(p), saidBytes-min(c.Len(), saidBytes))])
	return len(p), err
}

// ReadFrom keeps io.Copy from going around Write.
func (c *clipped) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}
