package engine

// segmentEnd is how things stood when the log went on from a segment: its last sequence, and those replicas, as they are kept
// in Pebble, that had changed since the end before. The ends of the segments that no round has taken yet are kept.
type segmentEnd struct {
	segment uint32
	seq     uint64
	states  []pair
}

// noteEnd notes the end of a segment, the newest full one. No tick may be under way.
func (s *Store) noteEnd(segment uint32) {
	end := segmentEnd{segment: segment, seq: s.wal.seq}
	for p, rep := range s.replicas.all() {
		if rep.changed {
			end.states = append(end.states, snapshotRow(p, rep))
			rep.changed = false
		}
	}
	s.ends = append(s.ends, end)
}

// endFor is the newest end that leaves keep bytes of full segments behind it, the oldest one if none does. ok is false when
// there is none. The segments that Open found have one end together.
func (s *Store) endFor(keep int64) (segment uint32, ok bool) {
	if len(s.ends) == 0 {
		return 0, false
	}
	through, best := s.wal.allBut(keep), 0
	for i := range s.ends {
		if s.ends[i].segment <= through {
			best = i
		}
	}
	return s.ends[best].segment, true
}

// takeEnds gives up the ends of the segments up to one that has an end, and returns its sequence and every replica that had
// changed by then, as it was there.
func (s *Store) takeEnds(through uint32) (seq uint64, states []pair) {
	at := map[string]int{}
	for len(s.ends) > 0 && s.ends[0].segment <= through {
		end := &s.ends[0]
		for _, st := range end.states {
			if i, again := at[string(st.name)]; again {
				states[i] = st
				continue
			}
			at[string(st.name)] = len(states)
			states = append(states, st)
		}
		seq = end.seq
		s.ends = s.ends[1:]
	}
	return seq, states
}

// allBut is the newest full segment that has keep bytes of full ones behind it, or the oldest.
func (l *seglog) allBut(keep int64) uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := len(l.live) - 2
	for ; i > 0 && keep > 0; i-- {
		keep -= l.live[i].at
	}
	return l.live[max(i, 0)].num
}
