package engine

import (
	"maps"
	"slices"

	"shoal/ring"
)

// noteDamaged notes that a row, or a block of rows, was found unreadable; name is the row's or of that place.
func (s *Store) noteDamaged(name []byte) {
	if len(name) < 3 || name[0] != spaceData {
		return
	}
	if s.damaged == nil {
		s.damaged = map[ring.Partition]bool{}
	}
	s.damaged[partitionOf(name)] = true
}

// Damaged returns the partitions in which an unreadable row or block of rows was met since the last call, in order:
// Open's own reading is the first to be told.
func (s *Store) Damaged() []ring.Partition {
	if len(s.damaged) == 0 {
		return nil
	}
	ps := slices.Sorted(maps.Keys(s.damaged))
	s.damaged = nil
	return ps
}
