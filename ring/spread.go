package ring

// spread is one layer of assign: partition i puts need[i] copies into bins, bin b taking min[b] to max of each
// partition and lo[b] to hi[b] in all. It starts from where the copies were and changes little.
type spread struct {
	q, bins  int
	need     []int
	was      []uint8 // copies before, by partition, then bin
	max      []uint8 // most copies, by partition, then bin
	min      []uint8 // fewest copies of each partition, by bin
	lo, hi   []int   // bounds of the load, by bin
	key      []uint64
	x        []uint8 // copies now
	load     []int
	from, by []int // scratch of path
}

func newSpread(q, bins int) *spread {
	return &spread{
		q: q, bins: bins, need: make([]int, q),
		was: make([]uint8, q*bins), max: make([]uint8, q*bins), min: make([]uint8, bins),
		lo: make([]int, bins), hi: make([]int, bins), key: make([]uint64, bins),
		x: make([]uint8, q*bins), load: make([]int, bins),
		from: make([]int, bins), by: make([]int, 0, bins),
	}
}

// solve returns the copies by partition, then bin.
func (s *spread) solve() []uint8 {
	for i := range s.q {
		for b := range s.bins {
			k := i*s.bins + b
			s.x[k] = min(max(s.was[k], s.min[b]), s.max[k])
			s.load[b] += int(s.x[k])
		}
	}
	for i := range s.q {
		s.fill(i)
	}
	s.balance()
	return s.x
}

// fill gives partition i exactly the copies it needs: too many go from the fullest bins, missing ones into the
// emptiest, in proportion to what each bin should have.
func (s *spread) fill(i int) {
	row := s.x[i*s.bins : (i+1)*s.bins]
	have := 0
	for _, c := range row {
		have += int(c)
	}
	for ; have > s.need[i]; have-- {
		b := s.pick(i, func(b int) bool { return row[b] > s.min[b] }, s.fuller)
		row[b]--
		s.load[b]--
	}
	for ; have < s.need[i]; have++ {
		b := s.pick(i, func(b int) bool { return row[b] < s.max[i*s.bins+b] }, func(b, c int) int64 { return s.fuller(c, b) })
		row[b]++
		s.load[b]++
	}
}

// fuller compares how full two bins are: positive when b is fuller than c.
func (s *spread) fuller(b, c int) int64 {
	return int64(s.load[b])*int64(s.hi[c]+1) - int64(s.load[c])*int64(s.hi[b]+1)
}

// pick returns the allowed bin that beats the others; of equals, the one with the highest score for partition i.
func (s *spread) pick(i int, allowed func(b int) bool, beats func(b, c int) int64) int {
	best := -1
	for b := range s.bins {
		if !allowed(b) {
			continue
		}
		if best < 0 {
			best = b
			continue
		}
		d := beats(b, best)
		if d > 0 || d == 0 && score(Partition(i), s.key[b]) > score(Partition(i), s.key[best]) {
			best = b
		}
	}
	return best
}

// balance brings every load between its bounds. Each round moves one copy along the shortest chain of bins: away from
// the fullest bin above its bound, and when there is none, to the emptiest bin below its bound. A chain exists as long
// as some placement within the bounds does (Ford, Fulkerson), and each round mends one unit and breaks none.
func (s *spread) balance() {
	for {
		if over, by := s.worst(func(b int) int { return s.load[b] - s.hi[b] }); by > 0 {
			if s.shift(over, false, func(b int) int { return s.hi[b] - s.load[b] }) {
				continue
			}
		}
		under, by := s.worst(func(b int) int { return s.lo[b] - s.load[b] })
		if by <= 0 || !s.shift(under, true, func(b int) int { return s.load[b] - s.lo[b] }) {
			return
		}
	}
}

// worst returns the bin with the largest value, the lowest of equals.
func (s *spread) worst(value func(b int) int) (bin, by int) {
	bin, by = 0, value(0)
	for b := 1; b < s.bins; b++ {
		if v := value(b); v > by {
			bin, by = b, v
		}
	}
	return bin, by
}

// shift moves one copy out of (or, pulling, into) the start bin, along the shortest chain to a bin with room; of those
// equally near it takes the one with the most room. It reports whether there was one.
func (s *spread) shift(start int, pull bool, room func(b int) int) bool {
	for b := range s.from {
		s.from[b] = -1
	}
	s.from[start] = start
	level := append(s.by[:0], start)
	for len(level) > 0 {
		var next []int
		for _, b := range level {
			next = s.reach(b, pull, next)
		}
		end := -1
		for _, b := range next {
			if room(b) > 0 && (end < 0 || room(b) > room(end)) {
				end = b
			}
		}
		if end >= 0 {
			s.moveAlong(start, end, pull)
			return true
		}
		level = next
	}
	return false
}

// reach appends the bins, not reached before, that one copy can move to from b (or, pulling, from which it can move to
// b).
func (s *spread) reach(b int, pull bool, next []int) []int {
	for c := range s.bins {
		if s.from[c] >= 0 {
			continue
		}
		a, z := b, c
		if pull {
			a, z = c, b
		}
		for i := range s.q {
			if s.movable(i, a, z) {
				s.from[c] = b
				next = append(next, c)
				break
			}
		}
	}
	return next
}

func (s *spread) movable(i, a, z int) bool {
	return s.x[i*s.bins+a] > s.min[a] && s.x[i*s.bins+z] < s.max[i*s.bins+z]
}

func (s *spread) moveAlong(start, end int, pull bool) {
	for b := end; b != start; b = s.from[b] {
		if pull {
			s.move(b, s.from[b])
		} else {
			s.move(s.from[b], b)
		}
	}
}

// move moves one copy from bin a to bin z: of the partitions where that is possible, one where it undoes an earlier
// move if there is one, then the one with the highest score.
func (s *spread) move(a, z int) {
	best, bestGain, bestScore := -1, 0, uint64(0)
	for i := range s.q {
		if !s.movable(i, a, z) {
			continue
		}
		gain := 0
		if s.x[i*s.bins+a] > s.was[i*s.bins+a] {
			gain++
		}
		if s.x[i*s.bins+z] < s.was[i*s.bins+z] {
			gain++
		}
		sc := score(Partition(i), s.key[z])
		if best < 0 || gain > bestGain || gain == bestGain && sc > bestScore {
			best, bestGain, bestScore = i, gain, sc
		}
	}
	s.x[best*s.bins+a]--
	s.x[best*s.bins+z]++
	s.load[a]--
	s.load[z]++
}
