package tcp

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"shoal/ring"
	"shoal/wire/loop"
)

// FragmentSize is the payload, in bytes, above which a frame is cut into fragments of at most this size.
const FragmentSize = 256 << 10

// Defaults and bounds.
const (
	DefaultMaxFrame  = 80 << 20
	DefaultMaxQueued = 256 << 20
	DefaultPingEvery = 250 * time.Millisecond
	DefaultDownAfter = time.Second

	handshakeTimeout = time.Second
	requestTimeout   = 5 * time.Second // a stranger's question, and the answer to it, must cross within this
	minBackoff       = 50 * time.Millisecond
	maxBackoff       = 500 * time.Millisecond
	maxHandshakes    = 128     // accepted connections that are not yet a peer
	maxStrangers     = 16      // strangers served at once
	maxRequest       = 1 << 20 // bytes of a stranger's question
	stallFactor      = 10      // a single write may take this many times DownAfter
)

// Identity is what a node says of itself in the handshake.
type Identity struct {
	Node         ring.NodeID
	Incarnation  uint64         // one boot of the node
	Cluster      ring.ClusterID // zero while the node belongs to none
	Version      uint16         // protocol version; must be the same on both ends
	Capabilities uint64         // bits whose meaning the caller owns
}

// Peer is a member to stay connected with.
type Peer struct {
	ID   ring.NodeID
	Addr string // host:port of its peer listener
}

// Config says how a Transport reaches the world and whom it tells. Listen, Dial, Self and OnFrame are required.
//
// OnUp, OnFrame and OnDown of one peer never run at the same time and come in this order: up, its frames, down; and only
// then the next up. They are called by the goroutine that reads the connection: a slow one holds up that peer's frames
// (not its pings). With a loop OnFrame is called by it, and holds up all that it serves. No callback may call Close.
type Config struct {
	Listen func() (net.Listener, error)
	Dial   func(ctx context.Context, addr string) (net.Conn, error)
	Self   func() Identity // asked at every handshake

	Secret     []byte              // cluster secret; empty: only loopback addresses are spoken to
	IsLoopback func(net.Addr) bool // nil: the address is a loopback IP

	MaxFrame  int                      // bytes of one frame; 0: DefaultMaxFrame
	MaxQueued int                      // bytes waiting for one peer; 0: DefaultMaxQueued
	PingEvery time.Duration            // 0: DefaultPingEvery
	DownAfter time.Duration            // silence after which a peer is down; 0: DefaultDownAfter
	Log       *slog.Logger             // nil: discarded
	Name      func(ring.NodeID) string // of a node in log lines; nil: its id
	Loop      *loop.Loop               // reads the peers' connections that it can; nil: each has a goroutine

	// OnFrame takes a frame. The slice is valid during the call only. more says that the next call, of OnFrame or
	// OnDown, comes without a wait for the network, since another whole frame has already been read, or that the loop's
	// round ends before it waits; without more it may come at once all the same.
	OnFrame func(from ring.NodeID, incarnation uint64, frame []byte, more bool)
	OnUp    func(peer ring.NodeID, incarnation uint64)
	OnDown  func(peer ring.NodeID, incarnation uint64, cause error)

	// OnStranger answers the one question of a node that holds the secret but need not be in the map; its cluster is
	// this node's or zero, or this node has none. frame is valid during the call only. A nil reply refuses. It may be
	// called by several goroutines at once. Nil: every stranger is refused.
	OnStranger func(from Identity, frame []byte) (reply []byte)

	// OnGossip becomes the owner of a gossip stream. It must not block. Nil: gossip streams are closed.
	OnGossip func(net.Conn)
}

// withDefaults fills what was left out.
func (c Config) withDefaults() Config {
	if c.MaxFrame <= 0 {
		c.MaxFrame = DefaultMaxFrame
	}
	if c.MaxQueued <= 0 {
		c.MaxQueued = DefaultMaxQueued
	}
	if c.PingEvery <= 0 {
		c.PingEvery = DefaultPingEvery
	}
	if c.DownAfter <= 0 {
		c.DownAfter = DefaultDownAfter
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Name == nil {
		c.Name = ring.NodeID.String
	}
	if c.IsLoopback == nil {
		c.IsLoopback = isLoopback
	}
	if c.OnUp == nil {
		c.OnUp = func(ring.NodeID, uint64) {}
	}
	if c.OnDown == nil {
		c.OnDown = func(ring.NodeID, uint64, error) {}
	}
	return c
}

// isLoopback reports whether the address is an IP address of this machine only.
func isLoopback(a net.Addr) bool {
	if a == nil {
		return false
	}
	ap, err := netip.ParseAddrPort(a.String())
	return err == nil && ap.Addr().Unmap().IsLoopback()
}

// allowed reports whether this node may speak with the address at all: without a secret nothing tells a member from
// anybody else, so only this machine is trusted.
func (c *Config) allowed(a net.Addr) bool {
	return len(c.Secret) > 0 || c.IsLoopback(a)
}
