package causal

import (
	"cmp"
	"slices"
)

// Vector says, per actor, the highest seq taken in for one key. It is sorted by actor, each actor once, no seq zero.
type Vector []Dot

// Of returns the highest seq of the actor, 0 when there is none.
func (v Vector) Of(a Actor) uint64 {
	for i := range v { // a handful of entries: a scan beats a binary search
		if v[i].Actor == a {
			return v[i].Seq
		}
	}
	return 0
}

// Covers reports whether the dot is at or below the vector's entry of its actor.
func (v Vector) Covers(d Dot) bool { return d.Seq <= v.Of(d.Actor) }

// CoversAll reports whether every entry of w is covered.
func (v Vector) CoversAll(w Vector) bool {
	for _, d := range w {
		if !v.Covers(d) {
			return false
		}
	}
	return true
}

// With returns the vector raised to cover the dot. The receiver may be changed: use the result.
func (v Vector) With(d Dot) Vector {
	if d.Seq == 0 { // no dot, and an entry of zero has no encoding
		return v
	}
	i, found := slices.BinarySearchFunc(v, d.Actor, func(e Dot, a Actor) int { return cmp.Compare(e.Actor, a) })
	if found {
		v[i].Seq = max(v[i].Seq, d.Seq)
		return v
	}
	return slices.Insert(v, i, d)
}

// Join returns the entry-wise maximum in a new slice.
func (v Vector) Join(w Vector) Vector {
	out := make(Vector, 0, max(len(v), len(w))+1)
	for len(v) > 0 && len(w) > 0 {
		switch c := cmp.Compare(v[0].Actor, w[0].Actor); {
		case c < 0:
			out, v = append(out, v[0]), v[1:]
		case c > 0:
			out, w = append(out, w[0]), w[1:]
		default:
			out = append(out, Dot{v[0].Actor, max(v[0].Seq, w[0].Seq)})
			v, w = v[1:], w[1:]
		}
	}
	return append(append(out, v...), w...)
}
