package resp

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"time"

	"shoal/wire/loop"
)

// Sizes of the query buffer in bytes.
const (
	queryFirst  = 4 << 10  // of a new connection
	queryUsual  = 64 << 10 // the most between batches; a pipeline is taken in pieces of this size
	queryQuick  = 1 << 20  // a larger one takes a loop's other clients too long to make
	queryMost   = 1 << 31  // whatever the settings say, so that a span fits its 32 bits
	queryLeast  = 1 << 20  // likewise
	writeChunk  = 256 << 10
	lingerBytes = 1 << 20
	lingerPiece = 16 << 10
	lingerTime  = 500 * time.Millisecond
)

var (
	errDraining = errors.New("resp: server is closing")
	errIdleRead = errors.New("resp: redcon reads a connection that was taken over")
)

// guard stands before the socket: it frames requests (nextBatch, take) and sends replies. It is the net.Conn that
// redcon accepts, until the server takes it over (see takeOver). All methods but Close and drain belong to the
// connection's goroutine.
type guard struct {
	net.Conn
	conn   *Conn
	task   *loop.Conn // the same connection, if a loop serves it
	ready  *readiness // nil: the socket cannot be waited for without a buffer
	parser parser
	args   [][]byte // of the batch, reused

	taken   bool          // redcon handed the connection over
	closing bool          // read nothing more
	lingers bool          // let the client read the last reply before the socket goes
	quiet   int           // batches in a row that used little of a grown buffer
	size    int           // of the buffer that the next request gets, bytes
	born    time.Time     // deadlines are in the socket's time, whatever clock the commands are given
	started time.Time     // when waiting for the rest of a begun command began, zero: none is begun
	armed   time.Time     // the read deadline that is set
	writeBy time.Duration // the write deadline that is set, on the server's stopwatch

	draining atomic.Bool
	closed   atomic.Bool
}

// batch is what the guard found: commands, then perhaps the protocol error that follows them. Arguments point into the
// guard's buffer and stay valid until the next Read.
type batch struct {
	args [][]byte
	ends []int
	err  string
	size int // bytes in the query buffer
	room int // bytes it could hold
}

// command returns the arguments of the i-th command, at least one.
func (b *batch) command(i int) [][]byte {
	from := 0
	if i > 0 {
		from = b.ends[i-1]
	}
	return b.args[from:b.ends[i]:b.ends[i]]
}

// nextBatch frames and reads until there is something to run.
func (g *guard) nextBatch() error {
	g.parser.drop()
	for {
		if g.closing {
			if g.lingers {
				g.linger()
			}
			return io.EOF
		}
		if g.draining.Load() || g.closed.Load() {
			return errDraining
		}
		g.parser.parse(g.limits())
		if len(g.parser.ends) > 0 || g.parser.err != "" {
			g.started = time.Time{}
			return nil
		}
		if err := g.fill(); err != nil {
			return err
		}
	}
}

func (g *guard) limits() limits {
	return limits{maxBulk: g.conn.Settings().MaxBulk.Load(), noAuth: !g.conn.Authenticated()}
}

// take hands over the announced batch.
func (g *guard) take() batch {
	p := &g.parser
	n := 0
	if len(p.ends) > 0 {
		n = p.ends[len(p.ends)-1]
	}
	if cap(g.args) < n || cap(g.args) > 2*batchArgs && n < batchArgs {
		g.args = make([][]byte, 0, max(n, 16))
	}
	g.args = g.args[:0]
	for _, s := range p.args[:n] {
		g.args = append(g.args, p.buf[s.from:s.to:s.to])
	}
	return batch{args: g.args, ends: p.ends, err: p.err, size: len(p.buf), room: cap(p.buf)}
}

// fill reads once, after making room.
func (g *guard) fill() error {
	if !g.makeRoom() {
		if g.parser.err == "" {
			g.parser.err = protoTooMuch
		}
		return nil
	}
	if err := g.armRead(); err != nil {
		return err
	}
	n, err := g.receive()
	if n <= 0 {
		if err == nil {
			err = io.ErrNoProgress
		}
		return err
	}
	g.conn.giveWay()
	g.parser.buf = g.parser.buf[:len(g.parser.buf)+n]
	g.conn.bytesIn.Add(int64(n))
	g.conn.srv.stats.BytesIn.Add(int64(n))
	return nil
}

// receive reads into the free part of the buffer. While it waits for a client that has begun nothing, it holds no
// buffer, if the socket allows that.
func (g *guard) receive() (int, error) {
	if g.task.Within() {
		return g.receiveInLoop()
	}
	if g.ready != nil {
		return g.ready.read(g)
	}
	g.acquire()
	buf := g.parser.buf
	return g.Conn.Read(buf[len(buf):cap(buf)])
}

// makeRoom gives the buffer room for more, moving or doubling it: it never grows beyond twice what has arrived. It
// reports false when the limit is reached.
func (g *guard) makeRoom() bool {
	p := &g.parser
	held := len(p.buf) - p.start
	if held == 0 {
		g.rest()
		return true
	}
	if p.start >= cap(p.buf)/2 {
		p.compact(p.buf)
	}
	if len(p.buf) < cap(p.buf) {
		return true
	}
	most := int(min(max(g.conn.Settings().QueryBuffer.Load(), queryLeast), queryMost))
	if held >= most {
		return false
	}
	size := 2 * cap(p.buf)
	if p.bulk >= 0 {
		// The end of the argument is known: go no further than a little beyond it, if that is a good step. A small one
		// would have to be repeated for every short argument, and each moves all that is held.
		need := p.pos - p.start + p.bulk + 2 + queryFirst
		if need > held+held/8 && need <= size+queryUsual {
			size = need
		}
	}
	size = min(size, most)
	if size > queryUsual && !g.mayGrow(size) {
		return false
	}
	clear(g.args[:cap(g.args)]) // they point into the old buffer
	if size <= queryQuick {
		p.compact(make([]byte, 0, size))
		return true
	}
	g.task.Outside(func() { p.compact(make([]byte, 0, size)) })
	return true
}

