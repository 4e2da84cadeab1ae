package tcp

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"shoal/ring"
	"shoal/test/simnet"
	"shoal/wire/loop"
)

var testCluster = ring.ClusterID{1, 2, 3}

// testNode is a Transport that notes what it is told.
type testNode struct {
	*Transport
	id   ring.NodeID
	addr string

	mu     sync.Mutex
	events []string // "up 2", "down 2"
	frames [][]byte
	causes []error
	logs   []string

	stirred chan struct{} // holds a token after each event and frame
}

// note takes a log line; only the message and the cause matter to the tests.
func (n *testNode) Handle(_ context.Context, r slog.Record) error {
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "cause" {
			line += ": " + a.Value.String()
		}
		return true
	})
	n.mu.Lock()
	n.logs = append(n.logs, line)
	n.mu.Unlock()
	return nil
}
func (n *testNode) Enabled(context.Context, slog.Level) bool { return true }
func (n *testNode) WithAttrs([]slog.Attr) slog.Handler       { return n }
func (n *testNode) WithGroup(string) slog.Handler            { return n }

// config returns a Config that notes everything; the network is still to be filled in.
func (n *testNode) config() Config {
	return Config{
		Self: func() Identity {
			return Identity{Node: n.id, Incarnation: 7, Cluster: testCluster, Version: 1, Capabilities: 5}
		},
		Secret: []byte("a secret of the cluster"),
		Log:    slog.New(n),
		OnFrame: func(_ ring.NodeID, _ uint64, f []byte, _ bool) {
			n.mu.Lock()
			n.frames = append(n.frames, append([]byte(nil), f...))
			n.mu.Unlock()
			n.stir()
		},
		OnUp: func(p ring.NodeID, inc uint64) {
			n.mu.Lock()
			n.events = append(n.events, fmt.Sprintf("up %d/%d", uint64(p), inc))
			n.mu.Unlock()
			n.stir()
		},
		OnDown: func(p ring.NodeID, inc uint64, cause error) {
			n.mu.Lock()
			n.events = append(n.events, fmt.Sprintf("down %d/%d", uint64(p), inc))
			n.causes = append(n.causes, cause)
			n.mu.Unlock()
			n.stir()
		},
	}
}

func (n *testNode) history() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.events...)
}

func (n *testNode) received() [][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([][]byte(nil), n.frames...)
}

func (n *testNode) lastCause() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.causes) == 0 {
		return nil
	}
	return n.causes[len(n.causes)-1]
}

func (n *testNode) allCauses() []error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]error(nil), n.causes...)
}

func (n *testNode) logged() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]string(nil), n.logs...)
}

// unitOf is a frame as Send takes it.
func unitOf(frame []byte) []byte { return append(make([]byte, HeaderSize), frame...) }

func host(id ring.NodeID) string { return fmt.Sprintf("10.0.0.%d", uint64(id)) }

// simNode starts a node at 10.0.0.<id>:7000 of an in-memory network. It is closed at the end of the bubble.
func simNode(t *testing.T, net_ *simnet.Network, id ring.NodeID, change ...func(*Config)) *testNode {
	t.Helper()
	n := &testNode{id: id, addr: host(id) + ":7000", stirred: make(chan struct{}, 1)}
	cfg := n.config()
	cfg.Listen = func() (net.Listener, error) { return net_.Host(host(id)).Listen(":7000") }
	cfg.Dial = net_.Host(host(id)).Dial
	for _, f := range change {
		f(&cfg)
	}
	n.Transport = New(cfg)
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	return n
}

// looping says that real nodes have a loop.
var looping bool

// TestMain runs every test twice: without and with a loop.
func TestMain(m *testing.M) { goleak.VerifyTestMain(twice{m}) }

type twice struct{ m *testing.M }

func (t twice) Run() int {
	if code := t.m.Run(); code != 0 {
		return code
	}
	looping = true
	return t.m.Run()
}

// realNode starts a node on loopback sockets.
func realNode(t testing.TB, id ring.NodeID, change ...func(*Config)) *testNode {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &testNode{id: id, addr: ln.Addr().String(), stirred: make(chan struct{}, 1)}
	cfg := n.config()
	cfg.DownAfter = 20 * time.Second // a busy machine is no dead peer
	cfg.Listen = func() (net.Listener, error) { return ln, nil }
	var d net.Dialer
	cfg.Dial = func(ctx context.Context, addr string) (net.Conn, error) { return d.DialContext(ctx, "tcp", addr) }
	if looping {
		cfg.Loop = loop.New(func() time.Duration { return -1 })
		t.Cleanup(cfg.Loop.Close)
	}
	for _, f := range change {
		f(&cfg)
	}
	n.Transport = New(cfg)
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.Close)
	return n
}

// introduce makes the nodes peers of each other.
func introduce(nodes ...*testNode) {
	var peers []Peer
	for _, n := range nodes {
		peers = append(peers, Peer{ID: n.id, Addr: n.addr})
	}
	for _, n := range nodes {
		n.SetPeers(peers)
	}
}

// settle waits, in a bubble, until nodes that were introduced have one connection: both dial, at the same moment, and each may
// refuse the other's for its own, which ends too, so that they are connected only when one has waited to dial again.
func settle() {
	time.Sleep(time.Second)
	synctest.Wait()
}

// stir wakes eventually.
func (n *testNode) stir() {
	select {
	case n.stirred <- struct{}{}:
	default:
	}
}

// eventually waits until something holds that only the two nodes' events can make true.
func eventually(t testing.TB, what string, a, b *testNode, holds func() bool) {
	t.Helper()
	late := time.After(30 * time.Second)
	for !holds() {
		select {
		case <-a.stirred:
		case <-b.stirred:
		case <-late:
			t.Fatalf("never: %s", what)
		}
	}
}
