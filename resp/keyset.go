package resp

import (
	"bytes"
	"hash/maphash"

	"shoal/wire"
)

// keySet tells whether a key is in the running vector: open addressing over indexes into ops, emptied by moving to a
// new generation.
type keySet struct {
	slots []keySlot
	gen   uint32
	n     int
}

type keySlot struct {
	gen  uint32
	hash uint32
	idx  int32
}

var keySeed = maphash.MakeSeed()

func (k *keySet) has(ops []wire.Op, key []byte) bool {
	if k.n == 0 {
		return false
	}
	h := uint32(maphash.Bytes(keySeed, key))
	mask := uint32(len(k.slots) - 1)
	for i := h & mask; k.slots[i].gen == k.gen; i = (i + 1) & mask {
		if s := &k.slots[i]; s.hash == h && bytes.Equal(ops[s.idx].Key, key) {
			return true
		}
	}
	return false
}

// add puts ops[i] in; done is where the running vector starts, for growing.
func (k *keySet) add(ops []wire.Op, done, i int) {
	if 2*(k.n+1) > len(k.slots) {
		k.slots = make([]keySlot, max(64, 2*len(k.slots)))
		k.gen, k.n = 1, 0
		for j := done; j < i; j++ {
			k.put(ops, j)
		}
	}
	k.put(ops, i)
}

func (k *keySet) put(ops []wire.Op, i int) {
	h := uint32(maphash.Bytes(keySeed, ops[i].Key))
	mask := uint32(len(k.slots) - 1)
	at := h & mask
	for k.slots[at].gen == k.gen {
		at = (at + 1) & mask
	}
	k.slots[at] = keySlot{gen: k.gen, hash: h, idx: int32(i)}
	k.n++
}

func (k *keySet) clear() {
	k.n = 0
	k.gen++
	if k.gen == 0 { // wrapped: old marks would look new
		clear(k.slots)
		k.gen = 1
	}
}
