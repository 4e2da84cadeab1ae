package gossip

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"shoal/ring"
)

// Defaults.
const (
	DefaultRejoinEvery = 2 * time.Second
)

// PacketConn is what gossip needs of a packet socket; *net.UDPConn is one.
type PacketConn interface {
	ReadFrom(p []byte) (n int, addr net.Addr, err error)
	WriteTo(p []byte, addr net.Addr) (n int, err error)
	Close() error
}

// Config says who this node is and how it reaches others. Self, Advertise, Cluster, Packet and DialStream are required.
type Config struct {
	Self      ring.NodeID
	Meta      Meta
	Advertise string         // host:port at which others reach this node, packets and streams alike
	Cluster   ring.ClusterID // others are ignored
	Secret    []byte         // cluster secret; empty: only loopback addresses are listened to

	Packet     PacketConn // gossip becomes its owner
	DialStream func(ctx context.Context, addr string) (net.Conn, error)

	Seeds       func() []string // host:port of persisted members and of configured seeds; asked at every attempt
	RejoinEvery time.Duration   // 0: DefaultRejoinEvery

	LoopbackOnly bool                // ignore other addresses even with a secret
	IsLoopback   func(net.Addr) bool // nil: the address is a loopback IP

	Log *slog.Logger // nil: discarded

	// OnAlive tells that a node joined, came back, or changed its Meta; OnDead that it seems gone. They are called by
	// one goroutine, never at once; news of one node that were overtaken by later ones are left out. They may take
	// their time, but may not call Close.
	OnAlive func(ring.NodeID, Meta)
	OnDead  func(ring.NodeID)
}

// Errors of Start and UpdateMeta.
var (
	ErrConfig = errors.New("gossip: incomplete configuration")
	ErrMeta   = errors.New("gossip: announced metadata too long or damaged")
)

func (c Config) withDefaults() Config {
	if c.RejoinEvery <= 0 {
		c.RejoinEvery = DefaultRejoinEvery
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.IsLoopback == nil {
		c.IsLoopback = isLoopback
	}
	if c.Seeds == nil {
		c.Seeds = func() []string { return nil }
	}
	if c.OnAlive == nil {
		c.OnAlive = func(ring.NodeID, Meta) {}
	}
	if c.OnDead == nil {
		c.OnDead = func(ring.NodeID) {}
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

// trusted reports whether anything from the address is listened to: without a secret a packet proves nothing about its
// sender, so only this machine is trusted.
func (c *Config) trusted(a net.Addr) bool {
	if len(c.Secret) > 0 && !c.LoopbackOnly {
		return true
	}
	return c.IsLoopback(a)
}
