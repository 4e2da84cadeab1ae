//go:build unix

package resp

import (
	"io"
	"net"
	"os"
	"syscall"
)

// readiness reads from a socket, and waits for it without a buffer: the runtime calls attempt when there may be
// something to read.
type readiness struct {
	raw syscall.RawConn
	try func(fd uintptr) bool // attempt, made once
	g   *guard
	n   int
	err error
}

// newReadiness knows the sockets themselves only: whatever wraps one may have a Read of its own.
func newReadiness(g *guard) *readiness {
	var raw syscall.RawConn
	var err error
	switch nc := g.Conn.(type) {
	case *net.TCPConn:
		raw, err = nc.SyscallConn()
	case *net.UnixConn:
		raw, err = nc.SyscallConn()
	default:
		return nil
	}
	if err != nil {
		return nil
	}
	r := &readiness{raw: raw, g: g}
	r.try = r.attempt
	return r
}

// read reads once, after waiting if it must.
func (r *readiness) read(*guard) (int, error) {
	if err := r.raw.Read(r.try); err != nil {
		return 0, err
	}
	return r.n, r.err
}

// attempt reports false when the socket has nothing yet.
func (r *readiness) attempt(fd uintptr) bool {
	r.g.acquire()
	p := &r.g.parser
	for {
		r.n, r.err = syscall.Read(int(fd), p.buf[len(p.buf):cap(p.buf)])
		switch {
		case r.err == syscall.EINTR:
			continue
		case r.err == syscall.EAGAIN:
			if p.vacant() {
				r.g.release()
			}
			return false
		case r.err != nil:
			r.n, r.err = 0, os.NewSyscallError("read", r.err)
		case r.n == 0:
			r.err = io.EOF
		}
		return true
	}
}
