package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"

	"shoal/ring"
	"shoal/test/simnet"
)

var testCluster = ring.ClusterID{1, 2, 3}

// testNode is a Gossip that notes what it is told. Streams come through an ordinary listener at the same port.
type testNode struct {
	*Gossip
	id ring.NodeID
	ln net.Listener

	mu   sync.Mutex
	news []string
	logs bytes.Buffer
}

func (n *testNode) Write(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.logs.Write(b)
}

func (n *testNode) note(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.news = append(n.news, fmt.Sprintf(format, args...))
}

func (n *testNode) history() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.news)
}

func (n *testNode) logged() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.logs.String()
}

func host(id ring.NodeID) string { return fmt.Sprintf("10.0.0.%d", uint64(id)) }
func addr(id ring.NodeID) string { return host(id) + ":7000" }
func meta(id ring.NodeID) Meta {
	return Meta{Name: fmt.Sprintf("n%d", uint64(id)), Client: host(id) + ":6379", Peer: addr(id)}
}

// start runs a node at 10.0.0.<id>:7000 that knows the others' addresses.
func start(t *testing.T, network *simnet.Network, id ring.NodeID, change ...func(*Config)) *testNode {
	t.Helper()
	n := &testNode{id: id}
	cfg := Config{
		Self: id, Meta: meta(id), Advertise: addr(id), Cluster: testCluster, Secret: []byte("of the cluster"),
		Seeds:   func() []string { return []string{addr(1), addr(2), addr(3)} },
		OnAlive: func(p ring.NodeID, m Meta) { n.note("alive %d %s", uint64(p), m.Name) },
		OnDead:  func(p ring.NodeID) { n.note("dead %d", uint64(p)) },
		Log:     slog.New(slog.NewTextHandler(n, nil)),
	}
	advertise := func() string { return cfg.Advertise }
	for _, f := range change {
		f(&cfg)
	}
	h := network.Host(strings.TrimSuffix(advertise(), ":7000"))
	packets, err := h.ListenPacket(":7000")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Packet, cfg.DialStream = packets, h.Dial
	if n.ln, err = h.Listen(":7000"); err != nil {
		t.Fatal(err)
	}
	if n.Gossip, err = Start(cfg); err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			c, err := n.ln.Accept()
			if err != nil {
				return
			}
			n.AcceptStream(c)
		}
	}()
	return n
}

// stop closes nodes and lets memberlist's last timers run out, as a bubble must before it ends.
func stop(nodes ...*testNode) {
	for _, n := range nodes {
		_ = n.Close()
		_ = n.ln.Close()
	}
	time.Sleep(2 * time.Minute)
}

func ids(g *testNode) []ring.NodeID {
	var out []ring.NodeID
	for _, m := range g.Members() {
		out = append(out, m.ID)
	}
	return out
}

func sees(t *testing.T, n *testNode, want ...ring.NodeID) {
	t.Helper()
	if got := ids(n); !slices.Equal(got, want) {
		t.Fatalf("node %d sees %v, want %v\n%s", n.id, got, want, n.logged())
	}
}

func TestNodesFindEachOtherThroughSeeds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a, b, c := start(t, network, 1), start(t, network, 2), start(t, network, 3)
		time.Sleep(3 * time.Second)
		for _, n := range []*testNode{a, b, c} {
			sees(t, n, 1, 2, 3)
		}
		if m := a.Members()[1]; m.Meta != meta(2) || m.Addr != addr(2) {
			t.Fatalf("%+v", m)
		}
		news := a.history()
		slices.Sort(news)
		if !slices.Equal(news, []string{"alive 2 n2", "alive 3 n3"}) {
			t.Fatal(news)
		}
		stop(a, b, c)
	})
}

func TestMetaChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a, b := start(t, network, 1), start(t, network, 2)
		time.Sleep(3 * time.Second)
		m := meta(1)
		m.Name = "renamed"
		if err := a.UpdateMeta(m); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if got := b.history(); !slices.Equal(got, []string{"alive 1 n1", "alive 1 renamed"}) {
			t.Fatal(got)
		}
		m.Name = strings.Repeat("x", MetaMax)
		if err := a.UpdateMeta(m); !errors.Is(err, ErrMeta) {
			t.Fatal(err)
		}
		stop(a, b)
	})
}

func TestGoodbyeIsNoticedSooner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a, b := start(t, network, 1), start(t, network, 2)
		time.Sleep(3 * time.Second)
		_ = b.Close()
		_ = b.ln.Close()
		time.Sleep(time.Second)
		sees(t, a, 1)
		again := start(t, network, 2)
		time.Sleep(5 * time.Second)
		sees(t, a, 1, 2)
		if got := a.history(); !slices.Equal(got, []string{"alive 2 n2", "dead 2", "alive 2 n2"}) {
			t.Fatal(got)
		}
		stop(a, again)
	})
}

