package testkit

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// freePort finds a port that a server can have again after a crash. It looks below the range from which the kernel
// serves outgoing connections: a port from that range may be somebody's client when we want it back.
func freePort() (int, error) {
	for range 200 {
		port := 15000 + rand.IntN(15000)
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err != nil {
			continue
		}
		if err := l.Close(); err != nil {
			return 0, fmt.Errorf("release port %d: %w", port, err)
		}
		return port, nil
	}
	return 0, fmt.Errorf("find free port: 200 tries between 15000 and 30000 were all taken")
}
