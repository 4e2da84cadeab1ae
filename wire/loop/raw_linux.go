//go:build !race

package loop

import (
	"syscall"
	"unsafe"
)

// readNow and writeNow are system calls on a socket that never blocks. The scheduler is not told of them: it would give
// this goroutine's processor away, and wake a thread for it, when the machine is busy and a call takes a little longer.

func readNow(fd int, b []byte) (int, error) { return now(syscall.SYS_READ, fd, b) }

func writeNow(fd int, b []byte) (int, error) { return now(syscall.SYS_WRITE, fd, b) }

func now(trap uintptr, fd int, b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	n, _, errno := syscall.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}
