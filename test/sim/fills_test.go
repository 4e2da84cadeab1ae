package sim

import (
	"testing"

	"shoal/causal"
	"shoal/wire"
)

// Histories of refill. A read's answer that comes after reaping is TestAReadAnswerMayComeAfterReaping; frames of two answers
// to one pull cannot be mixed, since an answer is one message.

func everyActor(causal.Actor) bool { return true }

// losesDisk ends a disk and lets the newcomer boot and take the old one's place.
func (h *history) losesDisk(at int) {
	n := h.nodes[at]
	left := newState(h.cfg.q)
	h.oracle.loses(n, left)
	h.stop(n, left)
	h.renewIdentity(n)
	h.heap.drop(evBoot)
	h.advance(h.now + 20) // the others see it gone
	h.bootAgain(n)
}

// Two sides of a cut trim what the other lacks: after it each is behind the other, and all become whole and equal.
func TestTwoCapTrimsOnBothSidesOfACut(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.every, c.ranges, c.strict = 300, 1, false })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.do(a, wire.OpSet)
	h.advance(h.now + 500)
	h.part(a, b, 1000)
	h.part(a, c, 1000)
	alone := h.begin(a, wire.OpSet) // refused: a cannot reach another owner
	h.do(b, wire.OpSet)
	h.advance(h.now + 100)
	if !alone.done {
		t.Fatal("no answer")
	}
	for _, n := range []int{a, b, c} {
		h.trimAt(h.nodes[n], 0, everyActor)
	}
	h.advance(h.now + 1000)
	h.rest()
	h.holds()
	if h.stats.fills == 0 {
		t.Fatal("nobody was filled")
	}
	h.lastLook()
	h.holds()
}

// A copy that its coordinator could not confirm, trimmed there, is on nobody else: that is no obstacle for a fill.
func TestACapTrimOfAnUnconfirmedWrite(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.every, c.ranges = 300, 1 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.do(a, wire.OpSet)
	h.advance(h.now + 500)
	h.lost(b, wire.ItemWrite, wire.ItemPulled)
	h.lost(c, wire.ItemWrite, wire.ItemPulled)
	h.begin(a, wire.OpSet)
	h.advance(h.now + 1100)
	h.trimAt(h.nodes[a], 0, everyActor)
	h.lose = nil
	h.advance(h.now + 1000)
	h.rest()
	h.lastLook()
	h.holds()
}

// The log may be trimmed between the pieces of a pull: an answer that was cut short, a trim, and the next question.
func TestACapTrimInsideAPull(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.every, c.ranges, c.entries, c.keys = 400, 1, 1, 3 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.part(b, c, 4000)
	h.part(a, c, 500)
	for _, key := range h.keys {
		h.doKey(a, wire.OpSet, key)
	}
	trimmed := false
	h.lose = func(from, to int, frame []byte) bool {
		_, items, err := wire.DecodeFrame(frame)
		if err != nil {
			t.Fatal(err)
		}
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemPulled && from == a && to == c && len(it.Entries) > 0 && !trimmed {
				trimmed = true
				h.trimAt(h.nodes[a], 0, everyActor)
			}
		}
		return false
	}
	h.advance(h.now + 3000)
	if !trimmed {
		t.Fatal("there was no second piece")
	}
	for _, key := range h.keys {
		if r := h.doKey(c, wire.OpGet, key); !r.result.Found {
			t.Fatalf("%s is gone", key)
		}
	}
	h.advance(h.now + 2000)
	h.rest()
	h.lastLook()
	h.holds()
}

func (h *history) doKey(at int, code wire.Code, key string) *operation {
	was := h.keys[0]
	h.keys[0] = key
	defer func() { h.keys[0] = was }()
	return h.do(at, code)
}

