package loop

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Conn is a socket that the loop waits for. It is a net.Conn of which the task reads, and others write; the task writes
// with Send. Close and the deadlines may be called by any goroutine.
type Conn struct {
	loop          *Loop
	local, remote net.Addr

	lock   sync.RWMutex // held for each system call on fd, so that its number is not somebody else's meanwhile
	fd     int
	closed atomic.Bool // set under the lock

	readBy, writeBy atomic.Int64 // deadlines on the loop's clock, 0: none

	// Of the task and the loop.
	next    func() (struct{}, bool)
	yield   func(struct{}) bool
	waits   waiting
	within  bool
	watched bool
	late    bool  // the deadline ended the wait
	alarm   int64 // see deadlines
	slot    int32
	read    uint64 // the round of the last read
	drained bool   // there was nothing left to read, and no event since
	ended   bool   // the other end has closed, or there was an error: reads are never short

	room chan struct{} // holds a token when the socket may take more, for whoever writes outside the loop
}

// Adopt takes a socket that is not in use yet out of the hands of Go's poller, which would wake threads for it, and
// closes nc. Nil: it is no TCP socket of the system, and stays as it is.
func (l *Loop) Adopt(nc net.Conn) *Conn {
	sock, ok := nc.(*net.TCPConn)
	if l == nil || !ok || !l.start() {
		return nil
	}
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil
	}
	fd := -1
	err = raw.Control(func(old uintptr) {
		n, _, errno := syscall.RawSyscall(syscall.SYS_FCNTL, old, syscall.F_DUPFD_CLOEXEC, 0)
		if errno == 0 {
			fd = int(n)
		}
	})
	if err != nil || fd < 0 {
		return nil
	}
	c := &Conn{loop: l, fd: fd, local: nc.LocalAddr(), remote: nc.RemoteAddr(), room: make(chan struct{}, 1)}
	_ = nc.Close()
	return c
}

// event is what the loop was told of the socket.
func (c *Conn) event(e uint32) {
	const over = syscall.EPOLLRDHUP | syscall.EPOLLHUP | syscall.EPOLLERR
	if e&(syscall.EPOLLIN|over) != 0 {
		c.drained = false
		c.ended = c.ended || e&over != 0
		if c.waits == forRead {
			c.goOn()
		}
	}
	if e&(syscall.EPOLLOUT|over) != 0 {
		if c.waits == forWrite {
			c.goOn()
		}
		select {
		case c.room <- struct{}{}:
		default:
		}
	}
}

// hold makes a system call while the descriptor is certainly this connection's.
func (c *Conn) hold(f func(fd int) error) error {
	c.lock.RLock()
	defer c.lock.RUnlock()
	if c.closed.Load() {
		return net.ErrClosed
	}
	return f(c.fd)
}

// call reads or writes once.
func (c *Conn) call(f func(fd int, b []byte) (int, error), b []byte) (int, error) {
	c.lock.RLock()
	defer c.lock.RUnlock()
	if c.closed.Load() {
		return 0, net.ErrClosed
	}
	for {
		if n, err := f(c.fd, b); err != syscall.EINTR {
			return n, err
		}
	}
}

// MayRead reports whether there may be something to read. For the task.
func (c *Conn) MayRead() bool { return !c.drained }

// WaitRead leaves the task until there may be something to read. Errors: net.ErrClosed, os.ErrDeadlineExceeded.
func (c *Conn) WaitRead() error {
	for c.drained {
		if err := c.wait(forRead); err != nil {
			return err
		}
	}
	return nil
}

// TryRead reads once; 0 and no error: there was nothing. A task reads once a round.
func (c *Conn) TryRead(b []byte) (int, error) {
	if c.read == c.loop.round {
		c.Yield()
	}
	c.read = c.loop.round
	n, err := c.call(readNow, b)
	switch {
	case err == syscall.EAGAIN:
		c.drained = true
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("read", err)
	case n == 0 && len(b) > 0:
		return 0, io.EOF
	}
	c.drained = n < len(b) && !c.ended // what comes later is a new event
	return n, nil
}

// Read is for the task.
func (c *Conn) Read(b []byte) (int, error) {
	for {
		if err := c.WaitRead(); err != nil {
			return 0, err
		}
		if n, err := c.TryRead(b); n > 0 || err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// TryWrite writes what the socket takes at once, perhaps nothing. Any goroutine may call it.
func (c *Conn) TryWrite(b []byte) (int, error) {
	n, err := c.call(writeNow, b)
	switch {
	case err == syscall.EAGAIN:
		return 0, nil
	case err != nil:
		return 0, os.NewSyscallError("write", err)
	}
	return n, nil
}

// Send is Write for the task: while the socket takes nothing others have their turns.
func (c *Conn) Send(b []byte) (int, error) {
	return c.write(b, func() error { return c.wait(forWrite) })
}

// Write is for everybody but the task.
func (c *Conn) Write(b []byte) (int, error) { return c.write(b, c.waitRoom) }

func (c *Conn) write(b []byte, wait func() error) (done int, err error) {
	for {
		n, err := c.TryWrite(b[done:])
		if done += n; err != nil || done == len(b) {
			return done, err
		}
		if n == 0 {
			if err := wait(); err != nil {
				return done, err
			}
		}
	}
}

// waitRoom waits outside the loop until the socket may take more.
func (c *Conn) waitRoom() error {
	var end <-chan time.Time
	if by := c.writeBy.Load(); by != 0 {
		timer := time.NewTimer(time.Duration(by - c.loop.now()))
		defer timer.Stop()
		end = timer.C
	}
	select {
	case <-c.room: // perhaps an old one: then the next write says so
		return nil
	case <-end:
		return os.ErrDeadlineExceeded
	}
}

// Close ends the connection, and whatever waits for it.
func (c *Conn) Close() error {
	c.lock.Lock()
	if c.closed.Load() {
		c.lock.Unlock()
		return net.ErrClosed
	}
	c.closed.Store(true)
	err := syscall.Close(c.fd)
	c.lock.Unlock()
	select {
	case c.room <- struct{}{}:
	default:
	}
	c.loop.post(c.check)
	return err
}

// CloseWrite tells the other end that nothing more comes.
func (c *Conn) CloseWrite() error {
	return c.hold(func(fd int) error { return syscall.Shutdown(fd, syscall.SHUT_WR) })
}

func (c *Conn) LocalAddr() net.Addr  { return c.local }
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

func (c *Conn) deadline(w waiting) *atomic.Int64 {
	if w == forWrite {
		return &c.writeBy
	}
	return &c.readBy
}

func (c *Conn) SetDeadline(t time.Time) error {
	c.set(&c.readBy, t)
	return c.set(&c.writeBy, t)
}

func (c *Conn) SetReadDeadline(t time.Time) error  { return c.set(&c.readBy, t) }
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.set(&c.writeBy, t) }

// set moves a deadline. A wait that is under way is ended if that is over, and else looks at it when the old one has
// come.
func (c *Conn) set(at *atomic.Int64, t time.Time) error {
	if t.IsZero() {
		at.Store(0)
		return nil
	}
	by := int64(max(t.Sub(c.loop.born), 1))
	at.Store(by)
	if by <= c.loop.now() {
		c.loop.post(c.check)
	}
	return nil
}