// mayGrow asks the server's budget for a buffer of the given size, and for the arguments so far.
func (g *guard) mayGrow(size int) bool {
	h := &g.conn.held
	before := h.query
	h.query = g.queryBytes() - cap(g.parser.buf) + size
	if !g.conn.mayHold(g.conn.srv.opts.ReadTimeout) {
		h.query = before
		g.parser.err = protoNoMemory
		return false
	}
	return true
}

// rest prepares an empty buffer for the next request: grown when the last read filled it, given back when it is
// larger than usual or has been mostly unused for a while.
func (g *guard) rest() {
	p := &g.parser
	used, size := len(p.buf), cap(p.buf)
	if size == 0 {
		return // it has none, and gets one of g.size when there is something to read
	}
	g.quiet++
	switch {
	case used > size/4:
		g.quiet = 0
	case g.quiet < 64:
	default:
		g.quiet, size = 0, max(queryFirst, size/4)
	}
	if used == size {
		size *= 4
	}
	g.size = min(max(size, queryFirst), queryUsual)
	if g.size != cap(p.buf) {
		g.release()
		return
	}
	p.compact(p.buf)
}

// armRead sets the deadline for the next read, if it is not the one already set.
func (g *guard) armRead() error {
	by := g.readDeadline()
	if !by.Equal(g.armed) {
		if err := g.Conn.SetReadDeadline(by); err != nil {
			return err
		}
		g.armed = by
	}
	if g.draining.Load() { // set before drain's own deadline, which the line above may just have replaced
		return errDraining
	}
	return nil
}

// readDeadline: a begun command has ReadTimeout and a second more for each 64 KiB of it that arrived; an idle client
// has what the timeout setting says; an unauthenticated one has AuthTimeout from the start.
func (g *guard) readDeadline() time.Time {
	o := &g.conn.srv.opts
	var by time.Time
	if held := len(g.parser.buf) - g.parser.start; held > 0 {
		if g.started.IsZero() {
			g.started = time.Now()
		}
		by = g.started.Add(o.ReadTimeout + time.Duration(held>>16)*time.Second)
	} else {
		g.started = time.Time{}
		if s := o.Settings.IdleTimeout.Load(); s > 0 {
			by = time.Now().Add(time.Duration(s) * time.Second)
		}
	}
	if !g.conn.Authenticated() {
		if auth := g.born.Add(o.AuthTimeout); by.IsZero() || auth.Before(by) {
			by = auth
		}
	}
	return by
}

// send writes all of b in pieces, each with its own deadline: a client that takes nothing is cut off, a slow one is
// not.
func (g *guard) send(b []byte) error {
	for len(b) > 0 {
		piece := b[:min(len(b), writeChunk)]
		if err := g.armWrite(); err != nil {
			return err
		}
		counts := len(piece) > holdFree
		if counts {
			g.conn.held.writing = len(piece)
			g.conn.settle()
		}
		n, err := g.write(piece)
		if counts {
			g.conn.held.writing = 0
			g.conn.settle()
		}
		g.conn.bytesOut.Add(int64(n))
		g.conn.srv.stats.BytesOut.Add(int64(n))
		if err != nil {
			return err
		}
		b = b[len(piece):]
		if len(piece) >= flushAt { // one of many, perhaps, to a client that takes them as fast as they come
			g.conn.giveWay()
		}
	}
	return nil
}

// armWrite leaves at least WriteTimeout for the next write. Deadlines are set half a timeout ahead, so that a busy
// connection does it seldom.
func (g *guard) armWrite() error {
	srv := g.conn.srv
	now, least := srv.stopwatch(), srv.opts.WriteTimeout
	if g.writeBy-now >= least {
		return nil
	}
	g.writeBy = now + least + least/2
	return g.Conn.SetWriteDeadline(srv.epoch.Add(g.writeBy))
}

// linger ends a connection that was sent an error while more of its bytes may be on the way. Closing at once would
// make the system answer those with a reset, and the reset may overtake the error.
func (g *guard) linger() {
	half, ok := g.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		return
	}
	if g.Conn.SetReadDeadline(time.Now().Add(lingerTime)) != nil || g.draining.Load() {
		return
	}
	sink := make([]byte, lingerPiece)
	for left := lingerBytes; left > 0; {
		n, err := g.Conn.Read(sink)
		if err != nil {
			return
		}
		left -= n
		g.conn.giveWay()
	}
}

// Close ends the connection. It may be called from any goroutine and more than once.
func (g *guard) Close() error {
	if g.closed.Swap(true) {
		return nil
	}
	return g.Conn.Close()
}

// drain makes the connection end after the batch it is running: it wakes a waiting read and allows no new one.
func (g *guard) drain() {
	g.draining.Store(true)
	g.Conn.SetReadDeadline(time.Unix(1, 0))
}
