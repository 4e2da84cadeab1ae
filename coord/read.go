package coord

import (
	"encoding/binary"
	"slices"

	"github.com/cespare/xxhash/v2"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// startRead begins a read at an owner.
func (m *Machine) startRead(now int64, op *wire.Op, o origin) {
	row, err := m.store.Row(op.Partition, op.Slot, op.Key)
	if err != nil {
		m.readElsewhere(now, op, o, err)
		return
	}
	owners := m.ring.OwnersOf(op.Partition)
	if m.whole(op.Partition) && (op.ReadOne || quorum(m.cfg.R, owners) == 1) {
		m.deliver(o, m.evalRead(m.wall(now), op, row))
		return
	}
	if m.follow(op, o) {
		return
	}
	p := m.begin(now, op, o)
	m.lead(p)
	if op.Code != wire.OpVGet { // a context and siblings are not made in vain
		p.early, p.result = true, m.evalRead(m.wall(now), op, row)
	}
	m.ask(now, p, row)
}

// readElsewhere: the row is damaged here, so another owner coordinates a client's read.
func (m *Machine) readElsewhere(now int64, op *wire.Op, o origin, err error) {
	if o.from == 0 {
		for _, owner := range m.ring.OwnersOf(op.Partition) {
			if m.reaches(owner, op.Partition) {
				m.Stats.Unreadable++
				m.forward(now, op, o, owner)
				return
			}
		}
	}
	m.deliver(o, m.unreadable(err))
}

// ask begins to collect rows: for a read, or before a write. The first live owner, where writes are coordinated, is
// always among those asked.
func (m *Machine) ask(now int64, p *pending, row causal.Container) {
	p.phase = phaseRead
	p.digest = digest(row)
	p.need = quorum(m.cfg.R, p.owners)
	if p.op.Code.Keyed() && !p.op.Code.Write() && p.op.ReadOne {
		p.need = 1
	}
	if m.whole(p.op.Partition) {
		p.answered.add(p.self)
		p.whole.add(p.self)
		p.digests[p.self] = p.digest
	}
	if first, ok := m.first(p.op.Partition, p.owners); ok && first != m.cfg.Self {
		m.askOwner(p, position(p.owners, first))
		if m.lags(first) {
			m.askQuick(p)
		}
	}
	m.askMore(p, p.need-p.whole.count()-p.asked.count())
	m.readProgress(now, p)
}

// askQuick asks one more owner beside one that lags behind, so that nobody waits for that one. It asks no other that lags: a cluster
// that is slow as a whole gets no more questions.
func (m *Machine) askQuick(p *pending) {
	m.inTurn(p, func(i int) bool {
		if p.asked.has(i) {
			return true
		}
		if !m.lags(p.owners[i]) {
			m.askOwner(p, i)
		}
		return false
	})
}

// askMore asks up to n live owners that were not asked yet.
func (m *Machine) askMore(p *pending, n int) {
	m.inTurn(p, func(i int) bool {
		if n > 0 && !p.asked.has(i) && !p.answered.has(i) && !p.refused.has(i) {
			m.askOwner(p, i)
			n--
		}
		return n > 0
	})
}

func (m *Machine) askOwner(p *pending, at int) {
	p.asked.add(at)
	it := m.send(p.owners[at], wire.ItemRead, p.id)
	it.Partition, it.Slot, it.Key, it.Digest = p.op.Partition, p.op.Slot, p.op.Key, p.digest
}

// onRead answers what this node holds of a key.
func (m *Machine) onRead(from ring.NodeID, it *wire.Item) {
	answer := m.send(from, wire.ItemRow, it.ID)
	rep := m.replicaOf(it.Partition)
	if rep == nil {
		m.answerHint(it, answer)
		return
	}
	row, err := m.store.Row(it.Partition, it.Slot, it.Key)
	if err != nil {
		m.Stats.Unreadable++
		answer.Flags = wire.FlagRefused
		return
	}
	if m.whole(it.Partition) {
		answer.Flags |= wire.FlagWhole
	}
	if digest(row) == it.Digest {
		answer.Flags |= wire.FlagSame
		return
	}
	answer.Row = row
	if !rep.Flushed.IsZero() { // where no row is, no vector can say that the reader's values were dropped
		dropped := rep.Flushed.Clone()
		answer.Clock, answer.Flags = &dropped, answer.Flags|wire.FlagFlushed
	}
}

// onRow takes in an owner's answer: it is a late message too, so it goes through the late-message rule into the local
// row first, and the reader answers from that.
func (m *Machine) onRow(now int64, p *pending, at int, it *wire.Item) {
	p.asked.drop(at)
	if it.Has(wire.FlagRefused) {
		p.refused.add(at)
		m.readProgress(now, p)
		return
	}
	p.answered.add(at)
	switch {
	case it.Has(wire.FlagSame):
		p.digests[at] = p.digest
	default:
		p.digests[at] = digest(it.Row)
		if !m.takeAnswer(p, it) {
			return
		}
	}
	if it.Has(wire.FlagWhole) {
		p.whole.add(at)
	}
	m.readProgress(now, p)
}

// takeAnswer merges an answer's row into the local one. Where that is not possible it ends the operation and reports
// false.
func (m *Machine) takeAnswer(p *pending, it *wire.Item) bool {
	p.early = false
	rep := m.replicaOf(p.op.Partition)
	if rep == nil {
		m.yield(m.now, p)
		return false
	}
	row, err := m.store.Row(p.op.Partition, p.op.Slot, p.op.Key)
	if err != nil {
		m.finish(p, status(wire.ClusterDown))
		return false
	}
	if it.Has(wire.FlagFlushed) {
		row = m.strip(p.op, row, it.Clock)
	}
	if m.admit(rep, p.op.Partition, p.op.Slot, p.op.Key, row, it.Row).Changed {
		m.Stats.ReadRepairs++
	}
	return true
}

// strip takes from the local row what flushes dropped at another owner. The flush itself comes by pull.
func (m *Machine) strip(op *wire.Op, row causal.Container, dropped *causal.Clock) causal.Container {
	kept := slices.DeleteFunc(slices.Clone(row.Versions), func(v causal.Version) bool { return dropped.Contains(v.Dot) })
	if len(kept) == len(row.Versions) {
		return row
	}
	row.Versions = kept
	m.store.Put(op.Partition, op.Slot, op.Key, row, nil)
	return row
}

// readProgress ends the collecting when R whole owners have answered, or when no more answers can come.
func (m *Machine) readProgress(now int64, p *pending) {
	if m.replicaOf(p.op.Partition) == nil {
		m.yield(now, p)
		return
	}
	if p.whole.count() < p.need {
		if short := p.need - p.whole.count() - p.asked.count(); short > 0 && now < p.deadline {
			m.askMore(p, short)
		}
		if p.asked != 0 || p.waitsForHints() || m.askHints(now, p) {
			return
		}
		if p.op.Code.Write() {
			m.writeUnread(now, p)
			return
		}
		if m.cfg.Strict || p.whole == 0 {
			m.finish(p, status(wire.ClusterDown))
			return
		}
		m.Stats.SloppyReads++
	}
	if p.op.Code.Write() {
		m.writeNow(now, p)
		return
	}
	m.show(now, p)
}

// writeUnread: fewer than R owners could be read before a write. With nothing to read from, a coordinator that may
// lack writes must not guess; otherwise it goes on with what it was told.
func (m *Machine) writeUnread(now int64, p *pending) {
	if m.cfg.Strict || p.whole == 0 || now >= p.deadline {
		m.finish(p, status(wire.NoReplicas))
		return
	}
	m.writeNow(now, p)
}

// show answers the local row, after R owners hold it. The others that were seen to differ are repaired on the side.
//
// As a rule nobody differs, and the answer that was made when the read began stands: R owners held that row after the read had
// begun, so it has everything that was acknowledged before. The row is not read again, although it may be newer by now.
func (m *Machine) show(now int64, p *pending) {
	if p.early && len(p.followers) == 0 {
		m.finish(p, p.result)
		return
	}
	row, err := m.store.Row(p.op.Partition, p.op.Slot, p.op.Key)
	if err != nil {
		m.finish(p, m.unreadable(err))
		return
	}
	res := m.evalRead(now+p.drift, p.op, row)
	m.evalFollowers(now+p.drift, p, row)
	now64 := digest(row)
	var same, differ set
	for i, owner := range p.owners {
		switch {
		case i == p.self && p.answered.has(i):
			same.add(i) // the local row is what is shown
		case !p.answered.has(i) || !m.up[owner]:
		case p.digests[i] == now64:
			same.add(i)
		default:
			differ.add(i)
		}
	}
	if differ == 0 || row.Empty() {
		m.finish(p, res)
		return
	}
	need := min(p.need, same.count()+differ.count())
	if same.count() >= need {
		m.repair(p, differ, 0, row)
		m.finish(p, res)
		return
	}
	p.phase, p.result, p.need = phaseWriteBack, res, need
	p.acked, p.asked, p.must, p.standins = same, differ, 0, p.standins[:0]
	m.repair(p, differ, p.id, row)
	m.writeProgress(p)
}

// repair sends the row to owners that hold something else; id 0 when nobody waits for the acknowledgement.
func (m *Machine) repair(p *pending, owners set, id uint64, row causal.Container) {
	for i, owner := range p.owners {
		if owners.has(i) {
			m.sendRow(owner, id, p.op, row)
		}
	}
}

// unshowable is the answer of a read whose value could not be made durable on R owners: it is not shown, since it
// might be unshown later.
func (m *Machine) unshowable() wire.Result {
	return wire.Result{Status: wire.ClusterDown, Err: "the value could not be confirmed by enough owners in time"}
}

// digest is a hash of everything that distinguishes two rows: one dot names one value for ever, so dots and vector
// are enough.
func digest(c causal.Container) uint64 {
	var buf [256]byte
	b := buf[:0]
	for _, d := range c.Vector {
		b = binary.BigEndian.AppendUint64(b, uint64(d.Actor))
		b = binary.BigEndian.AppendUint64(b, d.Seq)
	}
	b = append(b, '|')
	for i := range c.Versions {
		b = binary.BigEndian.AppendUint64(b, uint64(c.Versions[i].Dot.Actor))
		b = binary.BigEndian.AppendUint64(b, c.Versions[i].Dot.Seq)
	}
	return xxhash.Sum64(b)
}
