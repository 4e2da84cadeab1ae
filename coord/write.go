package coord

import (
	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// startWrite begins a write at an owner.
func (m *Machine) startWrite(now int64, op *wire.Op, o origin) {
	owners := m.ring.OwnersOf(op.Partition)
	if m.liveCount(owners) < quorum(m.cfg.W, owners) {
		m.deliver(o, status(wire.NoReplicas))
		return
	}
	first, _ := m.first(owners)
	if first != m.cfg.Self && !o.handed {
		p := m.begin(now, op, o)
		m.Stats.HandedOver++
		m.forwardTo(p, first, wire.FlagHandedOver)
		return
	}
	if op.Code == wire.OpFlush {
		m.startFlush(now, op, o)
		return
	}
	row, err := m.store.Row(op.Partition, op.Slot, op.Key)
	if err != nil {
		m.deliver(o, m.unreadable(op, err))
		return
	}
	if m.mustReadFirst(now, op, owners, row) {
		m.Stats.ReadFirst++
		m.ask(now, m.begin(now, op, o), row)
		return
	}
	res, after, dots := m.evalWrite(now, op, row)
	if len(dots) == 0 {
		m.deliver(o, res)
		return
	}
	m.store.Put(op.Partition, op.Slot, op.Key, after, dots)
	if quorum(m.cfg.W, owners) == 1 && len(owners) == 1 {
		m.deliver(o, res)
		return
	}
	m.replicate(m.begin(now, op, o), res, after)
}

// mustReadFirst: this replica's row may lack writes that were acknowledged elsewhere, or its absence decides the
// outcome.
func (m *Machine) mustReadFirst(now int64, op *wire.Op, owners []ring.NodeID, row causal.Container) bool {
	if len(owners) == 1 {
		return false
	}
	if owners[0] != m.cfg.Self || !m.whole(op.Partition) || m.current != nil && !m.current(op.Partition) {
		return true
	}
	switch op.Code {
	case wire.OpDel, wire.OpExpire, wire.OpPersist:
		return row.LiveCount(now) == 0
	case wire.OpSet:
		return op.TTL == wire.TTLKeep && row.LiveCount(now) == 0
	case wire.OpVSet, wire.OpVDel:
		ctx, ok := m.open(op.Key, op.Context)
		return ok && ahead(ctx, &m.store.Replica(op.Partition).Clock)
	}
	return false
}

// unreadable answers an operation whose row is damaged here. The replica takes a fresh actor: a write that it based
// on a lost row would claim to have seen dots of its own that it no longer holds.
func (m *Machine) unreadable(op *wire.Op, err error) wire.Result {
	m.Stats.Unreadable++
	if op.Code.Write() {
		if e := m.store.Renew(op.Partition); e != nil {
			err = e
		}
	}
	return wire.Result{Status: wire.Failed, Err: "this node's copy of the key is damaged and was not used: " + err.Error()}
}

// writeNow evaluates a write whose quorum read is done, on the row as it is now.
func (m *Machine) writeNow(now int64, p *pending) {
	row, err := m.store.Row(p.op.Partition, p.op.Slot, p.op.Key)
	if err != nil {
		m.finish(p, m.unreadable(&p.op, err))
		return
	}
	if m.liveCount(p.owners) < quorum(m.cfg.W, p.owners) {
		m.finish(p, status(wire.NoReplicas))
		return
	}
	res, after, dots := m.evalWrite(now, &p.op, row)
	if len(dots) == 0 {
		m.finish(p, res)
		return
	}
	m.store.Put(p.op.Partition, p.op.Slot, p.op.Key, after, dots)
	m.replicate(p, res, after)
}

// replicate sends the whole container to the other owners and waits for W copies. This node's own is one.
func (m *Machine) replicate(p *pending, res wire.Result, row causal.Container) {
	m.beginCopies(p, res)
	for i, owner := range p.owners {
		if i == p.self || !m.up[owner] {
			continue
		}
		p.asked.add(i)
		m.sendRow(owner, p.id, &p.op, row)
	}
	m.writeProgress(p)
}

// beginCopies prepares a write's pending state: an owner before this one that is up must be among the W.
func (m *Machine) beginCopies(p *pending, res wire.Result) {
	p.phase, p.result = phaseWrite, res
	p.need = quorum(m.cfg.W, p.owners)
	p.asked, p.acked, p.must = 0, 0, 0
	p.acked.add(p.self)
	if first, ok := m.first(p.owners); ok && first != m.cfg.Self {
		p.must.add(position(p.owners, first))
	}
}

func (m *Machine) sendRow(to ring.NodeID, id uint64, op *wire.Op, row causal.Container) {
	it := m.send(to, wire.ItemWrite, id)
	it.Partition, it.Slot, it.Key = op.Partition, op.Slot, op.Key
	it.Life, it.Row = m.store.Replica(op.Partition).Life, row
}

func (m *Machine) onAck(p *pending, at int, it *wire.Item) {
	p.asked.drop(at)
	if it.Has(wire.FlagRefused) {
		p.must.drop(at)
	} else {
		p.acked.add(at)
	}
	if it.Has(wire.FlagUncovered) && p.phase == phaseWrite {
		m.Stats.Conflicts++
	}
	m.writeProgress(p)
}

// writeProgress ends a write, or a read that writes back, when enough owners hold it or enough never will.
func (m *Machine) writeProgress(p *pending) {
	have := p.acked.count()
	switch {
	case have >= p.need && p.must&^p.acked == 0:
		m.finish(p, p.result)
	case have+p.asked.count() >= p.need:
	case p.phase == phaseWriteBack:
		m.finish(p, m.unshowable())
	default:
		m.finish(p, wire.Result{Status: wire.Uncertain, Reached: uint8(have), Wanted: uint8(p.need)})
	}
}

// onWrite takes in a container that a peer coordinated, or writes back.
func (m *Machine) onWrite(from ring.NodeID, it *wire.Item) {
	rep := m.replicaOf(it.Partition)
	if rep == nil {
		m.send(from, wire.ItemAck, it.ID).Flags = wire.FlagRefused
		return
	}
	row, err := m.store.Row(it.Partition, it.Slot, it.Key)
	if err != nil {
		m.Stats.Unreadable++
		m.send(from, wire.ItemAck, it.ID).Flags = wire.FlagRefused
		return
	}
	a := m.admit(rep, it.Partition, it.Slot, it.Key, row, it.Row)
	ack := m.send(from, wire.ItemAck, it.ID)
	if a.Uncovered {
		ack.Flags = wire.FlagUncovered
	}
}

// admit merges a container into the row by the late-message rule and stores the outcome.
func (m *Machine) admit(rep *causal.Replica, p ring.Partition, s ring.Slot, key []byte, row, in causal.Container) causal.Admitted {
	a := rep.Admit(row, in)
	if a.TwoValues {
		m.Stats.TwoValues++
	}
	if a.Changed || len(a.Fresh) > 0 {
		m.store.Put(p, s, key, a.Row, a.Fresh)
	}
	return a
}

// replicaOf is the replica of a partition that the ring map gives to this node, nil when it is none of its business.
func (m *Machine) replicaOf(p ring.Partition) *causal.Replica {
	if m.ring == nil || int(p) >= m.ring.Q || m.ring.Position(p, m.cfg.Self) < 0 {
		return nil
	}
	return m.store.Replica(p)
}