// The source changes a row that was read, between two ranges: the clock that is taken over must not claim the change.
func TestTheSourceGoesOnBetweenTwoRanges(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.every, c.ranges, c.keys = 400, 1, 3 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	for _, key := range h.keys {
		h.doKey(a, wire.OpSet, key)
	}
	h.advance(h.now + 500)
	first := h.inOrder(0)[0]
	var late *operation
	h.lose = func(from, to int, frame []byte) bool {
		_, items, _ := wire.DecodeFrame(frame)
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemFill && it.Digest == 1 && late == nil {
				late = h.newOp(wire.OpSet, first)
				late.node, late.begun = a, h.now
				h.nodes[a].take(input{kind: evClient, ops: []*operation{late}})
			}
		}
		return false
	}
	h.losesDisk(c)
	h.advance(h.now + 3000)
	if late == nil || !late.done || late.status != wire.OK {
		t.Fatal("not written between two ranges")
	}
	h.rest()
	h.part(a, c, 2000) // what c shows now is its own and b's
	h.part(a, b, 2000)
	if r := h.doKey(c, wire.OpGet, first); string(r.result.Value) != late.value {
		t.Fatalf("%q instead of %q", r.result.Value, late.value)
	}
	h.advance(h.now + 3000)
	h.rest()
	h.holds()
}

// The source reboots between two ranges and has lost its tail: what its first clock claimed is no longer in its rows.
func TestTheSourceIsRebornBetweenTwoRanges(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.every, c.ranges, c.keys = 400, 1, 3 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	for _, key := range h.keys {
		h.doKey(a, wire.OpSet, key)
	}
	h.advance(h.now + 500)
	for _, n := range h.nodes {
		n.disk.sync()
	}
	last := h.inOrder(0)[2]
	h.lost(c, wire.ItemWrite)
	write := h.doKey(a, wire.OpSet, last) // on a, not synced, and on b
	h.nodes[b].disk.sync()
	h.lose = nil
	crashed := false
	h.lose = func(from, to int, frame []byte) bool {
		_, items, _ := wire.DecodeFrame(frame)
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemFilled && it.Digest == 0 && from == a && !crashed {
				crashed = true
				h.push(event{at: h.now + 3, kind: evClient, node: -1})
			}
		}
		return false
	}
	h.losesDisk(c)
	h.part(b, c, 1500) // so that it is a which is asked
	for limit := h.now + 3000; !crashed && h.now < limit; {
		h.advanceTo(a, &crashed)
	}
	if !crashed {
		t.Fatal("no range was read")
	}
	h.advance(h.now + 4000)
	h.rest()
	if r := h.doKey(c, wire.OpGet, last); string(r.result.Value) != write.value {
		t.Fatalf("%q instead of %q", r.result.Value, write.value)
	}
	h.holds()
}

// advanceTo lets a ms pass, and crashes the node with the loss of its tail once it is time.
func (h *history) advanceTo(at int, due *bool) {
	h.heap.drop(evClient)
	h.advance(h.now + 1)
	h.heap.drop(evClient)
	if *due {
		h.crash(at, true)
	}
}

// A newcomer under the name of a node whose disk is lost takes its places, and nothing that was acknowledged is missing.
func TestALostDiskIsReplaced(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.every, c.ranges, c.keys = 400, 2, 3 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.lost(c, wire.ItemWrite, wire.ItemPulled)
	for _, key := range h.keys {
		h.doKey(a, wire.OpSet, key) // on a and b
	}
	h.advance(h.now + 300)
	before := h.newest()
	h.losesDisk(b)
	h.lose = nil
	h.advance(h.now + 3000)
	h.rest()
	m := h.newest()
	if m.Epoch != before.Epoch+1 || m.Position(0, h.nodes[b].id) != before.Position(0, before.OwnersOf(0)[1]) {
		t.Fatalf("epoch %d, owners %v", m.Epoch, m.OwnersOf(0))
	}
	for _, key := range h.keys {
		if r := h.doKey(b, wire.OpGet, key); !r.result.Found {
			t.Fatalf("%s is gone", key)
		}
	}
	h.holds()
}

