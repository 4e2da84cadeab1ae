package antientropy

import (
	"shoal/causal"
	"shoal/ring"
)

// Sum hashes the rows of a partition, a few at a time: equal on replicas that are equal.
type Sum struct {
	Keys int64 // rows with a live version
	Hash uint64

	store   Rows
	p       ring.Partition
	walk    Walk
	at      int64
	horizon causal.Vector
}

// NewSum begins with the rows as they are. at (unix ms) says which versions have expired.
func NewSum(store Rows, p ring.Partition, at int64) *Sum {
	s := &Sum{store: store, p: p, at: at, walk: store.Walk(p, false)}
	if rep := store.Replica(p); rep != nil {
		s.horizon = rep.Horizon
	}
	return s
}

// Next looks at up to limit rows and reports whether there are no more.
func (s *Sum) Next(limit int) (done bool) {
	rep := s.store.Replica(s.p)
	return rep == nil || s.walk.Next(limit, func(_ ring.Slot, key []byte, row causal.Container, err error) {
		if err != nil {
			return
		}
		if h := Fingerprint(rep, key, row, s.at, s.horizon); h != 0 {
			s.Keys++
			s.Hash += h
		}
	})
}
