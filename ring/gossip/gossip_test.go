package gossip

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
	found := make(chan ring.NodeID, 2)
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
			OnAlive: func(other ring.NodeID, _ Meta) { found <- other },
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
	for range nodes {
		select {
		case <-found:
		case <-time.After(30 * time.Second):
			t.Fatal("the nodes did not find each other")
		}
	}
	sees(t, nodes[0], 1, 2)
	sees(t, nodes[1], 1, 2)
	for _, n := range nodes {
		_ = n.Close()
		_ = n.ln.Close()
	}
}
