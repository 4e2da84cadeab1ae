package ring

import (
	"bytes"
	"testing"
)

// Whatever is lost, doubled, reordered or crashes, with every member proposing a map of its own: no two nodes ever hold
// different maps of one epoch, and once the faults stop, every node comes to hold the newest.
func TestAgreementDecidesOneMapPerEpoch(t *testing.T) {
	seeds := 400
	if testing.Short() {
		seeds = 60
	}
	raced, epochs := 0, 0
	for seed := range seeds {
		w := newWorld(t, uint64(seed))
		for step := 0; step < 3000; step++ {
			w.step()
		}
		w.heal()
		raced += w.raced
		epochs += len(w.maps)
	}
	if epochs < 3*seeds || raced < epochs/4 { // else the run proves little
		t.Errorf("%d epochs in %d seeds, of which %d had rivals", epochs, seeds, raced)
	}
	t.Logf("%d epochs decided, %d with rival proposals", epochs, raced)
}

// world is a cluster under one seeded sequence of events.
type world struct {
	t      *testing.T
	seed   uint64
	random random
	now    int64
	nodes  []*testNode
	flight []flying
	maps   map[uint64][]byte          // epoch -> the one map
	wishes map[uint64]map[string]bool // epoch -> maps proposed
	raced  int
	joins  int
	faults faults
}

// faults are percentages, drawn per seed: a mix that is mild in one way and harsh in another finds more than an even
// one. Losing the news of decisions gives others time to decide otherwise, if they can.
type faults struct {
	loss, lossOfNews, double, crash, gossip int64
}

// calm is the end of all faults.
var calm = faults{gossip: 4}

func (w *world) drawFaults() {
	of := func(choices ...int64) int64 { return choices[w.random.below(int64(len(choices)))] }
	w.faults = faults{loss: of(2, 10, 30), lossOfNews: of(10, 95, 100), double: of(5, 40), crash: of(1, 4, 10), gossip: of(0, 1, 4)}
}

type flying struct {
	from, to NodeID
	frame    []byte
}

// testNode is a machine and its disk. Writes reach the disk in order, some time after they were asked for, and the
// effects that wait for them wait in queue.
type testNode struct {
	id      NodeID
	machine *Agreement
	newest  *Map // durable
	state   []byte
	queue   []AgreeEffects
	down    bool
}

func (n *testNode) do(e AgreeEffects) {
	if e.Persist != nil || len(e.Sends) > 0 || e.Decided != nil {
		n.queue = append(n.queue, e)
	}
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{
		t: t, seed: seed, random: random{seed ^ 0xabc}, now: 1000,
		maps: map[uint64][]byte{}, wishes: map[uint64]map[string]bool{},
	}
	w.drawFaults()
	size := 1 + int(seed%5)
	m := grown(t, 3, 4, size)
	for _, x := range m.Members {
		n := &testNode{id: x.ID, newest: m, state: AcceptorState{}.Append(nil)}
		w.nodes = append(w.nodes, n)
		w.boot(n)
	}
	return w
}

func (w *world) chance(percent int64) bool { return w.random.below(100) < percent }

func (w *world) some() *testNode { return w.nodes[w.random.below(int64(len(w.nodes)))] }

func (w *world) boot(n *testNode) {
	st, err := DecodeAcceptorState(n.state)
	if err != nil {
		w.t.Fatal(err)
	}
	n.down, n.queue = false, nil
	n.machine = NewAgreement(n.id, n.newest, st, w.random.next())
}

func (w *world) step() {
	w.now += w.random.below(4)
	n := w.some()
	switch kind := w.random.below(100); {
	case n.down:
		if w.chance(25) {
			w.boot(n)
		}
	case w.chance(w.faults.crash): // what was not yet written is lost
		n.down = true
	case w.chance(w.faults.gossip):
		w.gossip(n, w.some())
	case kind < 8 && w.faults != calm && len(n.newest.Members) < 9:
		w.propose(n)
	case kind < 14:
		n.do(n.machine.Tick(w.now))
	case kind < 50:
		w.flush(n)
	default:
		w.deliver()
	}
}

