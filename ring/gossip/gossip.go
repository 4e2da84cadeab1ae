package gossip

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"
	"log"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	"shoal/ring"
)

const (
	streamTimeout = 3 * time.Second // of a dial, and of a whole exchange on a stream
	leaveTimeout  = time.Second
	updateTimeout = time.Second
	// reclaimAfter is how long a dead node's id stays tied to its address; then the node may come back at another one.
	reclaimAfter = 5 * time.Second
)

// Member is a node that seems alive.
type Member struct {
	ID   ring.NodeID
	Meta Meta
	Addr string // ip:port it gossips from
}

// Gossip is a running member. Its methods may be called by any goroutine.
type Gossip struct {
	cfg       Config
	log       *limitedLog
	announced atomic.Pointer[[]byte]
	view      *view
	transport *transport
	list      *memberlist.Memberlist

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc
	wg     sync.WaitGroup
	once   sync.Once
}

// Start begins to gossip. It does not wait for anybody to answer; only an Advertise that is a name is looked up. The
// errors are ErrConfig, ErrMeta and that of the look-up; after an error Packet is closed.
func Start(cfg Config) (*Gossip, error) {
	cfg = cfg.withDefaults()
	g := &Gossip{cfg: cfg, log: &limitedLog{log: cfg.Log}, view: newView(cfg.Self)}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	if err := g.start(); err != nil {
		g.cancel()
		if cfg.Packet != nil {
			_ = cfg.Packet.Close()
		}
		return nil, err
	}
	g.wg.Add(2)
	go g.tell()
	go g.rejoin()
	return g, nil
}

func (g *Gossip) start() error {
	c := &g.cfg
	if c.Self == 0 || c.Cluster == (ring.ClusterID{}) || c.Packet == nil || c.DialStream == nil {
		return ErrConfig
	}
	if err := g.announce(c.Meta); err != nil {
		return err
	}
	ip, port, err := resolve(c.Advertise)
	if err != nil {
		return err
	}
	g.transport = newTransport(c, ip, port, g.log)
	mc, err := g.memberlistConfig(ip, port)
	if err == nil {
		g.list, err = memberlist.Create(mc)
	}
	if err != nil {
		_ = g.transport.Shutdown()
	}
	return err
}

// memberlistConfig starts from memberlist's settings for one local network.
func (g *Gossip) memberlistConfig(ip net.IP, port int) (*memberlist.Config, error) {
	mc := memberlist.DefaultLANConfig()
	mc.Name = g.cfg.Self.String()
	mc.Label = g.cfg.Cluster.String()
	mc.BindPort, mc.AdvertiseAddr, mc.AdvertisePort = port, ip.String(), port
	mc.Transport = g.transport
	mc.TCPTimeout = streamTimeout
	mc.DeadNodeReclaimTime = reclaimAfter
	mc.EnableCompression = false // what travels is small
	mc.Logger = log.New(g.log, "", 0)
	d := delegate{g}
	mc.Delegate, mc.Events, mc.Alive, mc.Merge, mc.Conflict = d, d, d, d, d
	if len(g.cfg.Secret) > 0 {
		// A key of its own, so that the same secret can serve other purposes too.
		key, err := hkdf.Key(sha256.New, g.cfg.Secret, nil, "shoal gossip", 32)
		if err != nil {
			return nil, err
		}
		mc.SecretKey, mc.GossipVerifyIncoming, mc.GossipVerifyOutgoing = key, true, true
	}
	return mc, nil
}

// resolve turns host:port into what memberlist can pass on.
func resolve(addr string) (net.IP, int, error) {
	host, service, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, 0, fmt.Errorf("%w: advertise %q: %w", ErrConfig, addr, err)
	}
	port, err := strconv.ParseUint(service, 10, 16)
	if err != nil || port == 0 {
		return nil, 0, fmt.Errorf("%w: advertise %q: bad port", ErrConfig, addr)
	}
	ip := net.ParseIP(host)
	if ip == nil {
		ips, err := net.LookupIP(host)
		if err != nil {
			return nil, 0, err
		}
		ip = ips[0]
	}
	if ip.IsUnspecified() {
		return nil, 0, fmt.Errorf("%w: advertise %q: nobody can reach that address", ErrConfig, addr)
	}
	if v4 := ip.To4(); v4 != nil {
		ip = v4
	}
	return ip, int(port), nil
}

// AcceptStream takes a stream that arrived on the peer port, and never blocks. After Close it closes the stream.
func (g *Gossip) AcceptStream(c net.Conn) { g.transport.accept(c) }

// UpdateMeta announces something else from now on. It waits up to a second until somebody was told; the error is ErrMeta.
func (g *Gossip) UpdateMeta(m Meta) error {
	if err := g.announce(m); err != nil {
		return err
	}
	if g.ctx.Err() == nil {
		// A timeout is no failure: the news stays queued, and every exchange of states carries it.
		_ = g.list.UpdateNode(updateTimeout)
	}
	return nil
}

func (g *Gossip) announce(m Meta) error {
	b, err := announcement{cluster: g.cfg.Cluster, node: g.cfg.Self, meta: m}.encode()
	if err == nil {
		g.announced.Store(&b)
	}
	return err
}

// Members returns the nodes that seem alive, this one included, sorted by id.
func (g *Gossip) Members() []Member { return g.view.list() }

// tell calls the callbacks.
func (g *Gossip) tell() {
	defer g.wg.Done()
	for {
		select {
		case <-g.view.wake:
		case <-g.ctx.Done():
			return
		}
		for g.ctx.Err() == nil {
			m, alive, ok := g.view.next()
			if !ok {
				break
			}
			if alive {
				g.cfg.OnAlive(m.ID, m.Meta)
			} else {
				g.cfg.OnDead(m.ID)
			}
		}
	}
}

// Close says goodbye, which takes up to a second, stops, and waits until no callback runs. The packet connection and all
// streams are closed. A few goroutines of memberlist itself outlive it by seconds: they wait for a timer and then end.
func (g *Gossip) Close() error {
	g.once.Do(func() {
		g.cancel()
		g.log.closed.Store(true)
		_ = g.list.Leave(leaveTimeout)
		_ = g.list.Shutdown()
		g.wg.Wait()
	})
	return nil
}
