//go:build !linux

package testkit

import "errors"

// mountMemory is for Linux only.
func mountMemory(string, string) error { return errors.ErrUnsupported }

func unmount(string) error { return errors.ErrUnsupported }
