package wire

import (
	"math/bits"
	"slices"

	"shoal/ring"
)

// Filling is which of its replicas a peer is filling, as of its newest word in a connection. The zero Filling: none.
type Filling struct {
	number uint64
	bits   []byte
}

// FillingItem makes the number-th word: the partitions, in any order.
func FillingItem(number uint64, partitions []ring.Partition) Item {
	var b []byte
	for _, p := range partitions {
		for len(b) <= int(p)/8 {
			b = append(b, 0)
		}
		b[p/8] |= 1 << (p % 8)
	}
	return Item{Kind: ItemFilling, ID: number, Blob: b}
}

// Take takes in a word and reports whether it was newer.
func (f *Filling) Take(it *Item) bool {
	if it.ID <= f.number {
		return false
	}
	f.number, f.bits = it.ID, slices.Clone(it.Blob)
	return true
}

// Has reports whether the replica of a partition is being filled.
func (f *Filling) Has(p ring.Partition) bool {
	return int(p)/8 < len(f.bits) && f.bits[p/8]&(1<<(p%8)) != 0
}

// Count is how many replicas are being filled.
func (f *Filling) Count() (n int) {
	for _, b := range f.bits {
		n += bits.OnesCount8(b)
	}
	return n
}
