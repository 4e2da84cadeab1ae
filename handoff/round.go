package handoff

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// part is a partition with hints.
type part struct {
	partition ring.Partition
	due       int64 // when the next round begins
	quiet     uint  // rounds since the last one that did something, at most quietMost
	again     bool  // an owner came up during the round: make another one at once
	round     *round
	late      []owner // asked in the last round, and not heard before it ended: their answers are for the next
	lacking   []int   // per owner: hints that it lacked, or may have lacked, in the last round
}

// patience is the part of Timeout that a round waits for answers about clocks: one silent owner holds up no others.
const patience = 10

// round is one pass over the hints of a partition.
type round struct {
	owners []owner
	until  int64 // answers about clocks are awaited until then
	began  bool  // the pass has begun: first and after say where it is
	first  bool
	after  wire.Ref
	ended  bool // all hints were looked at
	open   int  // hints under way
	did    bool // something was sent, taken or deleted
	again  bool // something is worth looking at again soon
}

// owner is one owner in a round.
type owner struct {
	node  ring.NodeID
	id    uint64        // of the open question about its clock, 0: none
	until int64         // ... which is put again then
	clock *causal.Clock // its durable clock, heard in the connection that stands; nil: unknown
	out   bool          // it is sent nothing in this round
	lacks int
}

func (x *part) owner(node ring.NodeID) *owner {
	if x.round == nil {
		return nil
	}
	for i := range x.round.owners {
		if x.round.owners[i].node == node {
			return &x.round.owners[i]
		}
	}
	return nil
}

// reaches reports whether an owner can be told of the partition's hints.
func (m *Machine) reaches(p ring.Partition) bool {
	return slices.ContainsFunc(m.ring.OwnersOf(p), func(o ring.NodeID) bool { return o == m.cfg.Self || m.up[o] })
}

// begin begins the rounds that are due, as many as may be under way.
func (m *Machine) begin(now int64) {
	for i := range m.parts {
		if m.rounds >= m.cfg.MaxRounds {
			return
		}
		x := m.parts[(m.next+1+i)%len(m.parts)]
		if x.round == nil && now >= x.due && m.reaches(x.partition) {
			m.rounds++
			x.again = false
			x.round = &round{until: now + m.cfg.Timeout/patience, first: true}
			for _, node := range m.ring.OwnersOf(x.partition) {
				x.round.owners = append(x.round.owners, x.lateOf(now, node, !m.up[node]))
			}
			x.late = x.late[:0]
			for i := range x.round.owners {
				if o := &x.round.owners[i]; o.node != m.cfg.Self && !o.out && o.id == 0 && o.clock == nil {
					m.ask(now, x, o)
				}
			}
		}
	}
}

// lateOf is how an owner begins a round: with its answer to the last one's question, if that came too late or may still
// come. Where an answer takes longer than a round waits for it, rounds would else never learn anything.
func (x *part) lateOf(now int64, node ring.NodeID, out bool) owner {
	for _, o := range x.late {
		if o.node == node && !out && (o.clock != nil || o.id != 0 && now < o.until) {
			return owner{node: node, id: o.id, until: o.until, clock: o.clock}
		}
	}
	return owner{node: node, out: out}
}

// asked is the owner that a question went to, in the round under way or in the last.
func (x *part) asked(node ring.NodeID, id uint64) *owner {
	if o := x.owner(node); o != nil && o.id == id {
		return o
	}
	i := slices.IndexFunc(x.late, func(o owner) bool { return o.node == node && o.id == id })
	if i < 0 {
		return nil
	}
	return &x.late[i]
}

// ask asks an owner what it holds durably.
func (m *Machine) ask(now int64, x *part, o *owner) {
	o.id, o.until = m.id(), now+m.cfg.Timeout
	m.send(o.node, wire.Item{Kind: wire.ItemDurable, ID: o.id, Partition: x.partition})
}

func (m *Machine) onAdvert(now int64, from ring.NodeID, it *wire.Item) {
	i, found := m.find(it.Partition)
	if !found || it.ID == 0 {
		return
	}
	x := m.parts[i]
	o := x.asked(from, it.ID)
	if o == nil {
		return
	}
	o.id = 0
	heard := !it.Has(wire.FlagRefused) && it.Repair != nil && it.Repair.Durable != nil
	if heard {
		clock := it.Repair.Durable.Clone()
		o.clock = &clock
	}
	switch {
	case x.round == nil:
		if heard {
			x.due = now
			m.begin(now)
		}
		return
	case !heard:
		o.out, x.round.again = true, true
	default:
		x.again = x.again || x.round.began // it has missed a part of the pass
	}
	m.advance(now, x, m.rows)
}

func (m *Machine) onAck(now int64, from ring.NodeID, it *wire.Item) {
	if it.ID&idBit == 0 { // the coordinator's
		return
	}
	i := slices.IndexFunc(m.under, func(f flight) bool { return f.id == it.ID && f.peer == from })
	if i < 0 {
		return
	}
	x := m.under[i].part
	m.land(i, !it.Has(wire.FlagRefused))
	if x.round != nil {
		m.advance(now, x, m.rows)
	}
}

