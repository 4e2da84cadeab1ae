package simnet

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// bufferSize is how many bytes a connection holds in one direction before writes block, as two sockets' buffers would.
const bufferSize = 256 << 10

// pipe is one direction of a connection.
type pipe struct {
	net      *Network
	from, to string

	mu       sync.Mutex
	segments []segment
	size     int       // bytes in segments
	last     time.Time // when the last segment arrives
	ended    bool      // the writing end was closed
	reset    bool      // the writing end died
	unread   bool      // the reading end is gone
	changed  signal
}

type segment struct {
	due  time.Time // zero: it is there already
	data []byte
}

// conn is one end of a connection.
type conn struct {
	host          *Host
	in, out       *pipe
	local, remote net.Addr

	mu              sync.Mutex
	closed          bool
	readBy, writeBy time.Time
	changed         signal // fires when one of the above changes
}

func newConnPair(a, b *Host, aAddr, bAddr net.Addr) (near, far *conn) {
	there := &pipe{net: a.net, from: a.ip, to: b.ip}
	back := &pipe{net: a.net, from: b.ip, to: a.ip}
	near = &conn{host: a, in: back, out: there, local: aAddr, remote: bAddr}
	far = &conn{host: b, in: there, out: back, local: bAddr, remote: aAddr}
	for _, c := range []*conn{near, far} {
		c.host.mu.Lock()
		c.host.conns[c] = struct{}{}
		c.host.mu.Unlock()
	}
	return near, far
}

// state returns the deadline, a channel that closes when something about this end changes, and an error when it is
// closed or the deadline has passed.
func (c *conn) state(deadline *time.Time) (time.Time, <-chan struct{}, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	by := *deadline
	switch {
	case c.closed:
		return by, nil, net.ErrClosed
	case !by.IsZero() && !time.Now().Before(by):
		return by, nil, os.ErrDeadlineExceeded
	}
	return by, c.changed.wait(), nil
}

// Read waits for bytes that the link has delivered.
func (c *conn) Read(b []byte) (int, error) {
	for {
		by, own, err := c.state(&c.readBy)
		if err != nil {
			return 0, opError("read", err)
		}
		open, links := c.in.net.open(c.in.from, c.in.to)
		n, due, data, err := c.in.take(b, open)
		if err == io.EOF {
			return 0, err
		}
		if err != nil {
			return 0, opError("read", err)
		}
		if n > 0 || len(b) == 0 {
			return n, nil
		}
		await(earlier(by, due), own, links, data)
	}
}

// take moves what has arrived to b. When there is nothing it says when there will be, if that is known.
func (p *pipe) take(b []byte, open bool) (n int, due time.Time, changed <-chan struct{}, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !open {
		return 0, time.Time{}, p.changed.wait(), nil
	}
	if p.reset {
		return 0, time.Time{}, nil, os.NewSyscallError("read", syscall.ECONNRESET)
	}
	for n < len(b) && len(p.segments) > 0 {
		s := &p.segments[0]
		if !arrived(s.due) {
			due = s.due
			break
		}
		m := copy(b[n:], s.data)
		n += m
		if s.data = s.data[m:]; len(s.data) == 0 {
			p.segments[0] = segment{}
			p.segments = p.segments[1:]
		}
	}
	if n > 0 {
		p.size -= n
		p.changed.fire()
		return n, time.Time{}, nil, nil
	}
	if p.ended && len(p.segments) == 0 {
		if arrived(p.last) {
			return 0, time.Time{}, nil, io.EOF
		}
		due = p.last
	}
	return 0, due, p.changed.wait(), nil
}

func arrived(due time.Time) bool { return due.IsZero() || !time.Now().Before(due) }

// Write blocks while the buffer is full.
func (c *conn) Write(b []byte) (int, error) {
	written := 0
	for {
		by, own, err := c.state(&c.writeBy)
		if err != nil {
			return written, opError("write", err)
		}
		answered, links := c.out.net.open(c.out.to, c.out.from)
		open, _ := c.out.net.open(c.out.from, c.out.to)
		due := c.out.net.due(c.out.from, c.out.to)
		n, space, err := c.out.put(b[written:], due, open && answered)
		if err != nil {
			return written, opError("write", err)
		}
		if written += n; written == len(b) {
			return written, nil
		}
		if n == 0 {
			await(by, own, links, space)
		}
	}
}

// put buffers what fits. The writer learns that the reader is gone only through links that carry both ways.
func (p *pipe) put(b []byte, due time.Time, seen bool) (int, <-chan struct{}, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.unread && seen {
		return 0, nil, os.NewSyscallError("write", syscall.ECONNRESET)
	}
	n := min(len(b), bufferSize-p.size)
	if n <= 0 {
		return 0, p.changed.wait(), nil
	}
	if due.Before(p.last) {
		due = p.last
	}
	p.last = due
	p.segments = append(p.segments, segment{due: due, data: append([]byte(nil), b[:n]...)})
	p.size += n
	p.changed.fire()
	return n, nil, nil
}

// Close ends the connection; what was written is still delivered.
func (c *conn) Close() error {
	c.end(false)
	return nil
}

// end closes this end, or lets it die.
func (c *conn) end(reset bool) {
	c.mu.Lock()
	was := c.closed
	c.closed = true
	c.changed.fire()
	c.mu.Unlock()
	if was {
		return
	}
	c.host.mu.Lock()
	delete(c.host.conns, c)
	c.host.mu.Unlock()

	due := c.out.net.due(c.out.from, c.out.to)
	c.out.mu.Lock()
	c.out.ended = true
	c.out.reset = reset
	if due.After(c.out.last) {
		c.out.last = due
	}
	c.out.changed.fire()
	c.out.mu.Unlock()

	c.in.mu.Lock()
	c.in.unread = true
	c.in.changed.fire()
	c.in.mu.Unlock()
}

func (c *conn) LocalAddr() net.Addr  { return c.local }
func (c *conn) RemoteAddr() net.Addr { return c.remote }

func (c *conn) SetDeadline(t time.Time) error      { return c.setDeadline(t, &c.readBy, &c.writeBy) }
func (c *conn) SetReadDeadline(t time.Time) error  { return c.setDeadline(t, &c.readBy) }
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(t, &c.writeBy) }

func (c *conn) setDeadline(t time.Time, which ...*time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return opError("set", net.ErrClosed)
	}
	for _, d := range which {
		*d = t
	}
	c.changed.fire()
	return nil
}
