//go:build linux

package main

import (
	"math/rand/v2"

	"shoal/ring"
)

// keyspace is the keys 0..n-1 and which node a client sends each of them to.
type keyspace struct {
	n      int
	owner  []uint8    // by key
	byNode [][]uint32 // keys, ascending
}

// newKeyspace sorts keys by node. route is nil for plain clients: then there is one node.
func newKeyspace(n, nodes int, route *slotTable) *keyspace {
	s := &keyspace{n: n, owner: make([]uint8, n), byNode: make([][]uint32, nodes)}
	var name [keySize]byte
	for key := range uint32(n) {
		if route != nil {
			s.owner[key] = route[ring.SlotOf(appendKey(name[:0], key))]
		}
		s.byNode[s.owner[key]] = append(s.byNode[s.owner[key]], key)
	}
	return s
}

// source says which keys a client asks for next. batch fills dst with keys of one node, as clients do that pipeline to a
// cluster, and returns that node and what it filled: less than dst, or nothing, at the end of a source that ends.
type source interface {
	batch(dst []uint32) (node int, keys []uint32)
}

// uniform draws every key with the same probability, for ever.
type uniform struct {
	space *keyspace
	rng   *rand.Rand
}

func (u *uniform) batch(dst []uint32) (int, []uint32) {
	dst[0] = u.rng.Uint32N(uint32(u.space.n))
	node := u.space.owner[dst[0]]
	keys := u.space.byNode[node]
	for i := 1; i < len(dst); i++ {
		dst[i] = keys[u.rng.Uint32N(uint32(len(keys)))]
	}
	return int(node), dst
}

// zipfExponent is the issue's: the most popular of 100,000 keys gets an eighth of all requests.
const zipfExponent = 1.1

// zipfDraws is how many draws are made in advance and then repeated: a draw costs logarithms, which would be charged to
// the machine that the servers share.
const zipfDraws = 1 << 20

// zipfian draws keys by Zipf's law. Popular keys are spread over the key space, and so over nodes.
type zipfian struct {
	space  *keyspace
	draws  []uint32
	at     int
	byNode [][]uint32 // draws of one node, in their order
	atNode []int
}

func newZipfian(space *keyspace, rng *rand.Rand) *zipfian {
	z := &zipfian{
		space:  space,
		draws:  make([]uint32, zipfDraws),
		byNode: make([][]uint32, len(space.byNode)),
		atNode: make([]int, len(space.byNode)),
	}
	place := rng.Perm(space.n)
	rank := rand.NewZipf(rng, zipfExponent, 1, uint64(space.n-1))
	for i := range z.draws {
		key := uint32(place[rank.Uint64()])
		z.draws[i] = key
		node := space.owner[key]
		z.byNode[node] = append(z.byNode[node], key)
	}
	return z
}

func (z *zipfian) batch(dst []uint32) (int, []uint32) {
	dst[0] = z.draws[z.at]
	z.at = (z.at + 1) % len(z.draws)
	node := z.space.owner[dst[0]]
	for i := 1; i < len(dst); i++ {
		draws, at := z.byNode[node], z.atNode[node]
		dst[i] = draws[at]
		z.atNode[node] = (at + 1) % len(draws)
	}
	return int(node), dst
}

// sequence is every key once: loading.
type sequence struct {
	left [][]uint32 // by node
	turn int
}

func newSequence(space *keyspace) *sequence {
	return &sequence{left: append([][]uint32(nil), space.byNode...)}
}

func (s *sequence) batch(dst []uint32) (int, []uint32) {
	for range s.left {
		node := s.turn
		s.turn = (s.turn + 1) % len(s.left)
		if n := copy(dst, s.left[node]); n > 0 {
			s.left[node] = s.left[node][n:]
			return node, dst[:n]
		}
	}
	return 0, nil
}
