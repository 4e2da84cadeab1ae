package causal

import "cmp"

// Actor names one life of one partition replica. It is 64 bits: milliseconds of the boot (41 bits, upper) and random
// bits (23, lower); see NewActor. It is never a counter kept on disk: a restored backup would reuse that.
type Actor uint64

// NewActor makes the actor of a life that begins at unixMs, with 23 bits of random. The result is never zero.
func NewActor(unixMs int64, random uint32) Actor {
	return max(1, Actor(uint64(unixMs)<<23|uint64(random&(1<<23-1))))
}

// Dot names one version for ever: the Seq-th dot that Actor issued. Seq starts at 1 and counts per partition replica,
// not per key.
type Dot struct {
	Actor Actor
	Seq   uint64
}

// Compare orders dots by actor, then seq.
func (d Dot) Compare(e Dot) int {
	if c := cmp.Compare(d.Actor, e.Actor); c != 0 {
		return c
	}
	return cmp.Compare(d.Seq, e.Seq)
}
