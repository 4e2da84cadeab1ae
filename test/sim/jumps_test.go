package sim

import (
	"testing"

	"shoal/wire"
)

// Others coordinated while the first owner's clock was off, and one copy has not reached it. When it is right again its
// next write must not stay beside theirs: nothing was concurrent.
func TestWhoIsRightAgainHasPulledBeforeItWrites(t *testing.T) { rightAgain(t) }

func rightAgain(t testing.TB) {
	h := newHistory(t, func(c *Config) { c.wild = true }) // a frame is lost and its connection stays
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	h.do(a, wire.OpSet)
	h.setClock(h.nodes[a], hour)
	h.advance(h.now + noticed + 50)
	if !h.nodes[a].off {
		t.Fatal("the node has not found out")
	}
	h.lost(a, wire.ItemWrite)
	h.do(c, wire.OpSet)
	h.lose = nil
	if at := h.lives[h.facts(1).dot.Actor].node; at != b {
		t.Fatalf("node %d has coordinated", at)
	}
	h.setClock(h.nodes[a], 0)
	h.advance(h.now + noticed + 50)
	h.do(a, wire.OpSet)
	if r := h.do(b, wire.OpVGet); len(r.result.Siblings) != 1 {
		t.Fatalf("not one version: %d", len(r.result.Siblings))
	}
}

// facts is what was written as the n-th.
func (h *history) facts(n int) *fact { return h.oracle.facts[n] }

// Until a node has compared its clock it coordinates with it: versions by an hlc that is an hour ahead, then by one that is
// an hour behind. What comes later replaces what came before all the same, everywhere.
func TestALaterWriteWinsWhateverItsClock(t *testing.T) {
	h := newHistory(t, nil)
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	for _, drift := range []int64{hour, -hour, 0, -hour, hour} {
		h.setClock(h.nodes[a], drift)
		h.heap.drop(evJudge)
		first := h.do(a, wire.OpSet)
		if f := h.oracle.facts[len(h.oracle.facts)-1]; f.op != first || h.lives[f.dot.Actor].node != a {
			t.Fatal("another node has coordinated")
		}
		h.do(a, wire.OpDel)
		for _, at := range []int{a, b, c} {
			if r := h.do(at, wire.OpGet); r.result.Found {
				t.Fatalf("node %d shows %q after it was deleted", at, r.result.Value)
			}
		}
		last := h.do(b, wire.OpSet)
		for _, at := range []int{a, b, c} {
			if r := h.do(at, wire.OpVGet); len(r.result.Siblings) != 1 || string(r.result.Siblings[0].Value) != last.value {
				t.Fatalf("node %d shows %v", at, r.result.Siblings)
			}
		}
	}
}
