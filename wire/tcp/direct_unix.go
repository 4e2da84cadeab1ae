//go:build unix

package tcp

import (
	"errors"
	"net"
	"os"
	"syscall"

	"shoal/wire/loop"
)

// direct writes to a socket past the runtime's poller, so that it never waits. One call at a time.
type direct struct {
	raw syscall.RawConn
	try func(fd uintptr) bool // attempt, bound once: binding it allocates

	// Of the call under way.
	b   []byte
	n   int
	err error
}

// newDirect returns a function that writes what the connection takes at once, which may be nothing; nil if the
// connection is no socket.
func newDirect(conn net.Conn) func([]byte) (int, error) {
	if looped, ok := conn.(*loop.Conn); ok {
		return looped.TryWrite
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil
	}
	d := &direct{raw: raw}
	d.try = d.attempt
	return d.write
}

func (d *direct) write(b []byte) (int, error) {
	d.b, d.n, d.err = b, 0, nil
	err := d.raw.Write(d.try)
	d.b = nil
	if err == nil {
		err = d.err
	}
	switch {
	case err == nil:
		return max(d.n, 0), nil
	case errors.Is(err, syscall.EAGAIN):
		return 0, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		// The deadline of the writer's last write has passed since. The writer sets a new one before it writes.
		return 0, nil
	}
	return 0, err
}

// attempt makes one write. It reports true whatever comes of it: false would mean to wait until the socket is writable.
func (d *direct) attempt(fd uintptr) bool {
	for {
		d.n, d.err = syscall.Write(int(fd), d.b)
		if d.err != syscall.EINTR {
			return true
		}
	}
}
