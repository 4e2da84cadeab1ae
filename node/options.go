package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"shoal/engine"
	"shoal/ring/gossip"
)

// World is the outside, as a node meets it: cmd gives the real one, tests one in memory.
type World struct {
	FS           vfs.FS
	Listen       func(addr string) (net.Listener, error)
	ListenPacket func(addr string) (gossip.PacketConn, error)
	Dial         func(ctx context.Context, addr string) (net.Conn, error)
	Now          func() time.Time
	Random       func() uint64
	MachineBoot  string              // changes when the machine (not the process) restarts; "" unknown
	IsLoopback   func(net.Addr) bool // nil: loopback IP addresses
}

// Options say what a node is. Name, Listen and Dir are required; the zero value of the rest has a default.
type Options struct {
	Name         string
	Listen       string   // host:port for clients
	Peer         string   // host:port for nodes; default: Listen's port + 10000
	Announce     string   // host:port told to clients; default: Listen
	AnnouncePeer string   // host:port told to nodes; default: Peer
	HTTP         string   // host:port of metrics and health; "" none
	Join         []string // host:peerport of members
	Dir          string

	Zone   string
	Weight uint32

	N, R, W     int // default 3, 2, 2; N is fixed when the cluster is founded
	Partitions  int // Q, fixed when the cluster is founded; default 256
	Strict      bool
	Timeout     time.Duration // deadline of an operation; default 1s
	Durability  engine.Durability
	Restored    bool  // Dir is a copy put back: the node does not trust its replicas before they have pulled
	MemoryBytes int64 // for rows; 0: the engine's default
	// CompareEvery is how often each partition is compared with its other owners; 0: the default, 24h; negative: never.
	CompareEvery time.Duration
	CacheBytes   int64 // for blocks of the sorted store; default 64 MiB
	LogKeepBytes int64 // for log entries that some owner still lacks; 0: a tenth of the disk
	HintBytes    int64 // for hints; 0: a tenth of the disk

	NoLoop bool // every connection has a goroutine, as where there is no loop: see wire/loop

	Password string // of clients; "" none
	Secret   []byte // of the cluster; nil none

	SiblingWarn int // log a warning when a key has more live values; default 25
	SiblingMax  int // VSET is refused beyond; default 100

	Log     *slog.Logger
	OnFatal func(error) // the disk failed: the process must stop
}

// Defaults and bounds.
const (
	DefaultN, DefaultR, DefaultW = 3, 2, 2
	DefaultPartitions            = 256
	DefaultTimeout               = time.Second
	DefaultCompareEvery          = 24 * time.Hour

	peerPortOffset = 10000 // Redis Cluster's bus port offset
	maxPending     = 100_000
	tickEvery      = 10 * time.Millisecond
	hurriedEvery   = 4 * time.Millisecond   // while operations wait: an owner that is late is hedged around
	idleEvery      = 100 * time.Millisecond // when none has waited for idleAfter
	idleAfter      = time.Second
	pullEvery      = 2 * time.Second
	pullRetry      = time.Second
	skewBoundMs    = 500
	frameBytes     = 256 << 10
	maintainRows   = 256 // per timer tick
)

func (o *Options) fill() error {
	if o.Name == "" || o.Listen == "" || o.Dir == "" {
		return errors.New("a node needs a name, an address to listen on and a folder for its data")
	}
	host, port, err := net.SplitHostPort(o.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: want host:port", o.Listen)
	}
	if o.Peer == "" {
		n, err := strconv.Atoi(port)
		if err != nil || n+peerPortOffset > 65535 {
			return fmt.Errorf("client port %s + %d is no port: set the peer address", port, peerPortOffset)
		}
		o.Peer = net.JoinHostPort(host, strconv.Itoa(n+peerPortOffset))
	}
	orElse(&o.Announce, o.Listen)
	orElse(&o.AnnouncePeer, o.Peer)
	orElse(&o.R, DefaultR)
	orElse(&o.W, DefaultW)
	orElse(&o.Timeout, DefaultTimeout)
	orElse(&o.CompareEvery, DefaultCompareEvery)
	orElse(&o.SiblingWarn, 25)
	orElse(&o.SiblingMax, 100)
	orElse(&o.Weight, 1)
	orElse(&o.CacheBytes, 64<<20)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if _, _, err := net.SplitHostPort(o.Peer); err != nil {
		return fmt.Errorf("peer address %q: want host:port", o.Peer)
	}
	for _, a := range o.Join { // it would be kept in the folder, and be tried for ever
		if h, p, err := net.SplitHostPort(a); err != nil || h == "" || p == "" {
			return fmt.Errorf("address of a member to join %q: want host:peerport", a)
		}
	}
	for _, a := range []string{o.Announce, o.AnnouncePeer} {
		h, _, err := net.SplitHostPort(a)
		if err != nil {
			return fmt.Errorf("announced address %q: want host:port", a)
		}
		if ip := net.ParseIP(h); h == "" || ip != nil && ip.IsUnspecified() {
			return fmt.Errorf("nodes and clients cannot dial %q: set the address to announce", a)
		}
	}
	switch {
	case o.R < 1 || o.W < 1:
		return errors.New("read and write quorum must be at least 1")
	case o.Timeout < 10*time.Millisecond:
		return errors.New("the timeout must be at least 10ms")
	}
	return nil
}

func orElse[T comparable](at *T, def T) {
	var zero T
	if *at == zero {
		*at = def
	}
}

// foundingN is N of a cluster that this node founds.
func (o *Options) foundingN() int {
	if o.N != 0 {
		return o.N
	}
	return DefaultN
}
