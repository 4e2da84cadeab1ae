package cluster

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"shoal/engine"
	"shoal/node"
	"shoal/ring/gossip"
	"shoal/test/simnet"
)

// world is a network of machines, each of which may run a node.
type world struct {
	t        *testing.T
	net      *simnet.Network
	machines map[string]*machine
	all      []*machine // in the order in which they were made
	burials  sync.WaitGroup
	calls    []func() // close what tests opened as clients
	logs     logs
}

// machine is a host with a disk. It outlives the node on it.
type machine struct {
	w    *world
	name string
	ip   string
	disk *vfs.MemFS
	boot int // of the machine, not of the node
	opts node.Options
	life *life        // nil while no node runs
	off  atomic.Int64 // ns by which its clock is ahead of virtual time
}

// life is one run of a node.
type life struct {
	node *node.Node
	dead atomic.Bool // killed: nothing that it still does may reach anybody
}

// inBubble runs a test in virtual time and ends whatever it left running. That nothing is left then is checked by the
// bubble itself: it panics when its last goroutines wait for ever.
func inBubble(t *testing.T, test func(t *testing.T, w *world)) {
	t.Helper()
	// Libraries keep timers and channels in global pools, which must not carry them from bubble to bubble.
	runtime.GC()
	runtime.GC()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, net: simnet.New(), machines: map[string]*machine{}}
		w.logs.began = time.Now()
		w.net.SetLatency(func(from, to string) time.Duration { return 200 * time.Microsecond })
		t.Cleanup(w.end)
		test(t, w)
	})
}

func (w *world) end() {
	if w.t.Failed() {
		w.t.Log(w.logs.String())
	}
	w.net.HealAll()
	for _, f := range w.calls {
		f()
	}
	for _, m := range w.all {
		if m.life != nil {
			m.stop()
		}
	}
	w.burials.Wait()
	time.Sleep(2 * time.Minute) // goroutines of memberlist and go-redis wait for their last timers
}

// change edits a machine's options before its node starts.
type change func(*node.Options)

func joining(others ...string) change {
	return func(o *node.Options) {
		for _, x := range others {
			o.Join = append(o.Join, peerAddr(x))
		}
	}
}

func durability(d engine.Durability) change { return func(o *node.Options) { o.Durability = d } }

func strict(o *node.Options) { o.Strict = true }

// The machines n1, n2 ... are one room to each other, whose addresses count as loopback; 192.168.0.0/16 is outside.
func ipOf(name string) string {
	var i int
	if _, err := fmt.Sscanf(name, "n%d", &i); err != nil {
		panic(err)
	}
	return fmt.Sprintf("10.0.0.%d", i)
}

const inside, outside = "10.0.9.9", "192.168.1.1" // hosts of clients

func clientAddr(name string) string { return ipOf(name) + ":6379" }
func peerAddr(name string) string   { return ipOf(name) + ":16379" }

// machine makes the named machine with an empty disk.
func (w *world) machine(name string, changes ...change) *machine {
	m := &machine{w: w, name: name, ip: ipOf(name), disk: vfs.NewCrashableMem(), boot: 1}
	m.opts = node.Options{
		Name: name, Listen: clientAddr(name), Dir: "/data", Partitions: 16,
		Secret: []byte("the cluster's secret"), CacheBytes: 4 << 20,
	}
	for _, f := range changes {
		f(&m.opts)
	}
	w.machines[name] = m
	w.all = append(w.all, m)
	return m
}

// start runs a node on the machine's disk; it does not wait until the node is ready.
func (m *machine) start() error {
	host := m.w.net.Host(m.ip)
	l := &life{}
	opts := m.opts
	opts.Log = m.w.logs.of(m.name)
	opts.OnFatal = func(err error) {
		if !l.dead.Load() {
			m.w.t.Errorf("%s: the disk failed: %v", m.name, err)
		}
	}
	n, err := node.Start(opts, node.World{
		FS:     m.disk,
		Listen: host.Listen,
		ListenPacket: func(addr string) (gossip.PacketConn, error) {
			return host.ListenPacket(addr)
		},
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			if l.dead.Load() {
				return nil, net.ErrClosed
			}
			return host.Dial(ctx, addr)
		},
		Now:         m.now,
		Random:      random,
		MachineBoot: fmt.Sprint("boot ", m.boot),
		IsLoopback:  func(a net.Addr) bool { return strings.HasPrefix(a.String(), "10.") },
	})
	if err != nil {
		return err
	}
	l.node, m.life = n, l
	return nil
}

