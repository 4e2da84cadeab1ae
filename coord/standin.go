package coord

import (
	"slices"

	"shoal/ring"
	"shoal/wire"
)

// A sloppy quorum counts places, not owners: a place is met by its owner's copy or by a hinted copy at the node that
// stands in for that owner. The coordinator is an owner and stores the write first, so one owner is always among the W.
// Nodes that stand in are asked only when no owner is left to ask.

// standin is a fallback of the partition that an operation has asked.
type standin struct {
	node  ring.NodeID
	place int // position of the owner that it stands in for; -1: it was asked what hints it has
	state standinState
}

type standinState uint8

const (
	standinAsked standinState = iota
	standinHolds              // it keeps the hint
	standinOut                // it refused, or its connection is gone, or it has answered a read
)

// met is the places that hold the write.
func (p *pending) met() set {
	s := p.acked
	for i := range p.standins {
		if p.standins[i].state == standinHolds {
			s.add(p.standins[i].place)
		}
	}
	return s
}

// open is the places that may still come to hold it.
func (p *pending) open() set {
	s := p.asked
	if len(p.standins) == 0 {
		return s
	}
	for i := range p.standins {
		if p.standins[i].state == standinAsked {
			s.add(p.standins[i].place)
		}
	}
	return s &^ p.met()
}

// stands reports whether some node stands in for an owner, or is asked to.
func (p *pending) stands(place int) bool {
	return slices.ContainsFunc(p.standins, func(x standin) bool { return x.place == place && x.state != standinOut })
}

func (p *pending) standin(node ring.NodeID) *standin {
	for i := range p.standins {
		if p.standins[i].node == node {
			return &p.standins[i]
		}
	}
	return nil
}

// fallbacksOf is the partition's fallbacks in order, made when they are first needed.
func (m *Machine) fallbacksOf(p ring.Partition) []ring.NodeID {
	if m.fallbacks == nil {
		m.fallbacks = make([][]ring.NodeID, m.ring.Q)
	}
	if m.fallbacks[p] == nil {
		m.fallbacks[p] = m.ring.Fallbacks(p)
	}
	return m.fallbacks[p]
}

// enoughFor reports whether W places can be expected to take a write.
func (m *Machine) enoughFor(op *wire.Op, owners []ring.NodeID) bool {
	short := quorum(m.cfg.W, owners) - m.liveCount(op.Partition, owners)
	if short <= 0 || m.cfg.Strict || !op.Code.Keyed() {
		return short <= 0
	}
	for _, f := range m.fallbacksOf(op.Partition) {
		if m.up[f] && position(owners, f) < 0 {
			short--
		}
	}
	return short <= 0
}

// standIn asks up to n more fallbacks to keep the row as it is now, each for one owner that cannot be asked itself.
func (m *Machine) standIn(p *pending, n int) {
	if m.cfg.Strict || m.replicaOf(p.op.Partition) == nil {
		return
	}
	row, err := m.store.Row(p.op.Partition, p.op.Slot, p.op.Key)
	if err != nil {
		return
	}
	place := 0
	for _, f := range m.fallbacksOf(p.op.Partition) {
		if !m.up[f] || position(p.owners, f) >= 0 || p.standin(f) != nil {
			continue
		}
		for ; place < len(p.owners); place++ {
			if !p.acked.has(place) && !p.asked.has(place) && !p.stands(place) {
				break
			}
		}
		if n == 0 || place == len(p.owners) {
			return
		}
		if len(p.standins) == 0 {
			m.Stats.SloppyWrites++
			p.hedged = true // what it takes says nothing of owners
		}
		p.standins = append(p.standins, standin{node: f, place: place})
		it := m.send(f, wire.ItemHint, p.id)
		it.Partition, it.Slot, it.Key = p.op.Partition, p.op.Slot, p.op.Key
		it.Life, it.Row = m.store.Replica(p.op.Partition).Life, row
		n--
	}
}

// onStandin takes in the answer of a node that is no owner.
func (m *Machine) onStandin(now int64, p *pending, from ring.NodeID, it *wire.Item) {
	x := p.standin(from)
	if x == nil || x.state != standinAsked {
		return
	}
	switch {
	case it.Kind == wire.ItemRow && p.phase == phaseRead:
		x.state = standinOut
		if !it.Has(wire.FlagSame|wire.FlagRefused) && !m.takeAnswer(p, it) {
			return
		}
		m.readProgress(now, p)
	case it.Kind == wire.ItemAck && p.phase == phaseWrite:
		if x.state = standinHolds; it.Has(wire.FlagRefused) {
			x.state = standinOut
		}
		m.writeProgress(p)
	}
}

// standinLost notes that the connection to a node is gone and reports whether the operation waits for it. A hint that
// it keeps is as good as an owner's copy.
func (p *pending) standinLost(node ring.NodeID) bool {
	x := p.standin(node)
	if x == nil || x.state != standinAsked {
		return false
	}
	x.state = standinOut
	return true
}

// askHints asks the first fallbacks that are up, where fewer than R owners have answered, what they keep of the key, and
// reports whether it asked any. What they answer is merged into the local row and counts for nothing else. It is waited
// for no longer than a hedge would be.
func (m *Machine) askHints(now int64, p *pending) bool {
	if m.cfg.Strict || p.whole == 0 || now >= p.deadline || len(p.standins) > 0 || !p.op.Code.Keyed() {
		return false
	}
	for _, f := range m.fallbacksOf(p.op.Partition) {
		if len(p.standins) == len(p.owners) {
			break
		}
		if m.up[f] && position(p.owners, f) < 0 {
			p.standins = append(p.standins, standin{node: f, place: -1})
			it := m.send(f, wire.ItemRead, p.id)
			it.Partition, it.Slot, it.Key, it.Digest = p.op.Partition, p.op.Slot, p.op.Key, p.digest
		}
	}
	p.hedgeAt, p.hedged = now+m.cfg.Hedge, true
	return len(p.standins) > 0
}

// waitsForHints reports whether a read has nothing left to wait for but what fallbacks keep.
func (p *pending) waitsForHints() bool {
	return p.phase == phaseRead && p.asked == 0 &&
		slices.ContainsFunc(p.standins, func(x standin) bool { return x.state == standinAsked })
}

func (p *pending) giveUpHints() {
	for i := range p.standins {
		p.standins[i].state = standinOut
	}
}

// answerHint answers a read at a node that is no owner from what it keeps for owners. It never counts towards R.
func (m *Machine) answerHint(it, answer *wire.Item) {
	if m.ring == nil || int(it.Partition) >= m.ring.Q || m.ring.Position(it.Partition, m.cfg.Self) >= 0 {
		answer.Flags = wire.FlagRefused
		return
	}
	row, err := m.store.Hint(it.Partition, it.Slot, it.Key)
	if err != nil {
		m.Stats.Unreadable++
		answer.Flags = wire.FlagRefused
		return
	}
	if digest(row) == it.Digest {
		answer.Flags = wire.FlagSame
		return
	}
	answer.Row = row
}
