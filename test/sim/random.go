package sim

import "math/bits"

// random is PCG-XSH-RR 64/32 (O'Neill: "PCG: A Family of Simple Fast Space-Efficient Statistically Good Algorithms for
// Random Number Generation", 2014). It is our own so that a seed means the same history with every Go release.
type random struct{ state uint64 }

const pcgMultiplier, pcgIncrement = 6364136223846793005, 1442695040888963407

func newRandom(seed uint64) *random {
	r := &random{state: seed + pcgIncrement}
	r.next()
	r.state += seed * 0x9e3779b97f4a7c15
	r.next()
	return r
}

func (r *random) next() uint32 {
	old := r.state
	r.state = old*pcgMultiplier + pcgIncrement
	return bits.RotateLeft32(uint32((old>>18^old)>>27), -int(old>>59))
}

func (r *random) uint64() uint64 { return uint64(r.next())<<32 | uint64(r.next()) }

// below returns 0..n-1.
func (r *random) below(n int) int { return int(uint64(r.next()) * uint64(n) >> 32) }

// between returns lo..hi, both included.
func (r *random) between(lo, hi int) int { return lo + r.below(hi-lo+1) }

// percent is true in p of 100 cases.
func (r *random) percent(p int) bool { return r.below(100) < p }

// delay is mostly near mean and sometimes ten times that, in ms.
func (r *random) delay(mean int) int64 {
	if r.percent(4) {
		return int64(r.between(mean, 10*mean))
	}
	return int64(r.between(0, 2*mean))
}
