package sim

import (
	"testing"

	"shoal/wire"
)

// damageAt makes a node's row of a key unreadable.
func (h *history) damageAt(at int, key string) {
	h.trace("DAMAGE key %s on node %d", key, at)
	h.nodes[at].disk.do(change{kind: changeDamage, key: key})
	h.nodes[at].disk.sync()
}

// With W=3 a value survives two damaged rows: two owners that both cannot read theirs must not tell each other that there
// is nothing, or what they write next deletes the third one.
func TestTwoDamagedRowsDoNotSpeakForTheThird(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.w, c.compares, c.keys = 3, 300, 2 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	key := h.keys[0]
	written := h.do(a, wire.OpSet)
	h.syncAll()
	h.part(a, c, 3000)
	h.part(b, c, 3000)
	h.damageAt(a, key)
	h.damageAt(b, key)
	h.advance(h.now + 2000) // a and b compare
	for _, at := range []int{a, b} {
		if d := h.nodes[at].disk.live[0]; !d.damaged[key] {
			t.Fatalf("node %d holds %s", at, h.oracle.names(d.rows[key]))
		}
	}
	h.advance(h.now + 5000)
	h.holds()
	for _, at := range []int{a, b, c} {
		if r := h.do(at, wire.OpGet); string(r.result.Value) != written.value {
			t.Fatalf("node %d shows %q", at, r.result.Value)
		}
	}
}

// Each of three owners has one damaged row, of another key, and cannot take in what the others write to it. What a
// comparison asks of the other owner is only what was written to the key itself, or they would wait for each other for ever.
func TestThreeDamagedRowsDoNotWaitForEachOther(t *testing.T) {
	h := newHistory(t, func(c *Config) { c.compares, c.keys, c.every = 300, 3, 300 })
	a, b, c := h.owner(0), h.owner(1), h.owner(2)
	for _, key := range h.keys {
		h.doKey(a, wire.OpSet, key)
	}
	h.advance(h.now + 400)
	h.syncAll()
	for i, at := range []int{a, b, c} {
		h.lost(at, wire.ItemFetched)
		h.damageAt(at, h.keys[i])
	}
	h.crash(a, false)
	h.heap.drop(evBoot)
	h.advance(h.now + 1300)
	values := []string{h.doKey(b, wire.OpSet, h.keys[0]).value} // on b and c
	h.bootAgain(h.nodes[a])
	h.advance(h.now + 1000)
	values = append(values, h.doKey(a, wire.OpSet, h.keys[1]).value) // on a and c
	values = append(values, h.doKey(a, wire.OpSet, h.keys[2]).value) // on a and b
	h.advance(h.now + 500)
	h.lose = nil
	h.advance(h.now + 8000)
	h.rest()
	for i, key := range h.keys {
		for _, at := range []int{a, b, c} {
			if h.nodes[at].disk.live[0].damaged[key] {
				t.Fatalf("%s is damaged on node %d", key, at)
			}
		}
		if r := h.doKey(c, wire.OpGet, key); string(r.result.Value) != values[i] {
			t.Fatalf("%s is %q instead of %q", key, r.result.Value, values[i])
		}
	}
	h.holds()
}