// now is what the machine's clock shows.
func (m *machine) now() time.Time { return time.Now().Add(time.Duration(m.off.Load())) }

// setClock sets the machine's clock to so much ahead of virtual time.
func (m *machine) setClock(ahead time.Duration) { m.off.Store(int64(ahead)) }

func random() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}

// up starts the node and waits until it is ready.
func (m *machine) up() *machine {
	m.w.t.Helper()
	if err := m.start(); err != nil {
		m.w.t.Fatalf("%s does not start: %v", m.name, err)
	}
	m.ready(20 * time.Second)
	return m
}

func (m *machine) ready(within time.Duration) {
	m.w.t.Helper()
	select {
	case <-m.life.node.Ready():
	case err := <-m.life.node.Failed():
		m.w.t.Fatalf("%s cannot go on: %v", m.name, err)
	case <-time.After(within):
		m.w.t.Fatalf("%s is not ready after %v", m.name, within)
	}
}

// stop ends the node as SIGTERM does.
func (m *machine) stop() {
	m.w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := m.life.node.Close(ctx); err != nil {
		m.w.t.Errorf("%s stops with: %v", m.name, err)
	}
	m.life = nil
}

// kill ends the node as SIGKILL does: what it gave to its operating system stays, the rest is gone.
func (m *machine) kill() { m.crash(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng()}) }

// cutPower ends the node and its machine: what was not synced is gone, or torn.
func (m *machine) cutPower(percentLeft int) {
	m.crash(vfs.CrashCloneCfg{UnsyncedDataPercent: percentLeft, RNG: rng()})
	m.boot++
}

func rng() *mrand.Rand { return mrand.New(mrand.NewPCG(random(), random())) }

func (m *machine) crash(how vfs.CrashCloneCfg) {
	m.silence()
	m.disk = m.disk.CrashClone(how)
	m.bury()
}

// silence cuts the node off; from here on nobody learns anything from it.
func (m *machine) silence() {
	m.life.dead.Store(true)
	m.w.net.Host(m.ip).Crash()
}

// bury ends the goroutines of a dead node, which works on a disk that is nobody's any more.
func (m *machine) bury() {
	l := m.life
	m.life = nil
	m.w.burials.Go(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = l.node.Close(ctx)
	})
}

// powerCut ends several machines at one instant.
func powerCut(percentLeft int, machines ...*machine) {
	for _, m := range machines {
		m.silence()
	}
	for _, m := range machines {
		m.disk = m.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percentLeft, RNG: rng()})
		m.boot++
		m.bury()
	}
}

// three founds a cluster of n1, n2 and n3 and waits until all see each other.
func (w *world) three(changes ...change) (n1, n2, n3 *machine) {
	w.t.Helper()
	n1 = w.machine("n1", changes...).up()
	n2 = w.machine("n2", append(changes, joining("n1"))...).up()
	n3 = w.machine("n3", append(changes, joining("n1"))...).up()
	w.together(5*time.Second, n1, n2, n3)
	return n1, n2, n3
}

// together waits until each of the machines sees all of them, on one map.
func (w *world) together(within time.Duration, machines ...*machine) {
	w.t.Helper()
	w.eventually(within, "all see each other on one map", func() string {
		epoch := machines[0].status().Epoch
		for _, m := range machines {
			if st := m.status(); st.Live != len(machines) || st.Epoch != epoch {
				return fmt.Sprintf("%s sees %d of %d members at epoch %d", m.name, st.Live, len(machines), st.Epoch)
			}
		}
		return ""
	})
}

func (m *machine) status() node.Status { return m.life.node.Status() }

// eventually waits until the check finds nothing wrong.
func (w *world) eventually(within time.Duration, what string, check func() string) {
	w.t.Helper()
	began := time.Now()
	for {
		wrong := check()
		if wrong == "" {
			return
		}
		if time.Since(began) > within {
			w.t.Fatalf("after %v not yet: %s: %s", within, what, wrong)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
