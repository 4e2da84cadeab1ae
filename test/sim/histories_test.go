package sim

import (
	"slices"
	"testing"

	"shoal/wire"
)

// Histories that random search meets rarely or never. Each is a world without an adversary of its own: the test is it.
// All checks of the oracle run as in any world.

type history struct {
	*World
	t testing.TB
}

func newHistory(t testing.TB, change func(*Config)) *history {
	cfg := Config{
		n: 3, r: 2, w: 2, q: 1, members: 3, keys: 1, strict: true, faults: true, contexts: true, latency: 1, entries: 1000,
		every: 1 << 40, reapEvery: 1 << 40, closeAfter: 1 << 40, hedge: 1 << 40, syncs: 1 << 30, timeout: 1000, pause: 1, storm: calm,
	}
	if change != nil {
		change(&cfg)
	}
	h := &history{build(1, newRandom(1), cfg, nil), t}
	h.verbose = func(line string) { t.Log(line) }
	h.advance(400) // connected, and pulled once
	return h
}

// first, second and third are the nodes in the order of the only partition's owners.
func (h *history) owner(i int) int { return h.ownersOf(h.keys[0])[i].index }

// begin starts an operation on the only key.
func (h *history) begin(at int, code wire.Code) *operation {
	op := h.newOp(code, h.keys[0])
	if code == wire.OpFlush {
		op.key, h.flushing = "", op
	}
	op.node, op.begun = at, h.now
	h.trace("node %d op %d %s", at, op.id, codeName(code))
	h.nodes[at].take(input{kind: evClient, ops: []*operation{op}})
	return op
}

func (h *history) do(at int, code wire.Code) *operation {
	h.advance(h.now + 1)
	op := h.begin(at, code)
	for limit := h.now + 3000; !op.done && h.now < limit && h.broken == nil; {
		h.advance(h.now + 1)
	}
	h.holds()
	if op.status != wire.OK {
		h.t.Fatalf("op %d %s: status %d %s", op.id, codeName(code), op.status, op.result.Err)
	}
	return op
}

func (h *history) holds() {
	h.t.Helper()
	if h.broken != nil {
		h.t.Fatal(h.broken)
	}
}

// slow holds back what one node sends to another for so many ms.
func (h *history) slow(from, to int, ms int64) {
	l, dir := h.link(from, to)
	l.stall[dir] = h.now + ms
}

// part takes the connection between two nodes down until now + ms.
func (h *history) part(a, b int, ms int64) {
	l, _ := h.link(a, b)
	l.cut = [2]int64{h.now + ms, h.now + ms}
	h.disconnect(h.nodes[a], h.nodes[b], 0)
	h.disconnect(h.nodes[b], h.nodes[a], 0)
	h.advance(h.now + 5)
}

func (h *history) crash(at int, lose bool) {
	n := h.nodes[at]
	if lose {
		left := n.disk.afterLoss(0)
		h.oracle.loses(n, left)
		h.stop(n, left)
	} else {
		h.stop(n, nil)
	}
}

// lost drops every frame to one node that has an item of these kinds.
func (h *history) lost(to int, kinds ...wire.Kind) {
	before := h.lose
	h.lose = func(f, t int, frame []byte) bool {
		return to == t && h.carries(frame, kinds...) || before != nil && before(f, t, frame)
	}
}

// carries reports whether a frame has an item of these kinds.
func (h *history) carries(frame []byte, kinds ...wire.Kind) bool {
	_, items, err := wire.DecodeFrame(frame)
	if err != nil {
		h.t.Fatal(err)
	}
	return slices.ContainsFunc(items, func(it wire.Item) bool { return slices.Contains(kinds, it.Kind) })
}

// A flush drops everywhere what it had seen, also where its coordinator never had a row for the key: no vector can say
// there that the value is gone. Only a reader that is told of the flush itself leaves it out.
func TestReaderIsToldOfAFlush(t *testing.T) {
	h := newHistory(t, nil)
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.lost(a, wire.ItemPulled)
	h.lost(c, wire.ItemPulled)
	h.part(a, b, 300)
	h.part(a, c, 300)
	h.do(b, wire.OpSet)
	h.advance(h.now + 900) // b and c have the value; a, connected again, has no row
	h.lost(c, wire.ItemFlush)
	h.do(a, wire.OpFlush)
	h.do(c, wire.OpGet)
}

// A node numbers its questions from the start after a boot. What its earlier incarnation had asked must not be answered
// in the new connection, or a client would be told OK for a write that was never made.
func TestAnswersToAnEarlierIncarnationAreNotSent(t *testing.T) {
	h := newHistory(t, nil)
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.lost(b, wire.ItemWrite) // the first write waits at a for its second copy
	h.lost(c, wire.ItemWrite)
	old := h.begin(b, wire.OpSet)
	old.client = h.clients0()
	h.advance(h.now + 20)
	h.crash(b, false)
	h.advance(h.now + 1)
	h.bootAgain(h.nodes[b])
	h.lost(a, wire.ItemOp) // the new incarnation's first question does not arrive
	for h.nodes[b].session[a] == 0 {
		h.advance(h.now + 1)
	}
	fresh := h.begin(b, wire.OpSet)
	h.advance(h.now + 975) // the first write's time is over, the second's not yet
	if fresh.done {
		t.Fatalf("answered with status %d although its question was lost", fresh.status)
	}
	h.holds()
}

// clients0 is a client that stops after its operation.
func (h *history) clients0() *client { return &client{waiting: 2} }

// A replica that lost its tail is not whole by pulling from another that lost its tail (W=3, R=1: one place may be
// enough for a read, and two may be lost).
func TestTwoThatLostTheirTailsDoNotMakeEachOtherWhole(t *testing.T) { twoLostTails(t) }

