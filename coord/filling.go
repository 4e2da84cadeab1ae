package coord

import (
	"shoal/ring"
	"shoal/wire"
)

// A replica that is being filled answers no read, coordinates nothing and is no place. One that is not whole, though it
// takes copies, leaves coordinating to another owner while there is one: its row may be older than a deletion whose
// tombstone the others have reaped, and neither their answers nor its own clock could tell.

// onFilling takes in which of its replicas a peer is filling.
func (m *Machine) onFilling(from ring.NodeID, it *wire.Item) {
	if !m.up[from] {
		return
	}
	f := m.filling[from]
	f.Take(it)
	m.filling[from] = f
}

// PeersFilling is how many of their replicas the peers that are up fill, as they said.
func (m *Machine) PeersFilling() (n int) {
	for _, f := range m.filling { // order-free: a sum
		n += f.Count()
	}
	return n
}

// reaches reports whether a peer is up and its replica of the partition is not being filled, as far as it said.
func (m *Machine) reaches(n ring.NodeID, p ring.Partition) bool {
	if !m.up[n] || len(m.filling) == 0 {
		return m.up[n]
	}
	f := m.filling[n]
	return !f.Has(p)
}

func (m *Machine) selfFilling(p ring.Partition) bool {
	rep := m.store.Replica(p)
	return rep != nil && rep.Filling
}

// serves reports whether this owner evaluates an operation itself.
func (m *Machine) serves(op *wire.Op, o origin) bool {
	if m.selfFilling(op.Partition) {
		return false
	}
	if m.whole(op.Partition) || !op.Code.Keyed() {
		return true
	}
	if o.from != 0 {
		return false // who asked tries another owner
	}
	_, ok := m.other(op.Partition, m.ring.OwnersOf(op.Partition), 0)
	return !ok
}

// other is the first owner beside this node that can be asked and is not among those passed over.
func (m *Machine) other(p ring.Partition, owners []ring.NodeID, over set) (ring.NodeID, bool) {
	for _, skewed := range []bool{false, true} {
		for i, o := range owners {
			if o != m.cfg.Self && m.passedOver[o] == skewed && !over.has(i) && m.reaches(o, p) {
				return o, true
			}
		}
	}
	return 0, false
}

// elsewhere has another owner evaluate an operation of which nothing was done here: a client's is forwarded, a peer
// is told to ask another.
func (m *Machine) elsewhere(now int64, op *wire.Op, o origin) {
	if o.from != 0 {
		m.refuse(o)
		return
	}
	target, ok := m.other(op.Partition, m.ring.OwnersOf(op.Partition), 0)
	if !ok {
		m.deliver(o, status(unreachable(op.Code)))
		return
	}
	p := m.begin(now, op, o)
	m.Stats.Forwarded++
	m.forwardTo(p, target, wire.FlagHandedOver)
}

// refuse tells the peer that forwarded an operation that nothing was done, and that another owner may do it.
func (m *Machine) refuse(o origin) {
	if o.orphan {
		return
	}
	r := wire.Result{Status: wire.TryAgain, Err: "the owner asked cannot coordinate yet"}
	m.answer(o.from, wire.ItemResult, o.reply, &r).Flags = wire.FlagRefused
}

// yield gives up an operation that has collected answers and done nothing: this replica began to be filled.
func (m *Machine) yield(now int64, p *pending) {
	op, followers := p.op, p.followers
	m.elsewhere(now, op, m.forget(p))
	for i := range followers {
		m.elsewhere(now, followers[i].op, followers[i].origin)
	}
}

// retry has a forwarded operation that an owner refused done by another: by this node if it can, else by the next owner,
// each asked at most once. When nobody is left it ends.
func (m *Machine) retry(now int64, p *pending, from ring.NodeID) {
	if at := position(p.owners, from); at >= 0 {
		p.refused.add(at)
	}
	op := p.op
	if p.self >= 0 && m.replicaOf(op.Partition) != nil && m.whole(op.Partition) {
		o := m.forget(p)
		o.handed = true
		m.coordinate(now, op, o)
		return
	}
	if p.from != 0 {
		m.refuse(m.forget(p))
		return
	}
	if target, ok := m.other(op.Partition, p.owners, p.refused); ok && now < p.deadline {
		m.forwardTo(p, target, wire.FlagHandedOver)
		return
	}
	m.finish(p, status(unreachable(op.Code)))
}
