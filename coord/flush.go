package coord

import (
	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// A flush drops, by one range tombstone, every dot of the partition that R owners have processed: their exact clocks
// are joined, holes and all, since a vector made from a clock with holes would drop writes that nobody had seen.

func (m *Machine) startFlush(now int64, op *wire.Op, o origin) {
	p := m.begin(now, op, o)
	p.phase = phaseClocks
	p.need = quorum(m.cfg.R, p.owners)
	p.clock = m.store.Replica(op.Partition).Clock.Clone()
	if m.whole(op.Partition) {
		p.whole.add(p.self)
	}
	for i, owner := range p.owners {
		if i != p.self && m.reaches(owner, op.Partition) {
			p.asked.add(i)
			m.send(owner, wire.ItemClockRead, p.id).Partition = op.Partition
		}
	}
	m.clockProgress(now, p)
}

// onClockRead answers what this node has processed of a partition.
func (m *Machine) onClockRead(from ring.NodeID, it *wire.Item) {
	answer := m.send(from, wire.ItemClock, it.ID)
	rep := m.replicaOf(it.Partition)
	if rep == nil {
		answer.Flags = wire.FlagRefused
		return
	}
	clock := rep.Clock.Clone()
	answer.Clock = &clock
	if m.whole(it.Partition) {
		answer.Flags = wire.FlagWhole
	}
}

func (m *Machine) onClock(now int64, p *pending, at int, it *wire.Item) {
	p.asked.drop(at)
	if !it.Has(wire.FlagRefused) {
		p.clock.Union(it.Clock)
		if it.Has(wire.FlagWhole) {
			p.whole.add(at)
		}
	}
	m.clockProgress(now, p)
}

func (m *Machine) clockProgress(now int64, p *pending) {
	if m.replicaOf(p.op.Partition) == nil {
		m.yield(now, p)
		return
	}
	if p.whole.count() < p.need {
		if p.asked == 0 {
			m.finish(p, status(wire.NoReplicas))
		}
		return
	}
	rep := m.replicaOf(p.op.Partition)
	if rep == nil || m.liveCount(p.op.Partition, p.owners) < quorum(m.cfg.W, p.owners) {
		m.finish(p, status(wire.NoReplicas))
		return
	}
	dot := rep.Next()
	m.store.Flush(p.op.Partition, dot, &p.clock)
	dropped := p.clock.Clone()
	m.beginCopies(p, wire.Result{})
	for i, owner := range p.owners {
		if i == p.self || !m.reaches(owner, p.op.Partition) {
			continue
		}
		p.asked.add(i)
		it := m.send(owner, wire.ItemFlush, p.id)
		it.Partition, it.Life, it.Dot, it.Clock = p.op.Partition, rep.Life, dot, &dropped
	}
	m.writeProgress(p)
}

// onFlush takes in a range tombstone.
func (m *Machine) onFlush(from ring.NodeID, it *wire.Item) {
	rep := m.replicaOf(it.Partition)
	if rep == nil {
		m.send(from, wire.ItemAck, it.ID).Flags = wire.FlagRefused
		return
	}
	Drop(m.store, rep, it.Partition, it.Dot, it.Clock)
	m.send(from, wire.ItemAck, it.ID)
}

// Drop stores a range tombstone once.
func Drop(s Store, rep *causal.Replica, p ring.Partition, dot causal.Dot, dropped *causal.Clock) {
	if !rep.Clock.Contains(dot) {
		s.Flush(p, dot, dropped)
	}
}
