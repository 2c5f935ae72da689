package testkit_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/peerquest/questwatch/internal/testkit"
)

const ownerEnv = "QUESTWATCH_TESTKIT_OWNER"

// owner is a program that starts both servers in the folder that ownerEnv names, says so, and waits to be killed.
type owner struct{}

func (owner) Run() int {
	dir := os.Getenv(ownerEnv)
	_, err := testkit.StartPostgres(context.Background(), testkit.PostgresOptions{Dir: dir})
	if err == nil {
		_, err = testkit.StartNATS(testkit.NATSOptions{Dir: dir})
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("started")
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	return 0
}

func TestServersDieWithKilledOwner(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "servers")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), ownerEnv+"="+dir)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	servers := testkit.Children(cmd.Process.Pid)
	var all []int
	for _, pid := range servers {
		all = append(append(all, pid), testkit.Children(pid)...)
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if line != "started\n" || len(servers) != 2 || len(all) < 5 {
		t.Fatalf("owner said %q, started %v with children %v", line, servers, all)
	}
	testkit.Eventually(t, 10*time.Second, func() error {
		for _, pid := range all {
			if !testkit.Gone(pid) {
				return fmt.Errorf("process %d of %v still runs", pid, all)
			}
		}
		return nil
	})
}