// propose has the node propose the joining of a node that nobody else knows of, or that such a node replaces a member.
func (w *world) propose(n *testNode) {
	w.joins++
	fresh := member(NodeID(mix(uint64(w.joins)+1000)), "", 1)
	next, err := n.newest.WithMember(fresh)
	if old := n.newest.Members[w.random.below(int64(len(n.newest.Members)))]; old.ID != n.id && w.chance(40) {
		fresh.Name = old.Name
		next, err = n.newest.WithReplacement(old.ID, fresh)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	effects, err := n.machine.Propose(w.now, next)
	if err != nil {
		return
	}
	if w.wishes[next.Epoch] == nil {
		w.wishes[next.Epoch] = map[string]bool{}
	}
	w.wishes[next.Epoch][string(next.Append(nil))] = true
	if len(w.wishes[next.Epoch]) == 2 {
		w.raced++
	}
	n.do(effects)
}

// flush performs the oldest effects of a node: first the disk, then the network, then the map.
func (w *world) flush(n *testNode) {
	if len(n.queue) == 0 {
		return
	}
	e := n.queue[0]
	n.queue = n.queue[1:]
	if e.Persist != nil {
		n.state = e.Persist.Append(nil)
	}
	if w.chance(w.faults.crash) {
		n.down = true
		return
	}
	for _, s := range e.Sends {
		if len(w.flight) == 300 { // a full network loses messages, too
			w.flight[w.random.below(300)] = w.flight[299]
			w.flight = w.flight[:299]
		}
		w.flight = append(w.flight, flying{n.id, s.To, s.Msg.Append(nil)})
	}
	if e.Decided != nil {
		w.hold(n, e.Decided)
	}
}

// hold makes the map durable at the node and checks it against everything seen before.
func (w *world) hold(n *testNode, m *Map) {
	b := m.Append(nil)
	if have, ok := w.maps[m.Epoch]; ok && !bytes.Equal(have, b) {
		w.t.Fatalf("seed %d: two maps of epoch %d", w.seed, m.Epoch)
	}
	if !w.wishes[m.Epoch][string(b)] {
		w.t.Fatalf("seed %d: nobody proposed the map of epoch %d", w.seed, m.Epoch)
	}
	w.maps[m.Epoch] = b
	if m.Epoch <= n.newest.Epoch {
		return
	}
	n.newest = m
	n.do(n.machine.Install(m))
	for _, x := range m.Members { // a newcomer starts with the map that lists it
		if w.find(x.ID) == nil {
			fresh := &testNode{id: x.ID, newest: m, state: AcceptorState{}.Append(nil)}
			w.nodes = append(w.nodes, fresh)
			w.boot(fresh)
		}
	}
}

func (w *world) find(id NodeID) *testNode {
	for _, n := range w.nodes {
		if n.id == id {
			return n
		}
	}
	return nil
}

func (w *world) gossip(a, b *testNode) {
	if !a.down && !b.down && a.newest.Epoch > b.newest.Epoch {
		w.hold(b, a.newest)
	}
}

func (w *world) deliver() {
	if len(w.flight) == 0 {
		return
	}
	i := w.random.below(int64(len(w.flight)))
	f := w.flight[i]
	if !w.chance(w.faults.double) { // else it stays and arrives again
		w.flight[i] = w.flight[len(w.flight)-1]
		w.flight = w.flight[:len(w.flight)-1]
	}
	msg, err := DecodeAgreeMsg(f.frame)
	if err != nil {
		w.t.Fatal(err)
	}
	loss := w.faults.loss
	if msg.Kind == AgreeDecided {
		loss = w.faults.lossOfNews
	}
	n := w.find(f.to)
	if n == nil || n.down || w.chance(loss) {
		return
	}
	n.do(n.machine.Step(w.now, f.from, msg))
}

// heal stops the faults and waits until the last proposals have come to an end.
func (w *world) heal() {
	w.faults = calm
	for range 400 {
		for range 200 {
			w.step()
		}
		if w.settled() {
			return
		}
	}
	w.t.Fatalf("seed %d: still proposing long after the last fault", w.seed)
}

func (w *world) settled() bool {
	for _, n := range w.nodes {
		if n.down || n.machine.Proposing() || n.newest.Epoch != w.nodes[0].newest.Epoch {
			return false
		}
	}
	return true
}
