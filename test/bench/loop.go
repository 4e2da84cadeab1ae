//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"golang.org/x/sys/unix"
)

// traffic says what to send.
type traffic struct {
	addrs    []string // plain clients take them in turn; cluster clients connect to all
	cluster  bool     // keys go to the node that the source names
	clients  int      // a fixed rate has as many for reads and as many for writes
	pipeline int      // commands of one batch
	multi    int      // keys of one command; more than 1 means MGET and MSET
	writes   int      // per cent of the commands
	wait     bool     // batches with writes end with WAIT 1 100
	readonly bool     // connections send READONLY first
	source   source
	values   *values
	seed     uint64
	rate     float64       // commands a second, open loop; 0: every client sends when it has its answers
	duration time.Duration // no batch is sent later
	limit    int           // nor after so many commands; 0: no limit
}

// tally is what happened.
type tally struct {
	ops           int                     // commands answered, WAIT not among them
	took          time.Duration           // from the first request to the last answer
	reads, writes *hdrhistogram.Histogram // latencies in ns
	alone         int                     // WAITs that saw no replica within their 100 ms
	late          int                     // requests of a fixed rate for which no client was free
}

const (
	// maxLatency bounds the histograms; what takes longer fails the run as a stall first.
	maxLatency = int64(time.Minute)
	// stall is how long no answer at all may come.
	stall = 10 * time.Second
)

// loop is the load generator: all clients on one thread, woken by epoll. A goroutine per connection would cost several
// times the CPU, on cores that the servers need.
type loop struct {
	t       traffic
	poller  *poller
	conns   []*conn
	clients []*client
	rq      *requests
	rng     *rand.Rand
	begun   time.Time
	sent    int // commands
	tally   tally

	free    [2][]*client // at a fixed rate: idle ones, the last used on top. 0 reads, 1 writes
	overdue [2]queue     // at a fixed rate: intended times of what no client was free for
}

