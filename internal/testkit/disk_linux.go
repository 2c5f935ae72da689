package testkit

import "syscall"

// mountMemory puts a file system in memory onto dir.
func mountMemory(dir, size string) error {
	return syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size+",mode=0755")
}

func unmount(dir string) error { return syscall.Unmount(dir, syscall.MNT_DETACH) }
