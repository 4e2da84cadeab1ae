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
