package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
)

// Clocks shows what is known of this node's replicas.
type Clocks interface {
	Replica(p ring.Partition) *causal.Replica
	// Durable is the replica's clock as of the last fsync: never ahead of what a power cut leaves. Valid until the next
	// call. nil: no replica.
	Durable(p ring.Partition) *causal.Clock
}

// Lives is what a node remembers of the other owners of its partitions: the current life of each replica, and the
// durable clock that this life told last. It is in memory only, and kept while a peer cannot be reached: what was
// durable stays so.
type Lives struct {
	self    ring.NodeID
	store   Clocks
	ring    *ring.Map
	known   [][]remembered // per partition
	filling func(ring.Partition, ring.NodeID) bool
}

type remembered struct {
	peer    ring.NodeID
	life    causal.Actor
	durable causal.Clock
}

func newLives(self ring.NodeID, store Clocks) *Lives { return &Lives{self: self, store: store} }

// FillingIf says how to tell that another owner's replica is being filled; nil: none is.
func (m *Lives) FillingIf(filling func(ring.Partition, ring.NodeID) bool) { m.filling = filling }

func (m *Lives) install(r *ring.Map) {
	known := make([][]remembered, r.Q)
	for i := range known {
		if i < len(m.known) {
			known[i] = slices.DeleteFunc(m.known[i], func(x remembered) bool { return r.Position(ring.Partition(i), x.peer) < 0 })
		}
	}
	m.ring, m.known = r, known
}

// Heard takes in what a frame of the current connection to an owner says of its replica. Of one life only a larger clock
// counts. A new life replaces what was remembered, also by a smaller clock: its disk may have gone back in time.
func (m *Lives) Heard(p ring.Partition, peer ring.NodeID, life causal.Actor, durable *causal.Clock) {
	if m.ring == nil || int(p) >= len(m.known) || peer == m.self || m.ring.Position(p, peer) < 0 || life == 0 || durable == nil {
		return
	}
	x := m.of(p, peer)
	switch {
	case x == nil:
		m.known[p] = append(m.known[p], remembered{peer, life, durable.Clone()})
	case x.life != life:
		x.life, x.durable = life, durable.Clone()
	case durable.Covers(&x.durable) && !x.durable.Covers(durable):
		x.durable = durable.Clone()
	}
}

func (m *Lives) of(p ring.Partition, peer ring.NodeID) *remembered {
	for i := range m.known[p] {
		if x := &m.known[p][i]; x.peer == peer {
			return x
		}
	}
	return nil
}

// Known reports whether every other owner of a partition was heard of since this node's boot.
func (m *Lives) Known(p ring.Partition) bool {
	return m.ring != nil && int(p) < len(m.known) && len(m.known[p]) == len(m.ring.OwnersOf(p))-1
}

// Current reports whether an actor is, as far as remembered, the current life of an owner's replica, own included.
func (m *Lives) Current(p ring.Partition, a causal.Actor) bool {
	if rep := m.store.Replica(p); rep != nil && rep.Life == a {
		return true
	}
	return int(p) < len(m.known) && slices.ContainsFunc(m.known[p], func(x remembered) bool { return x.life == a })
}

// Durable is the durable clock that an owner's current life told last, nil when none did. It must not be changed.
func (m *Lives) Durable(p ring.Partition, peer ring.NodeID) *causal.Clock {
	if int(p) < len(m.known) {
		if x := m.of(p, peer); x != nil {
			return &x.durable
		}
	}
	return nil
}

// Stable is, per actor, the seq up to which every owner of a partition, this node included, holds all dots durably, with
// no hole. It is not known while one owner's clock is not, or while a replica of the partition is being filled. Below it
// tombstones may be reaped and the log trimmed: nobody will ask for it again, and no power cut brings back what it
// deleted.
func (m *Lives) Stable(p ring.Partition) (v causal.Vector, known bool) {
	if !m.Known(p) || m.ring.Position(p, m.self) < 0 {
		return nil, false
	}
	rep, own := m.store.Replica(p), m.store.Durable(p)
	if rep == nil || rep.Filling || own == nil {
		return nil, false
	}
	for i := range m.known[p] {
		if m.filling != nil && m.filling(p, m.known[p][i].peer) {
			return nil, false
		}
	}
	for _, e := range own.Entries() {
		base := e.Base
		for i := range m.known[p] {
			base = min(base, m.known[p][i].durable.Base(e.Actor))
		}
		if base > 0 {
			v = append(v, causal.Dot{Actor: e.Actor, Seq: base})
		}
	}
	return v, true
}
