package coord

import (
	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// startWrite begins a write at an owner.
func (m *Machine) startWrite(now int64, op *wire.Op, o origin) {
	owners := m.ring.OwnersOf(op.Partition)
	if !m.enoughFor(op, owners) {
		m.deliver(o, status(wire.NoReplicas))
		return
	}
	first, _ := m.first(op.Partition, owners)
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
		m.deliver(o, m.unreadable(err))
		return
	}
	if m.mustReadFirst(now, op, owners, row) {
		m.Stats.ReadFirst++
		m.ask(now, m.begin(now, op, o), row)
		return
	}
	res, after, dots := m.evalWrite(m.wall(now), op, row)
	if len(dots) == 0 {
		m.deliver(o, res)
		return
	}
	m.store.Put(op.Partition, op.Slot, op.Key, after, dots)
	if quorum(m.cfg.W, owners) == 1 && len(owners) == 1 {
		m.deliver(o, res)
		return
	}
	if m.share(op, o, owners, &res, after) {
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
	if owners[0] != m.cfg.Self || m.passedOver[m.cfg.Self] || !m.whole(op.Partition) || m.current != nil && !m.current(op.Partition) {
		return true
	}
	switch op.Code {
	case wire.OpDel, wire.OpExpire, wire.OpPersist:
		return row.LiveCount(m.wall(now)) == 0
	case wire.OpSet:
		return op.TTL == wire.TTLKeep && row.LiveCount(m.wall(now)) == 0
	case wire.OpVSet, wire.OpVDel:
		ctx, ok := m.open(op.Key, op.Context)
		return ok && ahead(ctx, &m.store.Replica(op.Partition).Clock)
	}
	return false
}

// unreadable answers an operation whose row is damaged here. A write that was based on a lost row would claim to have seen
// dots of its own life that it no longer holds: so nothing is written, and whoever takes the row back from another owner
// begins a new life first. Each refusal beginning one would cost an fsync, the pulls under way, and an actor in the vectors
// of other rows.
func (m *Machine) unreadable(err error) wire.Result {
	m.Stats.Unreadable++
	return wire.Result{Status: wire.Failed, Err: "this node's copy of the key is damaged and was not used: " + err.Error()}
}

// writeNow evaluates a write whose quorum read is done, on the row as it is now.
func (m *Machine) writeNow(now int64, p *pending) {
	row, err := m.store.Row(p.op.Partition, p.op.Slot, p.op.Key)
	if err != nil {
		m.finish(p, m.unreadable(err))
		return
	}
	if !m.enoughFor(p.op, p.owners) {
		m.finish(p, status(wire.NoReplicas))
		return
	}
	res, after, dots := m.evalWrite(now+p.drift, p.op, row)
	if len(dots) == 0 {
		m.finish(p, res)
		return
	}
	m.store.Put(p.op.Partition, p.op.Slot, p.op.Key, after, dots)
	if m.share(p.op, p.origin(), p.owners, &res, after) {
		m.forget(p)
		return
	}
	m.replicate(p, res, after)
}

// share ends a write that another owner forwarded where two copies are enough: the answer takes the container there,
// and when that owner has stored it the two are made; the remaining owners are sent theirs and nobody waits for them.
// It reports whether it could.
func (m *Machine) share(op *wire.Op, o origin, owners []ring.NodeID, res *wire.Result, row causal.Container) bool {
	if !o.shared || o.orphan || quorum(m.cfg.W, owners) > 2 || !m.up[o.from] || position(owners, o.from) < 0 {
		return false
	}
	if first, ok := m.first(op.Partition, owners); ok && first != m.cfg.Self { // it must be among the W
		return false
	}
	it := m.answer(o.from, wire.ItemWritten, o.reply, res)
	it.Life, it.Row = m.store.Replica(op.Partition).Life, row
	if (op.Code == wire.OpSet || op.Code == wire.OpVSet) && len(row.Versions) == 1 {
		it.Flags = wire.FlagShared
	}
	for _, owner := range owners {
		if owner != m.cfg.Self && owner != o.from && m.reaches(owner, op.Partition) {
			m.sendRow(owner, 0, op, row)
		}
	}
	return true
}

// onWritten takes in the outcome of a write that this owner had forwarded: with it there are two copies. A replica that
// began to be filled meanwhile keeps it all the same: it stays there, as what it held before, and its client need not be
// left in doubt.
func (m *Machine) onWritten(p *pending, it *wire.Item) {
	rep := m.store.Replica(p.op.Partition)
	row, err := m.store.Row(p.op.Partition, p.op.Slot, p.op.Key)
	if rep == nil || err != nil {
		m.finish(p, wire.Result{Status: wire.Uncertain, Reached: 1, Wanted: 2})
		return
	}
	in := it.Row
	if it.Has(wire.FlagShared) && len(in.Versions) == 1 {
		v := in.Versions[0]
		v.Payload = p.op.Value
		in.Versions = []causal.Version{v}
	}
	if m.admit(rep, p.op.Partition, p.op.Slot, p.op.Key, row, in).Uncovered {
		m.Stats.Conflicts++
	}
	m.finish(p, *it.Result)
}

// replicate sends the whole container to the other owners and waits for W copies. This node's own is one. Only as many
// owners as are needed are asked to acknowledge theirs; when one of them fails or is slow another is asked.
func (m *Machine) replicate(p *pending, res wire.Result, row causal.Container) {
	m.beginCopies(p, res)
	want := p.need - p.acked.count() - p.must.count()
	m.inTurn(p, func(i int) bool {
		id := uint64(0)
		if p.must.has(i) || want > 0 {
			if !p.must.has(i) {
				want--
			}
			id = p.id
			p.asked.add(i)
		}
		m.sendRow(p.owners[i], id, p.op, row)
		return true
	})
	m.writeProgress(p)
}

// copyTo sends the row as it is now to up to n more owners, which are asked to acknowledge it, and answers how many.
func (m *Machine) copyTo(p *pending, n int) int {
	if m.replicaOf(p.op.Partition) == nil {
		return 0
	}
	row, err := m.store.Row(p.op.Partition, p.op.Slot, p.op.Key)
	if err != nil {
		return 0
	}
	sent := 0
	m.inTurn(p, func(i int) bool {
		if sent < n && !p.asked.has(i) && !p.acked.has(i) && !p.refused.has(i) {
			p.asked.add(i)
			m.sendRow(p.owners[i], p.id, p.op, row)
			sent++
		}
		return sent < n
	})
	return sent
}

// beginCopies prepares a write's pending state: an owner before this one that is up must be among the W.
func (m *Machine) beginCopies(p *pending, res wire.Result) {
	p.phase, p.result = phaseWrite, res
	p.need = quorum(m.cfg.W, p.owners)
	p.asked, p.acked, p.must, p.refused, p.standins = 0, 0, 0, 0, p.standins[:0]
	p.acked.add(p.self)
	if first, ok := m.first(p.op.Partition, p.owners); ok && first != m.cfg.Self {
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
		p.refused.add(at)
	} else {
		p.acked.add(at)
	}
	if it.Has(wire.FlagUncovered) && p.phase == phaseWrite {
		m.Stats.Conflicts++
	}
	m.writeProgress(p)
}

// writeProgress ends a write, or a read that writes back, when enough places hold it or enough never will. Where no
// owner is left to ask, nodes that stand in for the missing ones are.
func (m *Machine) writeProgress(p *pending) {
	have := p.met().count()
	if short := p.need - have - p.open().count(); short > 0 && p.phase == phaseWrite && p.op.Code.Keyed() {
		if short -= m.copyTo(p, short); short > 0 {
			m.standIn(p, short)
		}
	}
	switch {
	case have >= p.need && p.must&^p.acked == 0:
		m.finish(p, p.result)
	case have+p.open().count() >= p.need:
	case p.phase == phaseWriteBack:
		m.finish(p, m.unshowable())
	default:
		m.finish(p, wire.Result{Status: wire.Uncertain, Reached: uint8(have), Wanted: uint8(p.need)})
	}
}

// onWrite takes in a container that a peer coordinated, or writes back. Id 0: nobody waits for the acknowledgement.
func (m *Machine) onWrite(from ring.NodeID, it *wire.Item) {
	rep := m.replicaOf(it.Partition)
	if rep == nil {
		m.acknowledge(from, it, wire.FlagRefused)
		return
	}
	row, err := m.store.Row(it.Partition, it.Slot, it.Key)
	if err != nil {
		m.Stats.Unreadable++
		m.acknowledge(from, it, wire.FlagRefused)
		return
	}
	a := m.admit(rep, it.Partition, it.Slot, it.Key, row, it.Row)
	switch {
	case !a.Uncovered:
		m.acknowledge(from, it, 0)
	case it.ID == 0 && len(a.Fresh) > 0:
		m.Stats.Conflicts++ // nobody waits to be told
	default:
		m.acknowledge(from, it, wire.FlagUncovered)
	}
}

// acknowledge answers a copy if anybody waits for that.
func (m *Machine) acknowledge(from ring.NodeID, it *wire.Item, f wire.Flags) {
	if it.ID != 0 {
		m.send(from, wire.ItemAck, it.ID).Flags = f
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

// replicaOf is the replica of a partition that the ring map gives to this node, nil when it is none of its business or
// is being filled: then it answers nothing and takes nothing.
func (m *Machine) replicaOf(p ring.Partition) *causal.Replica {
	if m.ring == nil || int(p) >= m.ring.Q || m.ring.Position(p, m.cfg.Self) < 0 {
		return nil
	}
	if rep := m.store.Replica(p); rep != nil && !rep.Filling {
		return rep
	}
	return nil
}
