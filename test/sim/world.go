package sim

import (
	"fmt"

	"shoal/causal"
	"shoal/ring"

	"github.com/cespare/xxhash/v2"
)

// World is one cluster, its clients and its adversary in virtual time.
type World struct {
	seed     uint64
	cfg      Config
	rand     *random
	heap     heap
	now      int64
	loadEnds int64
	nodes    []*node
	links    []link
	sessions int
	keys     []string
	clients  []*client
	ops      []*operation
	flushing *operation // the newest flush: at most one is under way
	token    uint64
	lives    map[causal.Actor]life
	oracle   *oracle
	model    *model   // nil unless there are no faults and each key has one client
	resting  *resting // a key that nobody writes to
	ending   bool     // the last look: nothing vanishes any more
	healing  bool     // the adversary has stopped
	verbose  func(string)
	lose     func(from, to int, frame []byte) bool // a directed history's own loss
	sum      uint64
	broken   *Failure
	stats    Stats
}

type life struct{ node, n int }

// Stats says what a run has exercised.
type Stats struct {
	Seeds                                                      int
	ops, ok, acked, frames, kills, losses, refused, cuts, reap int
	left                                                       int // keys of plain clients that ended with siblings
	joins, siblings, repaired, sloppy, readFirst               int
	uncertain, flushed, pulledKeys, events                     int
	exchanges, vanished, damaged, putBack                      int
	sloppyWrites, hinted, replayed                             int
	trims, closed, surveys                                     int
	disks, restored, fills, filledRows, replaced               int
	jumps                                                      int
}

// Failure is a violated check.
type Failure struct {
	Seed  uint64
	At    int64 // virtual ms
	Check string
}

func (f *Failure) Error() string {
	return fmt.Sprintf("seed %d at %d ms: %s", f.Seed, f.At, f.Check)
}

// Run runs the world of a seed to its end and returns the first violated check, nil when all held. verbose gets a
// line per thing that happens; it may be nil.
func Run(seed uint64, verbose func(string)) (*Failure, uint64, Stats) {
	w := newWorld(seed, verbose)
	w.run()
	return w.broken, w.sum, w.finalStats()
}

func newWorld(seed uint64, verbose func(string)) *World {
	r := newRandom(seed)
	return build(seed, r, configure(r), verbose)
}

func build(seed uint64, r *random, cfg Config, verbose func(string)) *World {
	w := &World{seed: seed, cfg: cfg, rand: r, verbose: verbose, lives: map[causal.Actor]life{}}
	w.oracle = newOracle(w)
	w.trace("%+v", cfg)
	w.links = make([]link, cfg.members*cfg.members)
	for i := range cfg.members {
		w.addNode(i)
	}
	for i := range cfg.keys {
		w.keys = append(w.keys, fmt.Sprintf("k%d", i*7))
	}
	w.found()
	for i := range cfg.clients {
		c := &client{index: i, keys: w.keys}
		if cfg.owned {
			c.keys = nil
			for k := i; k < len(w.keys); k += cfg.clients {
				c.keys = append(c.keys, w.keys[k])
			}
		}
		w.clients = append(w.clients, c)
	}
	if cfg.owned && !cfg.faults && (!cfg.flushes || cfg.clients == 1) {
		w.model = newModel(w)
	}
	return w
}

func (w *World) addNode(i int) {
	id := ring.NodeID(w.rand.uint64() | 1)
	n := &node{w: w, index: i, id: id, offset: int64(w.rand.between(-w.cfg.skew, w.cfg.skew))}
	n.member = ring.Member{
		ID: id, Name: fmt.Sprintf("n%d", i), Client: fmt.Sprintf("n%d:1", i), Peer: fmt.Sprintf("n%d:2", i), Weight: 1,
	}
	if w.cfg.faults && w.rand.percent(8) {
		n.offset += int64(w.rand.between(-500, 500))
	}
	n.disk = w.newDisk(i)
	w.nodes = append(w.nodes, n)
}

func (w *World) newDisk(node int) *disk {
	return &disk{
		w: w, node: node, always: w.cfg.always, live: newState(w.cfg.q), synced: newState(w.cfg.q),
		lastClock: map[ring.Partition]*causal.Clock{},
	}
}