func TestHourLongPartitionHeals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		network.SetLatency(func(_, _ string) time.Duration { return time.Millisecond })
		a, b, c := start(t, network, 1), start(t, network, 2), start(t, network, 3)
		time.Sleep(5 * time.Second)
		network.Isolate(host(3))
		time.Sleep(time.Hour)
		sees(t, a, 1, 2)
		sees(t, b, 1, 2)
		sees(t, c, 3)
		network.HealAll()
		time.Sleep(15 * time.Second)
		for _, n := range []*testNode{a, b, c} {
			sees(t, n, 1, 2, 3)
		}
		if got := a.history()[2:]; !slices.Equal(got, []string{"dead 3", "alive 3 n3"}) {
			t.Fatal(got)
		}
		stop(a, b, c)
	})
}

func TestStrangersAreNotHeard(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"other cluster": func(c *Config) { c.Cluster = ring.ClusterID{9} },
		"other secret":  func(c *Config) { c.Secret = []byte("another") },
		"no secret":     func(c *Config) { c.Secret = nil; c.IsLoopback = func(net.Addr) bool { return true } },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				network := simnet.New()
				a, b := start(t, network, 1), start(t, network, 2, change)
				time.Sleep(time.Minute)
				sees(t, a, 1)
				sees(t, b, 2)
				stop(a, b)
			})
		})
	}
}

// The label keeps clusters apart; should it ever not, what is announced still does.
func TestDelegateRefuses(t *testing.T) {
	d := delegate{&Gossip{cfg: Config{Self: 1, Cluster: testCluster}.withDefaults(), view: newView(1)}}
	node := func(name string, a announcement, ip string) *memberlist.Node {
		b, err := a.encode()
		if err != nil {
			t.Fatal(err)
		}
		return &memberlist.Node{Name: name, Addr: net.ParseIP(ip), Port: 7, Meta: b}
	}
	two, foreign := ring.NodeID(2), ring.ClusterID{9}
	good := announcement{cluster: testCluster, node: two, meta: meta(2)}
	for _, c := range []struct {
		name string
		node *memberlist.Node
		want error
	}{
		{"good", node(two.String(), good, "127.0.0.1"), nil},
		{"foreign", node(two.String(), announcement{cluster: foreign, node: two}, "127.0.0.1"), errForeign},
		{"other name", node("n2", good, "127.0.0.1"), errName},
		{"unheard address", node(two.String(), good, "10.0.0.1"), errAddress},
		{"damaged", &memberlist.Node{Name: two.String(), Meta: []byte("?")}, ErrMeta},
	} {
		if err := d.NotifyAlive(c.node); !errors.Is(err, c.want) {
			t.Errorf("alive, %s: %v", c.name, err)
		}
		wantMerge := c.want
		if c.want != errForeign {
			wantMerge = nil // one bad member does not spoil the others
		}
		if err := d.NotifyMerge([]*memberlist.Node{c.node}); !errors.Is(err, wantMerge) {
			t.Errorf("merge, %s: %v", c.name, err)
		}
	}
}

// Garbage in packets and streams reaches memberlist's decoders only up to the label.
func TestGarbageIsSurvived(t *testing.T) {
	for _, secret := range [][]byte{nil, []byte("secret")} {
		synctest.Test(t, func(t *testing.T) {
			network := simnet.New()
			a := start(t, network, 1, func(c *Config) {
				c.Secret, c.IsLoopback = secret, func(net.Addr) bool { return true }
			})
			h := network.Host(host(9))
			p, _ := h.ListenPacket(":1")
			r := rand.New(rand.NewPCG(1, 2))
			label, _ := memberlist.AddLabelHeaderToPacket([]byte{0}, testCluster.String())
			for i := range 3000 {
				b := make([]byte, r.IntN(200))
				for j := range b {
					b[j] = byte(r.Uint32())
				}
				if i%2 == 0 {
					b = append(label[:len(label)-1:len(label)-1], append([]byte{byte(i / 2 % 20)}, b...)...)
				}
				_, _ = p.WriteTo(b, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr(1))))
				if i%10 == 0 {
					if c, err := h.Dial(t.Context(), addr(1)); err == nil {
						_, _ = c.Write(b)
						_ = c.Close()
					}
					time.Sleep(10 * time.Millisecond)
				}
			}
			sees(t, a, 1)
			stop(a)
		})
	}
}

func TestSecondNodeWithAKnownIDIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a, b := start(t, network, 1), start(t, network, 2)
		time.Sleep(3 * time.Second)
		thief := start(t, network, 2, func(c *Config) { c.Advertise = addr(3); c.Meta.Name = "thief" })
		time.Sleep(time.Minute)
		if m := a.Members()[1]; m.Addr != addr(2) || m.Meta != meta(2) {
			t.Fatalf("%+v", m)
		}
		if !strings.Contains(a.logged(), "refused at 10.0.0.3:7000") {
			t.Fatal(a.logged())
		}
		stop(a, b, thief)
	})
}

// But a node that was away may come back at another address.
func TestDeadNodeMayReturnElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a, b := start(t, network, 1), start(t, network, 2)
		time.Sleep(3 * time.Second)
		network.Host(host(2)).Crash()
		_ = b.Close()
		moved := start(t, network, 2, func(c *Config) { c.Advertise = addr(3); c.Meta.Peer = addr(3) })
		time.Sleep(time.Minute)
		if m := a.Members(); len(m) != 2 || m[1].Addr != addr(3) {
			t.Fatalf("%+v\n%s", m, a.logged())
		}
		stop(a, moved)
	})
}

func TestWithoutSecretOnlyLoopbackIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		open := func(c *Config) { c.Secret = nil }
		a, b := start(t, network, 1, open), start(t, network, 2, open)
		time.Sleep(10 * time.Second)
		sees(t, a, 1)
		sees(t, b, 2)
		onlyHere := func(c *Config) { c.LoopbackOnly = true }
		stop(a, b)
		a, b = start(t, network, 1, onlyHere), start(t, network, 2, onlyHere)
		time.Sleep(10 * time.Second)
		sees(t, a, 1)
		stop(a, b)
	})
}

func TestCloseWhileNothingAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := simnet.New()
		a, b := start(t, network, 1), start(t, network, 2)
		time.Sleep(3 * time.Second)
		network.Isolate(host(1))
		time.Sleep(time.Second)
		begin := time.Now()
		_ = a.Close()
		if took := time.Since(begin); took > 2*time.Second {
			t.Fatalf("took %v", took)
		}
		_ = a.Close()
		stop(a, b)
	})
}

func TestStartRefusesNonsense(t *testing.T) {
	packets := func() PacketConn {
		p, err := simnet.New().Host("10.0.0.1").ListenPacket(":0")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	dial := func(context.Context, string) (net.Conn, error) { return nil, errStopped }
	good := Config{Self: 1, Advertise: "10.0.0.1:7", Cluster: testCluster, DialStream: dial}
	for name, change := range map[string]func(*Config){
		"no id":               func(c *Config) { c.Self = 0 },
		"no cluster":          func(c *Config) { c.Cluster = ring.ClusterID{} },
		"no dial":             func(c *Config) { c.DialStream = nil },
		"no port":             func(c *Config) { c.Advertise = "10.0.0.1" },
		"port 0":              func(c *Config) { c.Advertise = "10.0.0.1:0" },
		"unspecified address": func(c *Config) { c.Advertise = "0.0.0.0:7" },
	} {
		c := good
		c.Packet = packets()
		change(&c)
		if _, err := Start(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Real sockets: what goleak sees there is what a real process would keep.
func TestOverUDP(t *testing.T) {
	var nodes []*testNode
	var addrs []string
	for id := ring.NodeID(1); id <= 2; id++ {
		n := &testNode{id: id}
		var err error
		if n.ln, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
			t.Fatal(err)
		}
		at := n.ln.Addr().String()
		udp, err := net.ListenPacket("udp", at)
		if err != nil {
			t.Skip(err)
		}
		addrs = append(addrs, at)
		seeds := slices.Clone(addrs)
		var d net.Dialer
		n.Gossip, err = Start(Config{
			Self: id, Meta: meta(id), Advertise: at, Cluster: testCluster, Packet: udp,
			DialStream: func(ctx context.Context, a string) (net.Conn, error) { return d.DialContext(ctx, "tcp", a) },
			Seeds:      func() []string { return seeds }, RejoinEvery: 50 * time.Millisecond,
		})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				c, err := n.ln.Accept()
				if err != nil {
					return
				}
				n.AcceptStream(c)
			}
		}()
		nodes = append(nodes, n)
	}
	for range 1000 {
		if len(nodes[0].Members()) == 2 && len(nodes[1].Members()) == 2 {
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	sees(t, nodes[0], 1, 2)
	for _, n := range nodes {
		_ = n.Close()
		_ = n.ln.Close()
	}
}
