//go:build !linux

package pgsource

import (
	"net"
	"time"
)

// lowWater makes a connection's reader sleep until much has come; here by a pause.
type lowWater struct{}

func newLowWater(net.Conn) *lowWater { return &lowWater{} }

func (*lowWater) wait(_ int, most time.Duration) { time.Sleep(most) }

func (*lowWater) end() {}
