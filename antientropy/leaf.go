package antientropy

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// maxDepth is that of a leaf whose prefix is a whole hash.
const maxDepth = 9

// under reports whether a row lies under a leaf. hash is of the key, and asked for only where it counts.
func under(l *wire.Leaf, slot ring.Slot, hash uint64) bool {
	return l.Depth == 0 || l.Slot == slot && (l.Depth == 1 || (hash^l.Prefix)>>(64-8*(l.Depth-1)) == 0)
}

// childOf is the child of a leaf under which a row lies: its slot, or the next byte of its key's hash.
func childOf(l *wire.Leaf, slot ring.Slot, hash uint64) ring.Slot {
	if l.Depth == 0 {
		return slot
	}
	return ring.Slot(hash >> (64 - 8*l.Depth) & 0xFF)
}

// child is the leaf of that name.
func child(l *wire.Leaf, name ring.Slot) wire.Leaf {
	if l.Depth == 0 {
		return wire.Leaf{Depth: 1, Slot: name}
	}
	return wire.Leaf{Depth: l.Depth + 1, Slot: l.Slot, Prefix: l.Prefix | uint64(name&0xFF)<<(64-8*l.Depth)}
}

// valid reports whether a leaf that a peer named makes sense as one whose keys, or children, are asked for.
func valid(leaves []wire.Leaf, sums bool) bool {
	for i := range leaves {
		if d := leaves[i].Depth; d > maxDepth || sums && d == maxDepth {
			return false
		}
	}
	return len(leaves) > 0 && (!sums || len(leaves) == 1)
}

// hashing is a walk over a partition that adds up the hashes of a leaf's children, or lists the keys under leaves. The
// sum does not depend on the order of the rows.
type hashing struct {
	partition ring.Partition
	walk      Walk
	sum       bool
	leaves    []wire.Leaf // sorted by slot; one, when sums are made
	at        int64
	horizon   causal.Vector
	salt      uint64 // of this node: what is unreadable here differs from everything everywhere

	sums     map[ring.Slot]uint64
	keys     []wire.KeyDigest
	bytes    int
	over     bool // there are more keys than may be listed
	damaged  []wire.KeyDigest
	done     bool
	maxKeys  int
	maxBytes int
}

// step walks over up to limit rows and returns how many are left of it.
func (h *hashing) step(rep *causal.Replica, limit int) (left int) {
	left = limit
	h.done = h.walk.Next(limit, func(slot ring.Slot, key []byte, row causal.Container, err error) {
		left--
		h.row(rep, slot, key, row, err)
	}) || h.over
	return left
}

func (h *hashing) row(rep *causal.Replica, slot ring.Slot, key []byte, row causal.Container, err error) {
	leaf, hash := h.leafOf(slot, key)
	if leaf == nil {
		return
	}
	var digest uint64
	if err != nil {
		digest = max(1, mix(h.salt, xxhash.Sum64(key)))
		if len(h.damaged) < h.maxKeys {
			h.damaged = append(h.damaged, wire.KeyDigest{Slot: slot, Key: slices.Clone(key)})
		}
	} else {
		digest = Fingerprint(rep, key, row, h.at, h.horizon)
	}
	switch {
	case digest == 0 || h.over:
	case h.sum:
		h.sums[childOf(leaf, slot, hash)] += digest
	default:
		if h.bytes += len(key) + 16; len(h.keys) >= h.maxKeys || h.bytes > h.maxBytes && len(h.keys) > 0 {
			h.over = true
			return
		}
		h.keys = append(h.keys, wire.KeyDigest{Slot: slot, Key: slices.Clone(key), Digest: digest})
	}
}

// leafOf finds the leaf that a row lies under.
func (h *hashing) leafOf(slot ring.Slot, key []byte) (leaf *wire.Leaf, hash uint64) {
	i := 0
	if h.leaves[0].Depth > 0 {
		i, _ = slices.BinarySearchFunc(h.leaves, slot, func(l wire.Leaf, s ring.Slot) int { return int(l.Slot) - int(s) })
	}
	for hashed := false; i < len(h.leaves); i++ {
		l := &h.leaves[i]
		if l.Depth > 0 && l.Slot != slot {
			return nil, 0
		}
		if !hashed && (l.Depth > 1 || l.Depth > 0 && h.sum) {
			hash, hashed = xxhash.Sum64(key), true
		}
		if under(l, slot, hash) {
			return l, hash
		}
	}
	return nil, 0
}

// digests is what was found, in an order that does not depend on the walk's.
func (h *hashing) digests() []wire.KeyDigest {
	if !h.sum {
		slices.SortFunc(h.keys, compareKeys)
		return h.keys
	}
	out := make([]wire.KeyDigest, 0, len(h.sums))
	for name, sum := range h.sums { // order-free: sorted below
		out = append(out, wire.KeyDigest{Slot: name, Digest: sum})
	}
	slices.SortFunc(out, compareKeys)
	return out
}

func compareKeys(a, b wire.KeyDigest) int {
	if a.Slot != b.Slot {
		return int(a.Slot) - int(b.Slot)
	}
	return slices.Compare(a.Key, b.Key)
}

// differing walks two sorted lists together and calls fn for what is in one alone or has two digests; a missing one
// is 0.
func differing(ours, theirs []wire.KeyDigest, fn func(ours, theirs wire.KeyDigest)) {
	for len(ours) > 0 || len(theirs) > 0 {
		c := 0
		switch {
		case len(theirs) == 0:
			c = -1
		case len(ours) == 0:
			c = 1
		default:
			c = compareKeys(ours[0], theirs[0])
		}
		switch {
		case c < 0:
			fn(ours[0], wire.KeyDigest{Slot: ours[0].Slot, Key: ours[0].Key})
			ours = ours[1:]
		case c > 0:
			fn(wire.KeyDigest{Slot: theirs[0].Slot, Key: theirs[0].Key}, theirs[0])
			theirs = theirs[1:]
		default:
			if ours[0].Digest != theirs[0].Digest {
				fn(ours[0], theirs[0])
			}
			ours, theirs = ours[1:], theirs[1:]
		}
	}
}
