package tcp

import (
	"context"
	"net"
	"sync/atomic"
	"time"

	"shoal/ring"
	"shoal/wire/loop"
)

// peer is a member to stay connected with.
type peer struct {
	id     ring.NodeID
	addr   atomic.Pointer[string]
	ctx    context.Context // ends when it is no longer a peer
	cancel context.CancelFunc

	latest atomic.Pointer[link] // the newest connection, whatever its state
	link   atomic.Pointer[link] // the one that is up
	turn   chan struct{}        // held while a connection is up, so that one ends before the next begins
}

// remove ends everything about the peer.
func (p *peer) remove(cause error) {
	p.cancel()
	if l := p.latest.Load(); l != nil {
		l.close(cause)
	}
}

// link is one connection whose handshake is done.
type link struct {
	conn   net.Conn
	remote Identity
	box    *outbox

	ended atomic.Bool
	cause error // set before done is closed
	done  chan struct{}
}

func newLink(conn net.Conn, remote Identity, maxQueued int) *link {
	l := &link{conn: conn, remote: remote, box: newOutbox(maxQueued, newDirect(conn)), done: make(chan struct{})}
	if _, looped := conn.(*loop.Conn); looped {
		l.box.gather = 0
	}
	return l
}

// close ends the connection; the first cause is the one that is told.
func (l *link) close(cause error) {
	if l.ended.CompareAndSwap(false, true) {
		l.cause = cause
		close(l.done)
		_ = l.conn.Close()
	}
}

// serve runs a connection that has shaken hands, in the caller's goroutine, until it ends. A newer connection of the
// same peer displaces an older one: the other end would not have made it if it still had the old one.
func (t *Transport) serve(p *peer, l *link) {
	defer t.untrack(l.conn)
	if old := p.latest.Swap(l); old != nil {
		old.close(ErrReplaced)
	}
	if p.ctx.Err() != nil {
		l.close(ErrRemoved)
	}
	defer func() {
		l.close(ErrClosed)
		p.latest.CompareAndSwap(l, nil)
	}()
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	case <-l.done:
		return
	}
	if !l.ended.Load() {
		t.exchange(p, l)
	}
}

// exchange is the life of the connection that is up.
func (t *Transport) exchange(p *peer, l *link) {
	writerDone := make(chan struct{})
	go func() {
		defer close(writerDone)
		w := writer{conn: l.conn, box: l.box, stall: stallFactor * t.cfg.DownAfter}
		if err := w.run(l.done, t.cfg.PingEvery); err != nil {
			l.close(err)
		}
	}()
	p.link.Store(l)
	t.cfg.OnUp(p.id, l.remote.Incarnation)
	l.close(t.readWhole(p.id, l))
	p.link.Store(nil)
	<-writerDone
	t.cfg.OnDown(p.id, l.remote.Incarnation, l.cause)
}

// readWhole is read, by the loop if the connection is its.
func (t *Transport) readWhole(id ring.NodeID, l *link) error {
	task, ok := l.conn.(*loop.Conn)
	if !ok {
		return t.read(id, l)
	}
	cause := make(chan error, 1)
	task.Go(func() { cause <- t.read(id, l) })
	return <-cause
}

// read hands out frames until the connection ends and says why it did.
func (t *Transport) read(id ring.NodeID, l *link) error {
	rd := newReader(l.conn, t.cfg.MaxFrame, t.cfg.DownAfter)
	_, looped := l.conn.(*loop.Conn)
	for {
		frame, err := rd.next()
		if err != nil {
			return err
		}
		t.cfg.OnFrame(id, l.remote.Incarnation, frame, looped || rd.more())
	}
}

// keepDialling dials the peer for ever.
func (t *Transport) keepDialling(p *peer) {
	defer t.wg.Done()
	wait := minBackoff
	for p.ctx.Err() == nil {
		l, err := t.dialPeer(p)
		if err == nil {
			t.serve(p, l)
			wait = minBackoff
		} else if p.ctx.Err() == nil {
			t.log.info("dial "+p.id.String()+" "+kindOf(err), "peer not reached", "peer", t.cfg.Name(p.id), "addr", *p.addr.Load(), "cause", err)
		}
		select {
		case <-time.After(wait):
		case <-p.ctx.Done():
		}
		if err != nil {
			wait = min(2*wait, maxBackoff)
		}
	}
}

// dialPeer makes one attempt.
func (t *Transport) dialPeer(p *peer) (*link, error) {
	ctx, cancel := context.WithTimeout(p.ctx, handshakeTimeout)
	defer cancel()
	conn, err := t.dial(ctx, *p.addr.Load())
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	remote, err := t.greet(conn, preamblePeer, p.id)
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if err != nil {
		t.drop(conn)
		return nil, err
	}
	return newLink(t.adopt(conn), remote, t.cfg.MaxQueued), nil
}