// A disk that was put back holds a value whose deletion was reaped everywhere: neither a read nor a write through its node
// brings it back.
func TestARestoredBackupShowsNoDeletedValue(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.every, c.ranges = 1<<30, 1 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.do(b, wire.OpSet)
	h.advance(h.now + 50)
	h.nodes[a].disk.sync()
	old := h.nodes[a].disk.synced.clone()
	h.do(b, wire.OpDel)
	h.advance(h.now + 50)
	for _, n := range h.nodes {
		n.disk.sync()
	}
	h.reapAll()
	h.lost(a, wire.ItemPulled) // it does not learn yet how far it went back
	h.oracle.loses(h.nodes[a], old)
	h.stop(h.nodes[a], old)
	h.nodes[a].lostTail = true
	h.heap.drop(evBoot)
	h.bootAgain(h.nodes[a])
	h.advance(h.now + 300)
	for _, at := range []int{a, b, c} {
		if r := h.do(at, wire.OpGet); r.result.Found {
			t.Fatalf("node %d shows %q", at, r.result.Value)
		}
	}
	if r := h.do(a, wire.OpExpire); r.result.Int != 0 {
		t.Fatal("a deleted value got an expiry")
	}
	h.lose = nil
	h.part(a, b, 10)
	h.advance(h.now + 4000)
	h.rest()
	h.holds()
	if h.stats.fills == 0 {
		t.Fatal("it was not filled")
	}
}

// readWhileFilling: one owner has a value and is away, one missed it, and one is being filled. It returns what the client of
// a strict read is told, and the check that broke.
func readWhileFilling(t *testing.T) (*operation, *Failure) {
	h := newHistory(t, func(c *Config) { c.every, c.ranges = 400, 1 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.lost(c, wire.ItemWrite, wire.ItemPulled)
	h.do(a, wire.OpSet) // on a and b
	h.advance(h.now + 50)
	for _, n := range h.nodes {
		n.disk.sync()
	}
	h.lost(b, wire.ItemFilled)
	h.losesDisk(b)
	h.advance(h.now + 2500)
	if r := h.nodes[b].disk.live[0]; r == nil || !r.Filling {
		t.Fatal("b is not being filled")
	}
	h.crash(a, false)
	h.heap.drop(evBoot)
	h.advance(h.now + 1500)
	read := h.begin(c, wire.OpVGet)
	h.advance(h.now + 1500)
	return read, h.broken
}

func TestAFillingReplicaAnswersNoRead(t *testing.T) {
	read, broken := readWhileFilling(t)
	if broken != nil || !read.done || read.status != wire.ClusterDown {
		t.Fatalf("%v, status %d", broken, read.status)
	}
}

// A source that is whole ends a fill, and yet may lack what was acknowledged without it: before the replica counts it must
// have pulled from enough others.
func TestAFilledReplicaPullsBeforeItCounts(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.every, c.ranges = 400, 1 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.lost(c, wire.ItemWrite, wire.ItemPulled)
	h.do(a, wire.OpSet) // on a and b
	h.advance(h.now + 50)
	h.losesDisk(b)
	h.part(a, b, 4000) // c is the source
	h.advance(h.now + 2500)
	if r := h.nodes[b].disk.live[0]; r == nil || r.Filling {
		t.Fatal("b was not filled")
	}
	if h.nodes[b].puller.Whole(0) {
		t.Fatal("b counts")
	}
	h.part(a, c, 1500)
	read := h.begin(c, wire.OpVGet)
	h.advance(h.now + 1100)
	h.holds()
	if read.status != wire.ClusterDown {
		t.Fatalf("status %d", read.status)
	}
	h.lose = nil
	h.advance(h.now + 2000)
	h.rest()
	h.lastLook()
	h.holds()
}
