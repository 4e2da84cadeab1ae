package handoff

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// onHint takes in a copy for owners that its coordinator could not reach.
func (m *Machine) onHint(now int64, from ring.NodeID, it *wire.Item) {
	answer := wire.Item{Kind: wire.ItemAck, ID: it.ID}
	if !m.keep(now, it) {
		m.Stats.Refused++
		answer.Flags = wire.FlagRefused
	}
	if it.ID != 0 {
		m.send(from, answer)
	}
}

// keep stores the copy beside what is kept of the key already, and reports whether it could.
func (m *Machine) keep(now int64, it *wire.Item) bool {
	if m.ring == nil || int(it.Partition) >= m.ring.Q || m.ring.Position(it.Partition, m.cfg.Self) >= 0 {
		return false
	}
	if len(it.Row.Versions) == 0 { // a flush has dropped meanwhile what was to be kept
		return true
	}
	have, err := m.store.Hint(it.Partition, it.Slot, it.Key)
	if err != nil {
		m.Stats.Unreadable++
		return false
	}
	row := causal.Merge(have, it.Row)
	if !causal.Same(have, row) {
		more := row.Size() - have.Size()
		if have.Empty() {
			more = row.Size() + len(it.Key)
		}
		if _, bytes := m.store.HintStats(); more > 0 && bytes+int64(more) > m.cfg.MaxBytes {
			return false
		}
		m.store.PutHint(it.Partition, it.Slot, it.Key, row)
	}
	m.Stats.Taken++
	m.expect(now, it.Partition)
	return true
}

// expect plans a round for a partition that has a hint: the first at once, since the owners that its coordinator could not
// reach may be reachable from here.
func (m *Machine) expect(now int64, p ring.Partition) {
	i, found := m.find(p)
	if !found {
		m.parts = slices.Insert(m.parts, i, &part{partition: p, due: now})
		return
	}
	m.parts[i].quiet = 0
	m.parts[i].due = min(m.parts[i].due, now+m.cfg.Every)
}

func (m *Machine) find(p ring.Partition) (int, bool) {
	return slices.BinarySearchFunc(m.parts, p, func(x *part, p ring.Partition) int { return int(x.partition) - int(p) })
}

// onDurable answers what a power cut would leave of this node's replica.
func (m *Machine) onDurable(from ring.NodeID, it *wire.Item) {
	answer := wire.Item{Kind: wire.ItemAdvert, ID: it.ID, Partition: it.Partition, Flags: wire.FlagRefused}
	if clock := m.durable(it.Partition); clock != nil {
		c := clock.Clone()
		answer.Life, answer.Flags = m.store.Replica(it.Partition).Life, 0
		answer.Repair = &wire.Repair{Durable: &c}
	}
	m.send(from, answer)
}

// durable is the durable clock of this node's replica, nil where this node is no owner or its replica is being filled.
func (m *Machine) durable(p ring.Partition) *causal.Clock {
	if m.ring == nil || int(p) >= m.ring.Q || m.ring.Position(p, m.cfg.Self) < 0 {
		return nil
	}
	if rep := m.store.Replica(p); rep == nil || rep.Filling {
		return nil
	}
	return m.store.Durable(p)
}