// found makes the map: whole, or for one node that the others will join.
func (w *World) found() {
	cluster := ring.ClusterID{1}
	m := ring.Found(cluster, [32]byte{2}, w.cfg.n, w.cfg.q, w.nodes[0].member)
	if !w.cfg.joins {
		for _, n := range w.nodes[1:] {
			next, err := m.WithMember(n.member)
			if err != nil {
				panic(err)
			}
			m = next
		}
	}
	for i, n := range w.nodes {
		if !w.cfg.joins || i == 0 {
			n.disk.ring = m
			for p := range m.Q { // founded empty: nothing to lose
				if m.Position(ring.Partition(p), n.id) >= 0 {
					n.disk.begin(ring.Partition(p))
				}
			}
		}
		n.boot(false)
	}
	for i, a := range w.nodes {
		for _, b := range w.nodes[i+1:] {
			w.mayConnect(a, b)
		}
		if a.disk.ring == nil {
			w.push(event{at: w.now + int64(w.rand.between(1, 100)), kind: evJoin, node: i, life: a.life})
		}
	}
}

func (w *World) newLife(node int) causal.Actor {
	n := w.nodes[node]
	for {
		a := causal.NewActor(n.now(), w.rand.next())
		if _, used := w.lives[a]; !used {
			w.lives[a] = life{node, len(w.lives)}
			return a
		}
	}
}

func (w *World) partition(key string) ring.Partition {
	return ring.Partition(int(ring.SlotOf([]byte(key))) * w.cfg.q / ring.Slots)
}

func (w *World) byID(id ring.NodeID) int {
	for i, n := range w.nodes {
		if n.id == id {
			return i
		}
	}
	return -1 // its disk was lost
}

// owners is the number of owners of a partition when all have joined.
func (w *World) owners() int { return min(w.cfg.n, w.cfg.members) }

func (w *World) ownersOf(key string) []*node { return w.ownersOfPartition(w.partition(key)) }

func (w *World) ownersOfPartition(p ring.Partition) (out []*node) {
	for _, id := range w.newest().OwnersOf(p) {
		if at := w.byID(id); at >= 0 {
			out = append(out, w.nodes[at])
		}
	}
	return out
}

// newest is the newest map that any node has.
func (w *World) newest() (m *ring.Map) {
	for _, n := range w.nodes {
		if r := n.disk.ring; r != nil && (m == nil || r.Epoch > m.Epoch) {
			m = r
		}
	}
	return m
}

func (w *World) push(e event) { w.heap.push(e) }

// trace writes a line when somebody reads it.
func (w *World) trace(format string, args ...any) {
	if w.verbose != nil {
		w.verbose(fmt.Sprintf("%6d ", w.now) + fmt.Sprintf(format, args...))
	}
}

// hash folds what happened into the sum that replays are compared by.
func (w *World) hash(list ...uint64) {
	for _, x := range list {
		w.sum = (w.sum ^ x) * 0x100000001b3
		w.sum ^= w.sum >> 29
	}
}

// fail records the first violated check; the world stops.
func (w *World) fail(format string, args ...any) {
	if w.broken == nil {
		w.broken = &Failure{Seed: w.seed, At: w.now, Check: fmt.Sprintf(format, args...)}
		w.trace("VIOLATED %s", w.broken.Check)
	}
}

// advance dispatches events until the time, or until something is broken.
func (w *World) advance(until int64) {
	for w.broken == nil && len(w.heap.list) > 0 && w.heap.list[0].at <= until {
		e := w.heap.pop()
		w.now = e.at
		w.stats.events++
		w.dispatch(&e)
	}
	w.now = max(w.now, until)
}

func (w *World) dispatch(e *event) {
	if e.kind == evClient {
		w.next(w.clients[e.node])
		return
	}
	n := w.nodes[e.node]
	w.hash(uint64(e.at), uint64(e.kind), uint64(e.node), uint64(e.peer))
	if e.life != 0 && (e.life != n.life || !n.up) {
		return
	}
	switch e.kind {
	case evTimer:
		n.work(true)
		w.push(event{at: w.now + timerEvery, kind: evTimer, node: e.node, life: n.life})
	case evWork:
		if n.working {
			n.work(false)
		}
	case evFrame:
		w.hash(xxhash.Sum64(e.frame))
		w.onFrame(n, e)
	case evUp:
		w.trace("node %d: up %d (session %d)", e.node, e.peer, e.session)
		w.onUp(n, e)
	case evDown:
		w.trace("node %d: down %d (session %d)", e.node, e.peer, e.session)
		w.onDown(n, e)
	case evConnect:
		w.connect(n, w.nodes[e.peer])
	case evSync:
		n.disk.sync()
		w.push(event{at: w.now + w.cfg.syncs, kind: evSync, node: e.node, life: n.life})
	case evBoot:
		w.bootAgain(n)
	case evFault:
		w.fault()
	case evJoin:
		w.join(n)
	case evAmbush:
		w.ambush(n, w.nodes[e.peer])
	case evVanish:
		w.vanish()
	case evTrim:
		w.trim()
	case evBackup:
		w.copyDisk()
	case evJudge:
		n.take(input{kind: evJudge})
	case evClock:
		w.setClock(n, 0)
	}
}
