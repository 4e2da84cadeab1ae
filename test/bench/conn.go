//go:build linux

package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"

	"golang.org/x/sys/unix"
)

// conn is one non-blocking connection of a client to a node.
type conn struct {
	fd      int
	index   int // among the loop's, and what epoll says
	client  *client
	in      []byte // in[r:w] was read and not yet scanned
	r, w    int
	out     []byte // not yet written; the client keeps it unchanged until its answers are there
	waiting bool   // for epoll to say that it can be written
}

const readSize = 16 << 10

// dial connects to an address and, if asked to, sends READONLY.
func dial(addr string, readonly bool) (*conn, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	c := &conn{fd: fd, in: make([]byte, readSize)}
	if err := c.greet(&unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}, readonly); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("connection to %s: %w", addr, err)
	}
	return c, nil
}

func (c *conn) greet(to unix.Sockaddr, readonly bool) error {
	if err := unix.Connect(c.fd, to); err != nil {
		return err
	}
	if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if readonly {
		if _, err := unix.Write(c.fd, []byte("*1\r\n$8\r\nREADONLY\r\n")); err != nil {
			return err
		}
		const ok = "+OK\r\n"
		var answer [64]byte
		for n := 0; n < len(ok); {
			got, err := unix.Read(c.fd, answer[n:])
			if err != nil || got == 0 {
				return fmt.Errorf("READONLY: %w", errOrEOF(err))
			}
			if n += got; !strings.HasPrefix(ok, string(answer[:n])) {
				return fmt.Errorf("READONLY: %q", answer[:n])
			}
		}
	}
	return unix.SetNonblock(c.fd, true)
}

func errOrEOF(err error) error {
	if err == nil {
		return io.ErrUnexpectedEOF
	}
	return err
}

// The calls below cannot block, so the scheduler need not be told of them (RawSyscall): it would cost more than many of
// the calls.

// fill reads once. It reports whether anything came.
func (c *conn) fill() (bool, error) {
	if c.r == c.w {
		c.r, c.w = 0, 0
	} else if c.w == len(c.in) {
		if c.r > 0 {
			c.w = copy(c.in, c.in[c.r:c.w])
			c.r = 0
		} else {
			c.in = append(c.in, make([]byte, len(c.in))...)
		}
	}
	for {
		n, errno := rawRead(c.fd, c.in[c.w:])
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return false, nil
		case errno != 0:
			return false, errno
		case n == 0:
			return false, fmt.Errorf("the server closed the connection: %w", io.ErrUnexpectedEOF)
		default:
			c.w += n
			return true, nil
		}
	}
}

// flush writes what it can of out.
func (c *conn) flush() error {
	for len(c.out) > 0 {
		n, errno := rawWrite(c.fd, c.out)
		switch {
		case errno == unix.EINTR:
		case errno == unix.EAGAIN:
			return nil
		case errno != 0:
			return errno
		default:
			c.out = c.out[n:]
		}
	}
	return nil
}
