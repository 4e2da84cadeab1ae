package engine

// Reclaiming copies the live records of one slab after the other to the slab being filled and gives the old ones up:
// when too much of what the slabs hold is garbage, and when memory is over its budget. In the second case a row that
// is in Pebble as it is, and was not used since the hand last passed, is not copied: it leaves memory.
//
// How much is too much follows from what memory costs. While half of the budget is free, the slabs may hold four times
// what is live: a slab has then lost nearly all of its rows when its turn comes, or all of them, and copying costs next
// to nothing. Above that they may hold twice what is live. So the slabs hold at most
//
//	max(reclaimFloor, min(4 * live, half of the budget), 2 * live)
//
// and what one tick adds, since reclaiming goes on at the pace of writing; rows that were never written again hold no
// garbage at all.

const (
	reclaimPerWork = 3 // records looked at per row written
	reclaimPerRead = 6
	reclaimFloor   = 4 << 20 // bytes below which garbage does not matter
)

func (s *Store) memoryUsed() int64 { return s.mem.held + s.cellBytes }

func (s *Store) overBudget() bool { return s.memoryUsed() > s.opt.MemoryBytes }

// reclaim looks at up to limit records if there is reason to.
func (s *Store) reclaim(limit int) {
	for limit > 0 {
		if s.mem.emptying == 0 && !s.pickSlab() {
			return
		}
		limit = s.emptySlab(limit)
	}
}

// wasteful reports whether so much of the slabs is garbage that it must go.
func (s *Store) wasteful() bool {
	m := &s.mem
	if m.held < reclaimFloor {
		return false
	}
	if s.memoryUsed() < s.opt.MemoryBytes/2 {
		return m.live <= m.held/4
	}
	return m.live <= m.held/2
}

// pickSlab chooses the next slab to empty: the next of the clock over budget, else the one with the most garbage.
func (s *Store) pickSlab() bool {
	m := &s.mem
	if over := s.overBudget(); over && s.barren < len(m.all) {
		for range m.all {
			if m.hand++; int(m.hand) >= len(m.all) {
				m.hand = 1
			}
			if m.hand != m.head && int(m.hand) < len(m.all) && m.all[m.hand].buf != nil {
				m.emptying, m.emptied = m.hand, 0
				s.barren++
				return true
			}
		}
		return false
	}
	if !s.wasteful() {
		return false
	}
	best, most := uint32(0), slabBytes/4
	for id := range m.all {
		b := &m.all[id]
		if garbage := len(b.buf) - b.live; garbage > most && uint32(id) != m.head {
			best, most = uint32(id), garbage
		}
	}
	m.emptying, m.emptied = best, 0
	return best != 0
}

// emptySlab goes on with the slab and returns what is left of limit.
func (s *Store) emptySlab(limit int) int {
	m := &s.mem
	for ; limit > 0; limit-- {
		if m.emptied >= len(m.all[m.emptying].buf) {
			m.drop(m.emptying)
			m.emptying = 0
			return limit
		}
		id, off := m.emptying, uint32(m.emptied)
		rec := m.at(id, off)
		m.emptied += len(rec)
		s.moveRecord(rec, id, off)
	}
	return limit
}

func (s *Store) moveRecord(rec record, id, off uint32) {
	if rec.has(flagGarbage) { // seen without a look at its table, which would be a cache miss
		return
	}
	name := rec.name()
	hash := hashOf(name)
	r := s.replicas.of(partitionOf(name))
	if r == nil {
		return
	}
	i := r.rows.findAt(hash, id, off)
	if i < 0 {
		return // garbage
	}
	clean := rec.segment() <= s.spilled
	gone := clean && !rec.present() // its deletion is in Pebble
	if gone || clean && s.overBudget() && !rec.has(flagUsed) {
		if !gone {
			s.complete = false
			s.stats.evicted.Add(1)
			s.barren = 0
		}
		r.rows.remove(i)
		s.last.known = false
		s.mem.unlive(id, len(rec))
		return
	}
	flags := rec[12] &^ flagUsed
	if !s.overBudget() {
		flags = rec[12]
	}
	newID, newOff := s.mem.add(name, rec.value(), rec.segment(), flags)
	r.rows.cells[i] = cell{hash, newID, newOff}
	s.mem.unlive(id, len(rec))
}
