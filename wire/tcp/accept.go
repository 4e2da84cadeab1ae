package tcp

import (
	"errors"
	"io"
	"net"
	"time"

	"shoal/ring"
)

// accept takes connections until the listener is closed. It rests when accepting fails, as it does for as long as there
// are no descriptors left.
func (t *Transport) accept(ln net.Listener) {
	defer t.wg.Done()
	rest := time.Duration(0)
	for {
		conn, err := ln.Accept()
		if err == nil {
			rest = 0
			t.admit(conn)
			continue
		}
		if t.ctx.Err() != nil {
			return
		}
		rest = min(max(2*rest, 5*time.Millisecond), time.Second)
		t.log.warn("accept", "cannot accept peer connections", "cause", err)
		select {
		case <-time.After(rest):
		case <-t.ctx.Done():
			return
		}
	}
}

// admit starts to serve a connection if there is room for it and its address may be spoken to.
func (t *Transport) admit(conn net.Conn) {
	if !t.cfg.allowed(conn.RemoteAddr()) {
		t.log.warn("not loopback", "peer connection refused", "addr", conn.RemoteAddr(), "cause", ErrNotLoopback)
		_ = conn.Close()
		return
	}
	select {
	case t.handshakes <- struct{}{}:
	default:
		t.log.warn("handshakes", "peer connection refused", "addr", conn.RemoteAddr(), "cause", ErrBusy)
		_ = conn.Close()
		return
	}
	if !t.track(conn) {
		<-t.handshakes
		_ = conn.Close()
		return
	}
	t.wg.Add(1)
	go t.receive(conn)
}

// receive finds out what a connection is for, and serves it to its end.
func (t *Transport) receive(conn net.Conn) {
	defer t.wg.Done()
	_ = conn.SetDeadline(time.Now().Add(handshakeTimeout))
	var kind [1]byte
	_, err := io.ReadFull(conn, kind[:])
	switch {
	case err != nil:
		// A port scan or a health check; nothing to say about it.
		<-t.handshakes
		t.drop(conn)
	case kind[0] == preamblePeer:
		t.receivePeer(conn)
	case kind[0] == preambleStranger:
		t.receiveStranger(conn)
	case kind[0] == preambleGossip:
		<-t.handshakes
		t.receiveGossip(conn)
	default:
		<-t.handshakes
		t.log.info("preamble", "connection that is no node's", "addr", conn.RemoteAddr())
		t.drop(conn)
	}
}

// receivePeer shakes hands with a member and serves it.
func (t *Transport) receivePeer(conn net.Conn) {
	remote, err := t.answer(conn, preamblePeer, t.judgePeer)
	<-t.handshakes
	p := (*t.table.Load())[remote.Node]
	if err == nil && p == nil {
		err = ErrRemoved
	}
	if err == nil {
		err = conn.SetDeadline(time.Time{})
	}
	if errors.Is(err, ErrCluster) && t.cfg.Self().Cluster == (ring.ClusterID{}) { // it joins, and a member was faster
		t.drop(conn)
		return
	}
	if err != nil {
		t.log.warn("peer "+kindOf(err), "peer refused", "addr", conn.RemoteAddr(), "peer", t.cfg.Name(remote.Node), "cause", err)
		t.drop(conn)
		return
	}
	t.serve(p, newLink(t.adopt(conn), remote, t.cfg.MaxQueued))
}

// judgePeer says whether a member that dialled is to be served.
func (t *Transport) judgePeer(remote Identity) byte {
	self := t.cfg.Self().Node
	p := (*t.table.Load())[remote.Node]
	switch {
	case remote.Node == self:
		return verdictIdentity
	case p == nil:
		return verdictUnknown
	case remote.Node > self:
		return verdictDirection
	}
	if l := p.link.Load(); l != nil && remote.Incarnation < l.remote.Incarnation {
		return verdictStale
	}
	return verdictOK
}

// receiveGossip hands a gossip stream to its owner.
func (t *Transport) receiveGossip(conn net.Conn) {
	if t.cfg.OnGossip == nil || conn.SetDeadline(time.Time{}) != nil {
		t.drop(conn)
		return
	}
	t.untrack(conn)
	t.cfg.OnGossip(conn)
}

// drop closes a connection that leads nowhere.
func (t *Transport) drop(conn net.Conn) {
	t.untrack(conn)
	_ = conn.Close()
}
