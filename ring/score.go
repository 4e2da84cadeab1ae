package ring

import (
	"cmp"
	"slices"
)

// mix scatters 64 bits: the finaliser of SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number
// Generators", OOPSLA 2014). It is a bijection, so different inputs never collide.
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

const golden = 0x9e3779b97f4a7c15

// score is how much the partition likes the candidate with the key: rendezvous hashing (Thaler, Ravishankar: "Using
// name-based mappings to increase hit rates", 1998). Part of the format: every node must compute the same.
func score(p Partition, key uint64) uint64 { return mix(key ^ mix((uint64(p)+1)*golden)) }

// byScore sorts nodes by falling score. Two nodes never have the same score for a partition.
func byScore(ids []NodeID, p Partition) {
	slices.SortFunc(ids, func(a, b NodeID) int { return cmp.Compare(score(p, uint64(b)), score(p, uint64(a))) })
}

// zoneKey makes a zone's name a key for score (FNV-1a).
func zoneKey(zone string) uint64 {
	h := uint64(0xcbf29ce484222325)
	for i := range len(zone) {
		h = (h ^ uint64(zone[i])) * 0x100000001b3
	}
	return h
}

// random is SplitMix64: seeded, so that a run can be replayed.
type random struct{ state uint64 }

func (r *random) next() uint64 {
	r.state += golden
	return mix(r.state)
}

// below returns a number in [0, n).
func (r *random) below(n int64) int64 { return int64(r.next() % uint64(n)) }
