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

func hashKey(key []byte) uint32 { return uint32(maphash.Bytes(keySeed, key)) }

// find returns the index of the operation with the key, whose hash is h, or -1.
func (k *keySet) find(ops []wire.Op, key []byte, h uint32) int {
	if k.n == 0 {
		return -1
	}
	mask := uint32(len(k.slots) - 1)
	for i := h & mask; k.slots[i].gen == k.gen; i = (i + 1) & mask {
		if s := &k.slots[i]; s.hash == h && bytes.Equal(ops[s.idx].Key, key) {
			return int(s.idx)
		}
	}
	return -1
}

// put adds the operation with index i, whose key is not in yet and has the hash h.
func (k *keySet) put(i int, h uint32) {
	if 2*(k.n+1) > len(k.slots) {
		k.widen()
	}
	k.set(int32(i), h)
}

func (k *keySet) set(i int32, h uint32) {
	mask := uint32(len(k.slots) - 1)
	at := h & mask
	for k.slots[at].gen == k.gen {
		at = (at + 1) & mask
	}
	k.slots[at] = keySlot{gen: k.gen, hash: h, idx: i}
	k.n++
}

func (k *keySet) widen() {
	old, gen := k.slots, k.gen
	k.slots = make([]keySlot, max(64, 2*len(old)))
	k.gen, k.n = 1, 0
	for _, s := range old {
		if s.gen == gen && gen != 0 {
			k.set(s.idx, s.hash)
		}
	}
}

func (k *keySet) clear() {
	if k.n == 0 {
		return
	}
	k.n = 0
	k.gen++
	if k.gen == 0 { // wrapped: old marks would look new
		clear(k.slots)
		k.gen = 1
	}
}