// land ends a flight. An owner that did not take its hint is left alone for the rest of the round.
func (m *Machine) land(i int, taken bool) {
	f := m.under[i]
	m.under = slices.Delete(m.under, i, i+1)
	t := m.targetOf(f.peer)
	t.UnderWay--
	if f.round != f.part.round {
		return
	}
	f.round.open--
	if taken {
		m.Stats.Replayed++
		t.Replayed++
		return
	}
	m.Stats.Rejected++
	t.Rejected++
	f.round.again = true
	if o := f.part.owner(f.peer); o != nil {
		o.out = true
	}
}

// advance goes on with a round, looking at up to about limit hints, and answers how many are left of that. It stops
// where an owner has enough under way: the next ones follow its answers.
func (m *Machine) advance(now int64, x *part, limit int) int {
	r := x.round
	if !r.began {
		for i := range r.owners {
			switch o := &r.owners[i]; {
			case o.id == 0:
			case now < r.until:
				return limit
			default:
				r.again = true // it may still answer
			}
		}
		r.began = true
	}
	for limit > 0 && !r.ended {
		m.batch = m.batch[:0]
		done := m.store.Hints(x.partition, r.first, r.after, min(limit, m.cfg.Window), func(s ring.Slot, key []byte, row causal.Container) {
			m.batch = append(m.batch, hint{slot: s, key: slices.Clone(key), row: row})
		})
		for i := range m.batch {
			h := &m.batch[i]
			if !m.offer(now, x, h) {
				return 0
			}
			r.first, r.after = false, wire.Ref{Partition: x.partition, Slot: h.slot, Key: h.key}
			limit--
		}
		r.ended = done
	}
	if r.ended && r.open == 0 {
		m.end(now, x)
	}
	return limit
}

// offer does with a hint what there is to do, and reports whether it could: an owner that lacks it may have enough under
// way.
func (m *Machine) offer(now int64, x *part, h *hint) bool {
	r, all := x.round, true
	m.lack = m.lack[:0]
	for i := range r.owners {
		o := &r.owners[i]
		clock := o.clock
		if o.node == m.cfg.Self {
			clock = m.durable(x.partition)
		}
		if clock != nil && has(clock, h.row) {
			continue
		}
		all = false
		if o.node == m.cfg.Self || clock != nil && !o.out {
			m.lack = append(m.lack, o)
		}
	}
	if all || len(h.row.Versions) == 0 {
		m.Stats.Deleted++
		r.did = true
		m.store.PutHint(x.partition, h.slot, h.key, causal.Container{})
		return true
	}
	for _, o := range m.lack {
		if o.node != m.cfg.Self && m.targetOf(o.node).UnderWay >= m.cfg.Window {
			return false
		}
	}
	for i := range r.owners {
		if o := &r.owners[i]; o.clock == nil || !has(o.clock, h.row) {
			o.lacks++
		}
	}
	for _, o := range m.lack {
		r.did, r.again = true, true
		if o.node == m.cfg.Self {
			m.take(x.partition, h)
			continue
		}
		id := m.id()
		r.open++
		m.targetOf(o.node).UnderWay++
		m.under = append(m.under, flight{id: id, peer: o.node, part: x, round: r, until: now + m.cfg.Timeout})
		m.send(o.node, wire.Item{Kind: wire.ItemWrite, ID: id, Partition: x.partition, Slot: h.slot, Key: h.key, Row: h.row})
	}
	return true
}

// has reports whether the clock contains the dot of each version.
func has(clock *causal.Clock, row causal.Container) bool {
	return !slices.ContainsFunc(row.Versions, func(v causal.Version) bool { return !clock.Contains(v.Dot) })
}

// take merges a hint of a partition that this node has come to own into the own row.
func (m *Machine) take(p ring.Partition, h *hint) {
	rep := m.store.Replica(p)
	if rep == nil || rep.Filling || has(&rep.Clock, h.row) {
		return
	}
	row, err := m.store.Row(p, h.slot, h.key)
	if err != nil {
		m.Stats.Unreadable++
		return
	}
	a := rep.Admit(row, h.row)
	if a.TwoValues {
		m.Stats.TwoValues++
	}
	if a.Changed || len(a.Fresh) > 0 {
		m.Stats.Own++
		m.store.Put(p, h.slot, h.key, a.Row, a.Fresh)
	}
}

// end plans the next round.
func (m *Machine) end(now int64, x *part) {
	r := x.round
	x.round = nil
	m.rounds--
	x.lacking = x.lacking[:0]
	for i := range r.owners {
		x.lacking = append(x.lacking, r.owners[i].lacks)
		if r.owners[i].id != 0 {
			x.late = append(x.late, r.owners[i])
		}
	}
	switch {
	case m.store.HintCount(x.partition) == 0:
		if i, found := m.find(x.partition); found {
			m.parts = slices.Delete(m.parts, i, i+1)
		}
	case x.again:
		x.due = now
	case r.again:
		x.due, x.quiet = now+m.cfg.Retry, 0
	default:
		if x.quiet = min(x.quiet+1, quietMost); r.did {
			x.quiet = 0
		}
		x.due = now + m.cfg.Every<<x.quiet
	}
}
