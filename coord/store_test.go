package coord

import (
	"errors"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// memory is a Store of one partition's replica.
type memory struct {
	replica causal.Replica
	rows    map[string]causal.Container
	damaged map[string]bool
	hints   map[string]causal.Container
	full    bool // takes no hints
	looks   int  // at rows
}

func newMemory(life causal.Actor) *memory {
	return &memory{replica: causal.Replica{Life: life}, rows: map[string]causal.Container{}, damaged: map[string]bool{}, hints: map[string]causal.Container{}}
}

func (s *memory) Touch([]wire.Ref) {}

func (s *memory) Replica(ring.Partition) *causal.Replica { return &s.replica }

func (s *memory) Row(_ ring.Partition, _ ring.Slot, key []byte) (causal.Container, error) {
	s.looks++
	if s.damaged[string(key)] {
		return causal.Container{}, errors.New("checksum")
	}
	return s.replica.View(s.rows[string(key)]), nil
}

func (s *memory) Put(_ ring.Partition, _ ring.Slot, key []byte, row causal.Container, dots []causal.Dot) {
	s.rows[string(key)] = row
	s.replica.Mark(dots)
}

func (s *memory) Hint(_ ring.Partition, _ ring.Slot, key []byte) (causal.Container, error) {
	return s.hints[string(key)], nil
}

func (s *memory) Flush(_ ring.Partition, dot causal.Dot, dropped *causal.Clock) {
	s.replica.Flush(dropped)
	s.replica.Mark([]causal.Dot{dot})
}

func (s *memory) Count(_ ring.Partition, now int64) (n int64) {
	for _, row := range s.rows {
		if s.replica.View(row).LiveCount(now) > 0 {
			n++
		}
	}
	return n
}

func (s *memory) CountSlot(ring.Slot, int64) int64 { return s.Count(0, 0) }

func newLife(i int) causal.Actor { return causal.Actor(10 + i) }
