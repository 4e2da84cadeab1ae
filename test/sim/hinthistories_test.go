package sim

import (
	"slices"
	"testing"

	"shoal/wire"
)

// newSloppy is a world of three owners and one node that stands in; the partition's first owner can reach only that one
// for some seconds, and has written a value there.
func newSloppy(t *testing.T) (h *history, f int) {
	h = newHistory(t, func(c *Config) {
		c.strict, c.members, c.hintMax, c.hintLate = false, 4, 1<<20, 500
	})
	for i := range h.nodes {
		if !slices.Contains(h.ownersOf(h.keys[0]), h.nodes[i]) {
			f = i
		}
	}
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.part(a, b, 1000)
	h.part(a, c, 1000)
	return h, f
}

func (h *history) holdsHint(at int) bool { return len(h.nodes[at].disk.live.hints()) > 0 }

// A hint is the only copy once its coordinator has lost the write, and reaches the owners that are up at once; the
// coordinator gets it back when it boots.
func TestAHintIsAPlace(t *testing.T) {
	h, f := newSloppy(t)
	a, b := h.owner(0), h.owner(1)
	h.do(a, wire.OpSet)
	h.crash(a, true)
	if h.nodes[a].disk.live[0].rows[h.keys[0]].Versions != nil || !h.holdsHint(f) {
		t.Fatal("the world is not as it should be")
	}
	h.heap.drop(evBoot)
	h.advance(h.now + 100)
	if r := h.do(b, wire.OpGet); !r.result.Found {
		t.Fatal("the hint has not been handed over")
	}
	h.advance(h.now + 1100)
	h.bootAgain(h.nodes[a])
	for h.nodes[f].session[a] == 0 || h.nodes[a].session[f] == 0 {
		h.advance(h.now + 1)
	}
	h.advance(h.now + 60)
	if h.nodes[a].disk.live[0].rows[h.keys[0]].Versions == nil {
		t.Fatal("an owner that boots is told of hints at once")
	}
	h.advance(h.now + 3000)
	if !h.holdsHint(f) {
		t.Fatal("deleted, and nobody has synced")
	}
	for _, n := range h.nodes {
		n.disk.sync()
	}
	h.advance(h.now + 3000)
	h.holds()
	if h.holdsHint(f) {
		t.Fatal("all owners have it durably, and it is kept")
	}
}

// An owner that is cut off alone and cannot be handed anything holds the hint back, whatever the others have.
func TestAHintWaitsForTheLastOwner(t *testing.T) {
	h, f := newSloppy(t)
	a, c := h.owner(0), h.owner(2)
	h.do(a, wire.OpSet)
	h.part(f, c, 20_000)
	h.part(h.owner(1), c, 20_000)
	h.part(a, c, 20_000)
	for range 10 {
		h.advance(h.now + 1000)
		for _, n := range h.nodes {
			n.disk.sync()
		}
	}
	if !h.holdsHint(f) {
		t.Fatal("deleted without the third owner")
	}
	h.advance(h.now + 15_000)
	h.nodes[c].disk.sync()
	h.advance(h.now + 8000)
	h.holds()
	if h.holdsHint(f) {
		t.Fatal("kept for ever")
	}
}

// A hint that is handed over long after its value was deleted, and the delete reaped everywhere, is a late message.
func TestAHintMayComeAfterReaping(t *testing.T) {
	h, f := newSloppy(t)
	a := h.owner(0)
	late := 0
	h.lose = func(from, to int, frame []byte) bool {
		_, items, err := wire.DecodeFrame(frame)
		if err != nil {
			t.Fatal(err)
		}
		if from != f || !slices.ContainsFunc(items, func(it wire.Item) bool { return it.Kind == wire.ItemWrite }) {
			return false
		}
		late++
		h.push(event{at: h.now + 6000, kind: evFrame, node: to, peer: from, session: h.nodes[from].session[to], frame: frame})
		return true
	}
	h.do(a, wire.OpSet)
	h.advance(h.now + 1500) // the owners meet again, and pull
	h.do(a, wire.OpDel)
	h.advance(h.now + 50)
	for _, n := range h.nodes {
		n.disk.sync()
	}
	h.reapAll()
	h.advance(h.now + 8000)
	h.holds()
	if late == 0 {
		t.Fatal("no hint was under way")
	}
	for _, n := range h.ownersOf(h.keys[0]) {
		if row := n.disk.live[0].rows[h.keys[0]]; !row.Empty() {
			t.Fatalf("node %d has taken a reaped value back: %s", n.index, h.oracle.names(row))
		}
	}
	if h.holdsHint(f) {
		t.Fatal("kept for ever")
	}
}
