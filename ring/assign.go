package ring

import (
	"cmp"
	"slices"
)

// assign lists the owners of every partition. It is a pure function: every node that computes it gets the same lists.
// members are sorted by id, previous holds the lists of the map before (nil at founding).
//
// Hard rule: min(n, len(members)) distinct nodes per partition. Then, in this order: as many distinct zones per
// partition as there can be, load proportional to weight (first positions too), and few copies moved.
//
// It decides in three layers, each a flow of partitions to bins (see spread): how many copies of a partition each zone
// gets, which nodes of the zone hold them, and which of the holders stands first. Each layer's targets are the exact
// shares that the layers above leave possible, so a whole-numbered solution within one of them always exists, and
// augmenting paths find it.
func assign(members []Member, q, n int, previous [][]NodeID) [][]NodeID {
	n = min(n, len(members))
	p := newPlacement(members, q, n, previous)
	perZone := p.spreadZones()
	held := make([]bool, q*len(members)) // by partition, then member
	for z := range p.zones {
		p.spreadNodes(z, perZone, held)
	}
	first := p.spreadFirsts(held)
	out := make([][]NodeID, q)
	for i := range out {
		out[i] = p.list(Partition(i), held[i*len(members):(i+1)*len(members)], first[i])
	}
	return out
}

// placement is what one run of assign works on.
type placement struct {
	members  []Member
	q, n     int
	previous [][]int // per partition, indexes of members that are still there
	zones    []zone  // sorted by name
	zoneOf   []int   // member -> index into zones
}

type zone struct {
	name    string
	members []int // indexes
	weight  int
}

func newPlacement(members []Member, q, n int, previous [][]NodeID) *placement {
	p := &placement{members: members, q: q, n: n, zoneOf: make([]int, len(members)), previous: make([][]int, q)}
	for _, m := range members {
		i, found := slices.BinarySearchFunc(p.zones, m.Zone, func(z zone, s string) int { return cmp.Compare(z.name, s) })
		if !found {
			p.zones = slices.Insert(p.zones, i, zone{name: m.Zone})
		}
	}
	for i, m := range members {
		z, _ := slices.BinarySearchFunc(p.zones, m.Zone, func(z zone, s string) int { return cmp.Compare(z.name, s) })
		p.zoneOf[i] = z
		p.zones[z].members = append(p.zones[z].members, i)
		p.zones[z].weight += int(m.Weight)
	}
	for i, list := range previous {
		for _, id := range list {
			at, ok := slices.BinarySearchFunc(members, id, func(m Member, id NodeID) int { return cmp.Compare(m.ID, id) })
			if ok {
				p.previous[i] = append(p.previous[i], at)
			}
		}
	}
	return p
}

// spreadZones returns per partition and zone the number of copies. With enough zones it is 0 or 1; with fewer zones
// than copies every zone has at least one.
func (p *placement) spreadZones() []uint8 {
	zones := len(p.zones)
	want := make([]want, zones)
	s := newSpread(p.q, zones)
	for z, x := range p.zones {
		s.key[z] = zoneKey(x.name)
		most := 1
		if zones < p.n {
			most = min(len(x.members), p.n-zones+1)
		}
		want[z] = newWant(x.weight, 0, most*p.q)
		if zones <= p.n {
			want[z].least = int64(p.q)
		}
	}
	s.lo, s.hi = shares(want, p.q*p.n)
	for z := range p.zones { // every partition near the average: that spreads copies evenly and is always possible
		s.min[z] = uint8(s.lo[z] / p.q)
		for i := range p.q {
			s.max[i*zones+z] = uint8((s.hi[z] + p.q - 1) / p.q)
		}
	}
	for i, list := range p.previous {
		s.need[i] = p.n
		for _, m := range list {
			s.was[i*zones+p.zoneOf[m]]++
		}
	}
	return s.solve()
}

// spreadNodes decides which members of zone z hold the copies that perZone gives it, and marks them in held.
func (p *placement) spreadNodes(z int, perZone []uint8, held []bool) {
	in := p.zones[z].members
	s := newSpread(p.q, len(in))
	total, partitions := 0, 0
	for i := range p.q {
		s.need[i] = int(perZone[i*len(p.zones)+z])
		total += s.need[i]
		partitions += min(1, s.need[i])
		for _, m := range p.previous[i] {
			if b := slices.Index(in, m); b >= 0 {
				s.was[i*len(in)+b] = 1
			}
		}
	}
	want := make([]want, len(in))
	for b, m := range in {
		s.key[b] = uint64(p.members[m].ID)
		want[b] = newWant(int(p.members[m].Weight), 0, partitions)
	}
	for k := range s.max {
		s.max[k] = 1
	}
	s.lo, s.hi = shares(want, total)
	for k, x := range s.solve() {
		if x > 0 {
			held[k/len(in)*len(p.members)+in[k%len(in)]] = true
		}
	}
}

// spreadFirsts returns per partition the holder that stands first, so that each member is first for its load / n.
func (p *placement) spreadFirsts(held []bool) []int {
	bins := len(p.members)
	s := newSpread(p.q, bins)
	for k, has := range held {
		if has {
			s.max[k] = 1
			s.hi[k%bins]++
		}
	}
	for b := range bins {
		s.key[b] = ^uint64(p.members[b].ID) // not the key of the placement, or newcomers would always come first
		s.lo[b], s.hi[b] = s.hi[b]/p.n, (s.hi[b]+p.n-1)/p.n
	}
	for i, list := range p.previous {
		s.need[i] = 1
		if len(list) > 0 {
			s.was[i*bins+list[0]] = 1
		}
	}
	first := make([]int, p.q)
	for k, x := range s.solve() {
		if x > 0 {
			first[k/bins] = k % bins
		}
	}
	return first
}

// list orders a partition's holders: the chosen first, the rest by score, so that many nodes share the work of one
// that is down.
func (p *placement) list(part Partition, held []bool, first int) []NodeID {
	out := make([]NodeID, 1, p.n)
	out[0] = p.members[first].ID
	for b, has := range held {
		if has && b != first {
			out = append(out, p.members[b].ID)
		}
	}
	byScore(out[1:], part)
	return out
}
