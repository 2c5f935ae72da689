package pgsource

import (
	"net"
	"syscall"
	"time"
)

// lowWater makes a connection's reader sleep until much has come.
type lowWater struct {
	conn net.Conn
	raw  syscall.RawConn
	set  bool
}

// newLowWater looks below TLS. Where there is no socket, waiting is a pause.
func newLowWater(conn net.Conn) *lowWater {
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		conn = wrapped.NetConn()
	}
	w := &lowWater{conn: conn}
	if socket, ok := conn.(syscall.Conn); ok {
		if raw, err := socket.SyscallConn(); err == nil {
			w.raw = raw
		}
	}
	return w
}

// wait returns when n bytes have come, or after a while, or when the connection
// has ended: whoever reads then is told.
//
// The mark makes the kernel wake the reader once for many messages (tcp(7),
// SO_RCVLOWAT), and keep room for as much again meanwhile.
func (w *lowWater) wait(n int, most time.Duration) {
	if w.raw == nil {
		time.Sleep(most)
		return
	}
	if !w.set && !w.mark(n) || w.conn.SetReadDeadline(time.Now().Add(most)) != nil {
		time.Sleep(most)
		return
	}
	asked := false
	err := w.raw.Read(func(uintptr) bool {
		ready := asked
		asked = true
		return ready
	})
	if err != nil {
		w.end()
	}
}

// end has the reader woken by every byte again.
func (w *lowWater) end() {
	if w.set && w.mark(1) {
		w.set = false
	}
}

func (w *lowWater) mark(n int) (ok bool) {
	err := w.raw.Control(func(fd uintptr) {
		ok = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, n) == nil
	})
	w.set = ok && err == nil
	return w.set
}
