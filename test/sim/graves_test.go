package sim

import (
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// Histories of what lives that ended leave behind, and of what is forgotten: random search rarely meets them. The same
// functions run with the planted bugs that they are there for (planted_test.go).

func TestWhatAnotherOwnerHoldsIsNotVoid(t *testing.T)            { heldElsewhere(t) }
func TestAnOwnerThatLacksADotDoesNotClose(t *testing.T)          { closedBehind(t) }
func TestAFrameOfAnEarlierBootAfterAClosing(t *testing.T)        { lateFrame(t) }
func TestWhatAnEarlierBootOfAnotherToldIsWaitedFor(t *testing.T) { toldAndLost(t) }
func TestADotThatOnlyAVectorNamesIsClosed(t *testing.T)          { onlyNamed(t) }
func TestAComparisonAnswersAfterReaping(t *testing.T)            { lateComparison(t) }
func TestATombstoneWaitsForAVersionOnItsWay(t *testing.T)        { lateVersion(t) }

func TestARobbedVectorIsPutBack(t *testing.T) { robbedVector(t) }

// robbedVector: a row loses what its vector knew of others. Versions are the same everywhere, and only a hash that has the
// vector in it tells; while nothing is forgotten no horizon covers it.
func robbedVector(t testing.TB) {
	h := newHistory(t, func(c *Config) { c.compares = 300 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.do(a, wire.OpSet)
	h.advance(h.now + 100)
	h.part(a, b, 400)
	h.part(a, c, 400)
	h.do(b, wire.OpSet)
	h.advance(h.now + 1000)
	h.syncAll()
	key, disk := h.keys[0], h.nodes[c].disk
	row := disk.live[0].rows[key]
	vector := ownVector(row)
	if len(vector) == len(row.Vector) || !h.oracle.sameVectors(key) {
		t.Fatal("nothing to take away")
	}
	disk.do(change{kind: changePut, key: key, row: causal.Container{Versions: row.Versions, Vector: vector}})
	disk.sync()
	h.advance(h.now + 3000)
	h.holds()
	if !h.oracle.sameVectors(key) {
		t.Fatal("the vector is not back")
	}
}

// grave is a world of two keys that forgets and closes quickly, without timers of its own but those.
func grave(t testing.TB, change func(*Config)) *history {
	return newHistory(t, func(c *Config) {
		c.keys, c.every, c.reapEvery, c.closeAfter, c.wild = 2, 300, 100, 100, true
		if change != nil {
			change(c)
		}
	})
}

// put writes to one of the keys and waits for the answer, if there is to be one.
func (h *history) put(at, key int, wait bool) *operation {
	h.advance(h.now + 1)
	op := h.newOp(wire.OpSet, h.keys[key])
	op.node, op.begun = at, h.now
	h.trace("node %d op %d SET %s", at, op.id, op.key)
	h.nodes[at].take(input{kind: evClient, ops: []*operation{op}})
	h.advance(h.now + 20)
	if h.holds(); wait && op.status != wire.OK {
		h.t.Fatalf("op %d: status %d %s", op.id, op.status, op.result.Err)
	}
	return op
}

// losing runs something while frames between nodes that carry a kind are lost.
func (h *history) losing(lost func(from, to int, kind wire.Kind) bool, run func()) {
	before := h.lose
	h.lose = func(from, to int, frame []byte) bool {
		_, items, err := wire.DecodeFrame(frame)
		if err != nil {
			h.t.Fatal(err)
		}
		return slices.ContainsFunc(items, func(it wire.Item) bool { return lost(from, to, it.Kind) })
	}
	run()
	h.lose = before
}

// settles proves that everything is forgotten in the end, and nothing lost.
func (h *history) settles() {
	for range 60 {
		h.syncAll()
		h.advance(h.now + 200)
		h.holds()
	}
	h.rest()
	h.holds()
	if what := h.oracle.heldBack(h.now + epochMs + 100_000); what != "" {
		h.t.Fatal("held back: " + what)
	}
}

// A value that one other owner took, and that is missing here, must not be declared void.
func heldElsewhere(t testing.TB) {
	h := grave(t, nil)
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.losing(func(_, to int, k wire.Kind) bool { return to == c && k == wire.ItemWrite }, func() { h.put(a, 0, true) })
	pulled := func(to int, k wire.Kind) bool { return to != b && k == wire.ItemPulled }
	h.losing(func(_, to int, k wire.Kind) bool { return pulled(to, k) || to == b && k == wire.ItemWrite }, func() { h.put(a, 1, true) })
	h.losing(func(_, to int, k wire.Kind) bool { return pulled(to, k) }, func() {
		h.crash(a, true)
		h.advance(h.now + 700)
		h.bootAgain(h.nodes[a])
		h.advance(h.now + 1200) // c asks what became of its hole
	})
	h.settles()
}

// An owner that lacks a dot which exists must not close over it.
func closedBehind(t testing.TB) {
	h := grave(t, nil)
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.losing(func(_, to int, k wire.Kind) bool { return to == c && (k == wire.ItemWrite || k == wire.ItemPulled) }, func() {
		h.put(a, 0, true)
		h.losing(func(_, to int, k wire.Kind) bool {
			return k == wire.ItemWrite || to == c && k == wire.ItemPulled || to == b && k == wire.ItemPulled
		}, func() { h.put(a, 1, false) }) // nobody takes the second one
		h.put(a, 1, true)
		h.crash(a, true)
		h.advance(h.now + 700)
		h.bootAgain(h.nodes[a])
		h.advance(h.now + 1200)
	})
	h.settles()
}

// A write that died with its coordinator arrives at one owner, in a connection that has outlived it, after it was closed:
// its vector says that it replaced a value which is safe.
func lateFrame(t testing.TB) {
	h := grave(t, nil)
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.put(a, 0, true)
	h.advance(h.now + 100)
	h.slow(a, c, 4000)
	h.losing(func(_, to int, k wire.Kind) bool { return to == b && k == wire.ItemWrite }, func() { h.put(a, 0, false) })
	h.put(a, 1, true) // b has this one
	h.slow(a, c, 0)
	l, _ := h.link(a, c)
	h.crash(a, true)
	h.heap.list = slices.DeleteFunc(h.heap.list, func(e event) bool { return e.kind == evDown && e.node == c })
	h.heap.drop(evBoot) // and restore the order
	l.planned = true    // c does not notice
	h.advance(h.now + 700)
	h.bootAgain(h.nodes[a])
	h.advance(h.now + 4000)
	h.holds()
	l.planned = false
	h.disconnect(h.nodes[c], h.nodes[a], 0)
	h.mayConnect(h.nodes[a], h.nodes[c])
	h.settles()
}

// Two lives end. What the second had taken of the first, told, and lost, is still on its way to the third owner, which has
// not noticed: its word that it does not know the dot would be worth nothing.
func toldAndLost(t testing.TB) {
	h := grave(t, nil)
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.advance(h.now + 100)
	h.losing(func(_, to int, k wire.Kind) bool { return to == b && (k == wire.ItemWrite || k == wire.ItemPulled) }, func() { h.put(a, 0, true) })
	h.losing(func(_, to int, k wire.Kind) bool {
		return to == c && k == wire.ItemWrite || to == b && k == wire.ItemPulled
	}, func() { h.put(a, 1, true) })
	h.slow(c, b, 4000)
	h.writeBack(c, b)
	h.slow(c, b, 0)
	l, _ := h.link(b, c)
	l.planned = true
	h.crash(a, true)
	h.crash(c, true)
	h.heap.list = slices.DeleteFunc(h.heap.list, func(e event) bool { return e.kind == evDown && e.node == b && e.peer == c })
	h.heap.drop(evBoot)
	h.advance(h.now + 300)
	h.bootAgain(h.nodes[c])
	h.bootAgain(h.nodes[a])
	h.losing(func(_, to int, k wire.Kind) bool { return to == b && (k == wire.ItemClose || k == wire.ItemPulled) }, func() { h.advance(h.now + 4500) })
	l.planned = false
	h.disconnect(h.nodes[b], h.nodes[c], 0)
	h.mayConnect(h.nodes[b], h.nodes[c])
	h.settles()
}

// writeBack sends a copy of the first key's row, as a read does that has met an owner without it.
func (h *history) writeBack(from, to int) {
	n, key := h.nodes[from], []byte(h.keys[0])
	it := wire.Item{Kind: wire.ItemWrite, ID: 1 << 40, Slot: ring.SlotOf(key), Key: key, Life: n.disk.live[0].Life, Row: n.disk.live[0].rows[h.keys[0]]}
	if it.Row.Empty() {
		h.t.Fatal("there is no row")
	}
	wire.AppendFrames(nil, wire.Header{HLC: uint64(n.now()) << 16, Epoch: n.disk.ring.Epoch}, wire.Encoded{}, []wire.Item{it}, 1<<14, 0, func(frame []byte) {
		h.transmit(n, to, slices.Clone(frame))
	})
}

// A dot that no clock has is named by the vector of a tombstone alone.
func onlyNamed(t testing.TB) {
	h := grave(t, func(c *Config) { c.wild = false })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.losing(func(_, to int, k wire.Kind) bool { return to == b && k == wire.ItemWrite }, func() { h.put(a, 0, true) })
	h.crash(a, true)
	h.heap.drop(evBoot)
	h.advance(h.now + 1100)
	h.do(b, wire.OpDel)
	h.advance(h.now + 20)
	h.losing(func(_, to int, k wire.Kind) bool { return to == a && k == wire.ItemPulled }, func() {
		h.bootAgain(h.nodes[a])
		h.advance(h.now + 300)
		h.do(a, wire.OpGet) // brings the tombstone, not the dot of the value
		h.crash(b, true)
		h.crash(c, true)
		h.heap.drop(evBoot)
		h.advance(h.now + 100)
	})
	h.bootAgain(h.nodes[b])
	h.bootAgain(h.nodes[c])
	h.settles()
}

// The answer to a comparison is a late message: it was read before a deletion that was reaped here meanwhile.
func lateComparison(t testing.TB) {
	h := grave(t, func(c *Config) { c.keys, c.compares = 1, 400 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	held := false
	h.lose = func(from, to int, frame []byte) bool {
		_, items, _ := wire.DecodeFrame(frame)
		kind := func(k wire.Kind) bool {
			return slices.ContainsFunc(items, func(it wire.Item) bool { return it.Kind == k })
		}
		if from == a && to == c {
			h.slow(a, c, 0)
		}
		if from == a && to == c && kind(wire.ItemFetched) && !held {
			held = true
			h.slow(a, c, 1300)
		}
		return !held && to == c && (kind(wire.ItemWrite) || kind(wire.ItemPulled))
	}
	h.put(a, 0, true)
	for limit := h.now + 3000; !held && h.now < limit; {
		h.advance(h.now + 1)
	}
	h.do(b, wire.OpDel)
	h.reapAll()
	h.reapAll()
	if !held || h.rows() != 0 {
		h.t.Fatalf("asked: %v, %d rows", held, h.rows())
	}
	h.settles()
}

// A tombstone waits until no owner lacks a dot below it: it is what will drop a version that is still on its way.
func lateVersion(t testing.TB) {
	h := grave(t, func(c *Config) { c.keys = 1 })
	a, b := h.owner(0), h.owner(1)
	h.slow(a, b, 3000)
	h.put(a, 0, true) // at a and c; on its way to b
	h.slow(a, b, 0)
	h.losing(func(from, to int, k wire.Kind) bool { return to == b && k == wire.ItemPulled }, func() {
		h.do(a, wire.OpDel)
		for range 10 {
			h.syncAll()
			h.advance(h.now + 200)
		}
	})
	if h.rows() != 3 {
		h.t.Fatalf("%d rows while a version is on its way", h.rows())
	}
	h.advance(h.now + 2000)
	h.settles()
}
