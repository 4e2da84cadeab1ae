package tcp

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"shoal/ring"
)

// Transport keeps the connections of one node. Its methods may be called by any goroutine.
type Transport struct {
	cfg Config
	key []byte // of the handshake's proofs
	log *limitedLog

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	table      atomic.Pointer[map[ring.NodeID]*peer] // immutable; replaced by SetPeers
	handshakes chan struct{}                         // counts accepted connections that are not yet a peer
	strangers  chan struct{}                         // counts strangers being served

	mu       sync.Mutex // guards what follows; never held across a wait or a call of the network
	closed   bool
	listener net.Listener
	conns    map[net.Conn]struct{} // all that Close must close
	turns    map[ring.NodeID]chan struct{}
}

// New makes a Transport that does nothing yet.
func New(cfg Config) *Transport {
	cfg = cfg.withDefaults()
	t := &Transport{
		cfg:        cfg,
		key:        handshakeKey(cfg.Secret),
		log:        newLimitedLog(cfg.Log),
		handshakes: make(chan struct{}, maxHandshakes),
		strangers:  make(chan struct{}, maxStrangers),
		conns:      make(map[net.Conn]struct{}),
		turns:      make(map[ring.NodeID]chan struct{}),
	}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.table.Store(&map[ring.NodeID]*peer{})
	return t
}

// handshakeKey derives the key of the proofs, so that the same secret can serve other purposes too. An empty secret
// gives a key that everybody knows: the proofs then show only that the other end is alive.
func handshakeKey(secret []byte) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, "shoal peer handshake", sha256.Size)
	if err != nil {
		panic(fmt.Sprintf("tcp: handshake key: %v", err)) // only for an absurd key length
	}
	return key
}

// Start opens the listener and begins to accept. The error is the listener's, or ErrClosed.
func (t *Transport) Start() error {
	ln, err := t.cfg.Listen()
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = ln.Close()
		return ErrClosed
	}
	t.listener = ln
	t.wg.Add(1)
	go t.accept(ln)
	return nil
}

// SetPeers replaces the set of members to stay connected with; this node itself is left out if named. The connection of
// one that is no longer named is closed. A changed address counts from the next dial on.
func (t *Transport) SetPeers(peers []Peer) {
	self := t.cfg.Self().Node
	t.mu.Lock()
	if t.closed {
		t.mu.Unlock()
		return
	}
	old := *t.table.Load()
	next := make(map[ring.NodeID]*peer, len(peers))
	for _, want := range peers {
		if want.ID == self || next[want.ID] != nil {
			continue
		}
		p := old[want.ID]
		if p == nil {
			p = t.newPeer(want, self)
		}
		p.addr.Store(&want.Addr)
		next[want.ID] = p
	}
	t.table.Store(&next)
	t.mu.Unlock()
	for id, p := range old {
		if next[id] == nil {
			p.remove(ErrRemoved)
		}
	}
}

// newPeer makes a peer and, if this node is the one that dials, starts to dial it. t.mu is held.
func (t *Transport) newPeer(want Peer, self ring.NodeID) *peer {
	turn := t.turns[want.ID]
	if turn == nil {
		turn = make(chan struct{}, 1)
		t.turns[want.ID] = turn
	}
	p := &peer{id: want.ID, turn: turn}
	p.addr.Store(&want.Addr)
	p.ctx, p.cancel = context.WithCancel(t.ctx)
	if self < want.ID {
		t.wg.Add(1)
		go t.keepDialling(p)
	}
	return p
}

// Send sends a frame to the peer and returns without waiting for the network. The frame is what follows the first
// HeaderSize bytes of unit, which are room for the header that Send writes there; a unit shorter than that panics. The
// buffer is the caller's again when Send returns: what the connection does not take at once is copied and queued.
//
// False: there is no connection, the frame is larger than MaxFrame, more than MaxQueued bytes would wait, or the write
// failed; in the last two cases the connection is dropped, with ErrQueueFull, since the peer has stopped taking what it
// is sent, or with the error of the write. True promises no more than that the frame was written to the socket or
// queued.
func (t *Transport) Send(to ring.NodeID, unit []byte) bool {
	p := (*t.table.Load())[to]
	if p == nil {
		return false
	}
	l := p.link.Load()
	if l == nil {
		return false
	}
	if n := len(unit) - HeaderSize; n > t.cfg.MaxFrame {
		t.log.warn("frame too large", "frame not sent", "peer", t.cfg.Name(to), "bytes", n, "limit", t.cfg.MaxFrame)
		return false
	}
	if err := l.box.push(unit); err != nil {
		l.close(err)
		return false
	}
	return true
}

// Up reports whether there is a connection with the peer.
func (t *Transport) Up(id ring.NodeID) bool {
	p := (*t.table.Load())[id]
	return p != nil && p.link.Load() != nil
}

// Remote returns what the connected peer said of itself; false when there is no connection.
func (t *Transport) Remote(id ring.NodeID) (Identity, bool) {
	p := (*t.table.Load())[id]
	if p == nil {
		return Identity{}, false
	}
	l := p.link.Load()
	if l == nil {
		return Identity{}, false
	}
	return l.remote, true
}

// Close ends every connection (queued frames are dropped) and waits until no goroutine and no callback of this Transport
// runs. Gossip streams belong to whoever took them and are not closed.
func (t *Transport) Close() {
	t.mu.Lock()
	t.closed = true
	ln := t.listener
	conns := make([]net.Conn, 0, len(t.conns))
	for c := range t.conns {
		conns = append(conns, c)
	}
	t.mu.Unlock()

	t.cancel()
	if ln != nil {
		_ = ln.Close()
	}
	for _, p := range *t.table.Load() {
		p.remove(ErrClosed)
	}
	for _, c := range conns {
		_ = c.Close()
	}
	t.wg.Wait()
}

// track notes a connection that Close must close; false when it is too late for that.
func (t *Transport) track(c net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return false
	}
	t.conns[c] = struct{}{}
	return true
}

// adopt gives a connection that has shaken hands to the loop, if it takes it, and returns what it is from now on.
func (t *Transport) adopt(conn net.Conn) net.Conn {
	looped := t.cfg.Loop.Adopt(conn)
	if looped == nil {
		return conn
	}
	t.untrack(conn)
	if !t.track(looped) {
		_ = looped.Close() // the reader finds out
	}
	return looped
}

func (t *Transport) untrack(c net.Conn) {
	t.mu.Lock()
	delete(t.conns, c)
	t.mu.Unlock()
}