func twoLostTails(t testing.TB) {
	h := newHistory(t, func(c *Config) { c.r, c.w = 1, 3 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.do(a, wire.OpSet)
	h.crash(c, false) // it has the value, and is away
	for _, n := range []int{a, b} {
		h.crash(n, true)
		h.bootAgain(h.nodes[n])
	}
	h.heap.drop(evBoot)
	h.advance(h.now + 3000)
	if h.nodes[a].allWhole() || h.nodes[b].allWhole() {
		t.Fatal("whole without the only place that has the value")
	}
	h.bootAgain(h.nodes[c])
	h.advance(h.now + 3000)
	if r := h.do(a, wire.OpGet); !r.result.Found {
		t.Fatal("the value is gone")
	}
}

// drop forgets planned events of a kind.
func (h *heap) drop(kind eventKind) {
	h.list = slices.DeleteFunc(h.list, func(e event) bool { return e.kind == kind })
	list := h.list
	h.list = nil
	for _, e := range list {
		h.push(e)
	}
}

// A clock that is a second behind the others' (within the bound of 500 ms to both sides of the rest, so nobody is
// passed over) must not make every operation that its node forwards look late.
func TestForwardingWithClocksASecondApart(t *testing.T) {
	h := newHistory(t, nil)
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.nodes[a].offset, h.nodes[c].offset = 500, -700
	h.part(a, c, 10)
	h.part(a, b, 10)
	h.advance(h.now + 1000)
	h.do(c, wire.OpSet)
	h.do(b, wire.OpGet)
}

// The answer to a read is a late message too: a value that was deleted and reaped meanwhile is neither shown nor taken.
func TestAReadAnswerMayComeAfterReaping(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.wild = true }) // later frames overtake the answer
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.lost(c, wire.ItemWrite)
	h.lost(b, wire.ItemRead) // a is the only one that answers
	h.do(a, wire.OpSet)
	h.advance(h.now + 50)
	h.slow(a, c, 900)
	read := h.begin(c, wire.OpGet)
	h.untilSent(a, c)
	h.slow(a, c, 0)
	h.do(b, wire.OpDel)
	h.reapAll()
	h.reapAll() // c has pulled the tombstone by now, and its disk has it
	if h.rows() != 0 || read.done {
		t.Fatalf("%d rows, read: %v", h.rows(), read.done)
	}
	h.advance(h.now + 900)
	if !read.done {
		t.Fatal("no answer")
	}
	h.holds()
	if r := h.do(c, wire.OpGet); r.result.Found {
		t.Fatalf("a deleted value is back: %q", r.result.Value)
	}
}

// untilSent waits until a frame from one node to another is under way.
func (h *history) untilSent(from, to int) {
	h.t.Helper()
	sent := func(e event) bool { return e.kind == evFrame && e.peer == from && e.node == to && e.at > h.now+100 }
	for limit := h.now + 300; !slices.ContainsFunc(h.heap.list, sent); h.advance(h.now + 1) {
		if h.now > limit {
			h.t.Fatal("nothing was sent")
		}
	}
}

// syncAll makes durable what every node has.
func (h *history) syncAll() {
	for _, n := range h.nodes {
		n.disk.sync()
	}
}

// pullAll lets every node pull from every other that it is connected with.
func (h *history) pullAll() {
	for _, n := range h.nodes {
		for peer, s := range n.session {
			if s != 0 {
				n.puller.Up(n.now(), h.nodes[peer].id)
			}
		}
	}
	h.advance(h.now + 100)
	h.holds()
}

// reapAll lets every owner hear of the others' durable clocks, and reap by them.
func (h *history) reapAll() {
	h.t.Helper()
	h.syncAll()
	h.pullAll()
	for _, n := range h.nodes {
		n.reaper.Install(n.now(), n.disk.ring) // look now
	}
	h.advance(h.now + 100)
	h.holds()
}

// rows counts the rows of the only key.
func (h *history) rows() (n int) {
	for _, x := range h.nodes {
		n += len(x.disk.live[0].rows)
	}
	return n
}

// A value that only its coordinator holds is not shown before another owner has it: the coordinator may go, and the
// value would be unshown.
func TestAValueOfOneOwnerIsNotShown(t *testing.T) {
	h := newHistory(t, nil)
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.lost(b, wire.ItemWrite)
	h.lost(c, wire.ItemWrite)
	h.begin(a, wire.OpSet)
	h.advance(h.now + 10)
	read := h.begin(a, wire.OpVGet)
	h.advance(h.now + 900)
	if read.done {
		t.Fatalf("status %d, and the value stands on one owner", read.status)
	}
	h.holds()
}

// What a flush dropped leaves its coordinator in answers to reads before the flush itself is anywhere else. Were it lost
// then, replicas would differ for ever, with equal clocks. (Random search met this once in 5 million histories.)
func TestAFlushSurvivesThePowerCutOfItsCoordinator(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.every = 500 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.do(a, wire.OpSet)
	h.advance(h.now + 50)
	for _, n := range h.nodes {
		n.disk.sync()
	}
	for _, to := range []int{b, c} {
		h.lost(to, wire.ItemFlush)
		h.lost(to, wire.ItemPulled)
	}
	h.begin(a, wire.OpFlush)
	h.advance(h.now + 20)
	if r := h.do(b, wire.OpGet); r.result.Found {
		t.Fatal("b was not told")
	}
	h.crash(a, true)
	h.lose = nil
	h.advance(h.now + 3000)
	h.rest()
	h.holds()
}
