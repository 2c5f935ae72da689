//go:build !linux

package testkit

import "syscall"

// dieWithParent is Linux's alone: elsewhere a child of a killed process has to be ended by hand.
func dieWithParent(*syscall.SysProcAttr, syscall.Signal) {}