// newLoop opens all connections. close must be called.
func newLoop(t traffic) (_ *loop, err error) {
	l := &loop{t: t, rng: rand.New(rand.NewPCG(t.seed, 1))}
	l.rq = newRequests(t.values, t.multi, l.rng)
	l.tally.reads, l.tally.writes = newHistogram(), newHistogram()
	if l.poller, err = newPoller(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	pools := 1
	if t.rate > 0 {
		pools = 2
	}
	for i := range pools * t.clients {
		c := &client{write: i >= t.clients}
		addrs := t.addrs
		if !t.cluster {
			addrs = t.addrs[i%len(t.addrs):][:1]
		}
		for _, addr := range addrs {
			conn, err := dial(addr, t.readonly)
			if err != nil {
				return nil, err
			}
			conn.client, conn.index = c, len(l.conns)
			c.conns = append(c.conns, conn)
			l.conns = append(l.conns, conn)
			if err := l.poller.watch(unix.EPOLL_CTL_ADD, conn.fd, conn.index, unix.EPOLLIN); err != nil {
				return nil, err
			}
		}
		c.keys = make([]uint32, t.pipeline*t.multi)
		l.clients = append(l.clients, c)
	}
	return l, nil
}

func (l *loop) close() {
	for _, c := range l.conns {
		_ = unix.Close(c.fd)
	}
	_ = unix.Close(l.poller.fd)
}

// now is nanoseconds since the run began.
func (l *loop) now() int64 { return int64(time.Since(l.begun)) }

// run sends until the traffic's end and returns when every answer is there. It can be called once.
func (l *loop) run(ctx context.Context) (*tally, error) {
	l.begun = time.Now()
	if l.t.rate > 0 {
		return &l.tally, l.openLoop(ctx)
	}
	return &l.tally, l.closedLoop(ctx)
}

func (l *loop) closedLoop(ctx context.Context) error {
	busy := 0
	for _, c := range l.clients {
		sent, err := l.next(c, l.now())
		if err != nil {
			return err
		}
		if sent {
			busy++
		}
	}
	done := func(c *client, now int64) error {
		sent, err := l.next(c, now)
		if !sent {
			busy--
		}
		return err
	}
	heard := l.now()
	for busy > 0 {
		n, err := l.serve(ctx, 100*time.Millisecond, done)
		if err != nil {
			return err
		}
		if now := l.now(); n > 0 {
			heard = now
		} else if now-heard > int64(stall) {
			return errStall
		}
	}
	l.tally.took = time.Since(l.begun)
	return nil
}

var errStall = fmt.Errorf("no answer for %v", stall)

// next sends a client's next batch, unless the run is over.
func (l *loop) next(c *client, now int64) (sent bool, err error) {
	if now >= int64(l.t.duration) || l.t.limit > 0 && l.sent >= l.t.limit {
		return false, nil
	}
	return l.send(c, now, func() verb {
		if l.t.writes == 100 || l.t.writes > 0 && l.rng.IntN(100) < l.t.writes {
			return set
		}
		return get
	})
}

// send sends a batch whose latency counts from start. It reports false when there are no more keys.
func (l *loop) send(c *client, start int64, choose func() verb) (bool, error) {
	n := l.t.pipeline
	if l.t.limit > 0 {
		n = min(n, l.t.limit-l.sent)
	}
	node, keys := l.t.source.batch(c.keys[:n*l.t.multi])
	if len(keys) == 0 {
		return false, nil
	}
	c.keys = c.keys[:len(keys)]
	c.buf, c.verbs, c.at, c.start = c.buf[:0], c.verbs[:0], 0, start
	written := false
	for i := 0; i < len(keys); i += l.t.multi {
		v := choose()
		written = written || v == set
		if l.t.multi > 1 {
			v += mget - get
		}
		c.verbs = append(c.verbs, v)
		c.buf = l.rq.append(c.buf, v, keys[i:i+l.t.multi])
	}
	l.sent += len(c.verbs)
	if written && l.t.wait {
		c.verbs = append(c.verbs, wait)
		c.buf = l.rq.append(c.buf, wait, nil)
	}
	if !l.t.cluster {
		node = 0
	}
	conn := c.conns[node]
	conn.out = c.buf
	return true, l.flush(conn)
}

// flush writes and, if that did not take everything, has epoll say when it can go on.
func (l *loop) flush(c *conn) error {
	if err := c.flush(); err != nil {
		return err
	}
	waiting := len(c.out) > 0
	if waiting == c.waiting {
		return nil
	}
	c.waiting = waiting
	events := uint32(unix.EPOLLIN)
	if waiting {
		events |= unix.EPOLLOUT
	}
	return l.poller.watch(unix.EPOLL_CTL_MOD, c.fd, c.index, events)
}

// serve waits for events and handles them. done is called for each client whose batch is answered. It returns how many
// events there were.
func (l *loop) serve(ctx context.Context, timeout time.Duration, done func(*client, int64) error) (int, error) {
	events, err := l.poller.wait(timeout)
	if err != nil {
		return 0, err
	}
	if ctx.Err() != nil {
		return 0, context.Cause(ctx)
	}
	for _, e := range events {
		c := l.conns[e.Fd]
		if e.Events&unix.EPOLLOUT != 0 {
			if err := l.flush(c); err != nil {
				return 0, err
			}
		}
		if e.Events&^unix.EPOLLOUT == 0 {
			continue
		}
		if err := l.receive(c, done); err != nil {
			return 0, err
		}
	}
	return len(events), nil
}

// receive reads once and scans what is there. All answers of one read have the same time.
func (l *loop) receive(c *conn, done func(*client, int64) error) error {
	some, err := c.fill()
	if err != nil || !some {
		return err
	}
	now := l.now()
	client := c.client
	for c.r < c.w {
		r, size, err := scanReply(c.in[c.r:c.w])
		if err != nil {
			return err
		}
		if size == 0 {
			break
		}
		complete, err := client.accept(r, l.rq)
		if err != nil {
			return err
		}
		c.r += size
		if complete {
			l.count(client, r, now)
		}
	}
	if client.at < len(client.verbs) {
		return nil
	}
	return done(client, now)
}

// count counts the command that was just answered. Where a WAIT follows, writes are acknowledged only by its answer.
func (l *loop) count(c *client, r reply, now int64) {
	latency := min(now-c.start, maxLatency)
	waits := c.verbs[len(c.verbs)-1] == wait
	switch c.verbs[c.at-1] {
	case get, mget:
		l.tally.ops++
		_ = l.tally.reads.RecordValue(latency) // in range
	case set, mset:
		l.tally.ops++
		if !waits {
			_ = l.tally.writes.RecordValue(latency)
		}
	case wait:
		if r.n < 1 {
			l.tally.alone++
		}
		for _, v := range c.verbs {
			if v == set || v == mset {
				_ = l.tally.writes.RecordValue(latency)
			}
		}
	}
}
