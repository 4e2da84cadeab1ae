package coord

import (
	"shoal/ring"
	"shoal/wire"
)

// Exec takes in a client's vector: operations on distinct keys, whose results come as Done with the token and their
// index. The operations' bytes must stay unchanged until then. Slot and partition are filled in here.
func (m *Machine) Exec(now int64, token uint64, ops []wire.Op) {
	m.now = now
	for i := range ops {
		op := &ops[i]
		if m.ring == nil {
			m.deliver(origin{token: token, index: i}, status(wire.Loading))
			continue
		}
		if op.Code.Keyed() {
			op.Slot = ring.SlotOf(op.Key)
		}
		if op.Code.Keyed() || op.Code == wire.OpCountSlot {
			op.Partition = m.ring.PartitionOfSlot(op.Slot)
		}
	}
	m.touchOps(ops)
	for i := range ops {
		if m.ring != nil {
			m.route(now, &ops[i], origin{token: token, index: i, deadline: now + m.cfg.Timeout})
		}
	}
}

// touchOps and touchItems let the store fetch all rows of a vector at once, so that the waits for memory overlap.
func (m *Machine) touchOps(ops []wire.Op) {
	if m.ring == nil || len(ops) < 2 {
		return
	}
	m.refs = m.refs[:0]
	for i := range ops {
		m.refs = append(m.refs, wire.Ref{Partition: ops[i].Partition, Slot: ops[i].Slot, Key: ops[i].Key})
	}
	m.store.Touch(m.refs)
}

func (m *Machine) touchItems(items []wire.Item) {
	if len(items) < 2 {
		return
	}
	m.refs = m.refs[:0]
	for i := range items {
		switch it := &items[i]; it.Kind {
		case wire.ItemWrite, wire.ItemRead:
			m.refs = append(m.refs, wire.Ref{Partition: it.Partition, Slot: it.Slot, Key: it.Key})
		case wire.ItemOp:
			m.refs = append(m.refs, wire.Ref{Partition: it.Op.Partition, Slot: it.Op.Slot, Key: it.Op.Key})
		case wire.ItemWritten, wire.ItemRow:
			if p := m.waiting.find(it.ID); p != nil && !it.Has(wire.FlagSame) {
				m.refs = append(m.refs, wire.Ref{Partition: p.op.Partition, Slot: p.op.Slot, Key: p.op.Key})
			}
		}
	}
	m.store.Touch(m.refs)
}

// route sends an operation of a client of this node to where it is evaluated.
func (m *Machine) route(now int64, op *wire.Op, o origin) {
	if m.waiting.n >= m.cfg.MaxPending {
		m.deliver(o, wire.Result{Status: wire.TryAgain, Err: "too many operations in flight"})
		return
	}
	owners := m.ring.OwnersOf(op.Partition)
	target, ok := m.first(op.Partition, owners)
	if !ok {
		m.deliver(o, status(unreachable(op.Code)))
		return
	}
	mine := m.ring.Position(op.Partition, m.cfg.Self) >= 0 && !m.selfFilling(op.Partition)
	if mine && (target == m.cfg.Self || !op.Code.Write() && op.Code.Keyed()) {
		m.coordinate(now, op, o)
		return
	}
	m.forward(now, op, o, target)
}

// unreachable is the status of an operation that no owner can be asked for.
func unreachable(c wire.Code) wire.Status {
	if c.Write() {
		return wire.NoReplicas
	}
	return wire.ClusterDown
}

func (m *Machine) forward(now int64, op *wire.Op, o origin, target ring.NodeID) {
	p := m.begin(now, op, o)
	m.Stats.Forwarded++
	m.forwardTo(p, target, 0)
}

func (m *Machine) forwardTo(p *pending, target ring.NodeID, f wire.Flags) {
	p.phase, p.target = phaseForward, target
	p.tries++
	if p.op.Code.Write() && p.op.Code.Keyed() && p.self >= 0 && f == 0 && m.replicaOf(p.op.Partition) != nil {
		f |= wire.FlagShared
	}
	m.sendOp(p, target).Flags = f
}

// sendOp forwards the operation. Operations of a frame share their deadline, so it is cut down to what the operations
// of one tick have in common.
func (m *Machine) sendOp(p *pending, target ring.NodeID) *wire.Item {
	it := m.send(target, wire.ItemOp, p.id)
	it.Op, it.Deadline = p.op, m.wall(p.deadline-p.deadline%max(1, m.cfg.Timeout/16))
	return it
}

// coordinate evaluates an operation here: this node is an owner.
func (m *Machine) coordinate(now int64, op *wire.Op, o origin) {
	if m.store.Replica(op.Partition) == nil {
		m.deliver(o, wire.Result{Status: wire.TryAgain, Err: "this owner has no replica of the partition yet"})
		return
	}
	if !m.serves(op, o) {
		m.elsewhere(now, op, o)
		return
	}
	switch {
	case op.Code == wire.OpCount:
		m.deliver(o, wire.Result{Int: m.store.Count(op.Partition, m.wall(now))})
	case op.Code == wire.OpCountSlot:
		m.deliver(o, wire.Result{Int: m.store.CountSlot(op.Slot, m.wall(now))})
	case op.Code.Write():
		m.startWrite(now, op, o)
	default:
		if first, _ := m.first(op.Partition, m.ring.OwnersOf(op.Partition)); m.passedOver[m.cfg.Self] && first != m.cfg.Self && !o.handed {
			m.Stats.HandedOver++ // a read, too, must not go by this clock: it decides what has expired
			m.forwardTo(m.begin(now, op, o), first, wire.FlagHandedOver)
			return
		}
		m.startRead(now, op, o)
	}
}

// Step takes in items of a peer, in the order they were sent. Items this machine has no part in are ignored. The
// items' bytes must stay unchanged.
func (m *Machine) Step(now int64, from ring.NodeID, items []wire.Item) {
	m.now = now
	m.touchItems(items)
	for i := range items {
		it := &items[i]
		switch it.Kind {
		case wire.ItemOp:
			m.onOp(now, from, it)
		case wire.ItemWrite:
			m.onWrite(from, it)
		case wire.ItemFlush:
			m.onFlush(from, it)
		case wire.ItemRead:
			m.onRead(from, it)
		case wire.ItemClockRead:
			m.onClockRead(from, it)
		case wire.ItemFilling:
			m.onFilling(from, it)
		case wire.ItemResult, wire.ItemAck, wire.ItemRow, wire.ItemClock:
			if p := m.waiting.find(it.ID); p != nil {
				m.onAnswer(now, p, from, it)
			}
		case wire.ItemWritten:
			if p := m.waiting.find(it.ID); p != nil && p.phase == phaseForward && from == p.target {
				m.onWritten(p, it)
			}
		}
	}
}

// onOp takes in a forwarded operation. It is never forwarded again; an owner may hand it over once.
func (m *Machine) onOp(now int64, from ring.NodeID, it *wire.Item) {
	o := origin{from: from, reply: it.ID, deadline: it.Deadline - m.ahead[from].ms, handed: it.Has(wire.FlagHandedOver), shared: it.Has(wire.FlagShared)}
	switch {
	case m.ring == nil:
		m.deliver(o, status(wire.Loading))
	case now > o.deadline:
		m.Stats.Late++
		m.deliver(o, wire.Result{Status: wire.TryAgain, Err: "the operation came too late"})
	case int(it.Op.Partition) >= m.ring.Q || m.ring.Position(it.Op.Partition, m.cfg.Self) < 0:
		m.deliver(o, wire.Result{Status: wire.TryAgain, Err: "the node asked is no owner by its ring map"})
	case m.waiting.n >= m.cfg.MaxPending:
		m.deliver(o, wire.Result{Status: wire.TryAgain, Err: "too many operations in flight"})
	default:
		m.coordinate(now, it.Op, o)
	}
}

func (m *Machine) onAnswer(now int64, p *pending, from ring.NodeID, it *wire.Item) {
	if it.Kind == wire.ItemResult {
		if p.phase == phaseForward && (from == p.target || from == p.also) {
			m.onResult(now, p, from, it)
		}
		return
	}
	at := position(p.owners, from)
	if at < 0 && len(p.standins) > 0 {
		m.onStandin(now, p, from, it)
		return
	}
	if at < 0 || !p.asked.has(at) {
		return
	}
	switch {
	case it.Kind == wire.ItemRow && p.phase == phaseRead:
		m.onRow(now, p, at, it)
	case it.Kind == wire.ItemAck && (p.phase == phaseWrite || p.phase == phaseWriteBack):
		m.onAck(p, at, it)
	case it.Kind == wire.ItemClock && p.phase == phaseClocks:
		m.onClock(now, p, at, it)
	}
}

func position(owners []ring.NodeID, n ring.NodeID) int {
	for i, o := range owners {
		if o == n {
			return i
		}
	}
	return -1
}

// Up says that the connection to a peer stands.
func (m *Machine) Up(peer ring.NodeID) {
	m.up[peer] = true
	delete(m.filling, peer)
}

// Down says that the connection to a peer is gone: what it was asked it will not answer, and what it asked it does not
// wait for. Nothing of this connection may reach the next one: there the peer may be a new incarnation, which numbers
// its own questions from the start, so that an old answer would be taken for one of these.
func (m *Machine) Down(now int64, peer ring.NodeID) {
	m.up[peer] = false
	delete(m.ahead, peer)
	delete(m.filling, peer)
	for _, id := range m.snapshot() {
		p := m.waiting.find(id)
		if p == nil {
			continue
		}
		if p.from == peer {
			p.orphan = true
		}
		if p.phase == phaseForward {
			switch {
			case p.also == peer:
				p.also = 0
			case p.target == peer && p.also != 0:
				p.target, p.also = p.also, 0
			case p.target == peer:
				m.forwardLost(now, p)
			}
			continue
		}
		if at := position(p.owners, peer); at >= 0 {
			p.must.drop(at)
			if p.asked.has(at) {
				p.asked.drop(at)
			}
			m.progress(now, p)
		} else if p.standinLost(peer) {
			m.progress(now, p)
		}
	}
	m.dropBox(peer)
}

// lead is by how many ms a peer's clock is ahead of ours, and how often it had jumped when that was found.
type lead struct {
	ms    int64
	jumps uint16
}

// Heard takes in the hybrid logical clock that a frame's header carries, before the frame's items. Deadlines are by
// the sender's clock: the smallest delay seen in this connection says how far that is ahead of ours (or less, by the
// fastest frame's time on the way), so that a late frame still looks late. The counter in the low bits changes when the
// sender's clock has jumped: what was seen before says nothing then.
func (m *Machine) Heard(now int64, peer ring.NodeID, hlc uint64) {
	x := lead{int64(hlc>>16) - now, uint16(hlc)}
	if was, ok := m.ahead[peer]; !ok || x.jumps != was.jumps || x.ms > was.ms {
		m.ahead[peer] = x
	}
}

// onResult ends a forwarded operation. A refusal of one of two nodes that a read was forwarded to is not the end.
func (m *Machine) onResult(now int64, p *pending, from ring.NodeID, it *wire.Item) {
	if it.Result.Status != wire.OK && p.also != 0 {
		if from == p.target {
			p.target = p.also
		}
		p.also = 0
		return
	}
	if it.Has(wire.FlagRefused) {
		m.retry(now, p, from)
		return
	}
	m.finish(p, *it.Result)
}

// forwardLost: the connection went while the answer was awaited. A read is asked elsewhere; a write may be applied.
func (m *Machine) forwardLost(now int64, p *pending) {
	if p.op.Code.Write() {
		m.finish(p, wire.Result{Status: wire.Uncertain, Reached: 0, Wanted: uint8(quorum(m.cfg.W, p.owners))})
		return
	}
	target, ok := m.first(p.op.Partition, p.owners)
	if !ok || p.tries > len(p.owners) {
		m.finish(p, status(wire.ClusterDown))
		return
	}
	if target == m.cfg.Self {
		op := p.op
		m.coordinate(now, op, m.forget(p))
		return
	}
	m.forwardTo(p, target, 0)
}

// Tick lets deadlines and hedges pass. Call it every few milliseconds.
func (m *Machine) Tick(now int64) {
	m.now = now
	for _, id := range m.snapshot() {
		p := m.waiting.find(id)
		switch {
		case p == nil:
		case now >= p.deadline:
			m.Stats.Timeouts++
			m.expire(now, p)
		case now >= p.hedgeAt && p.waitsForHints():
			p.giveUpHints()
			m.progress(now, p)
		case now >= p.hedgeAt && p.hedgeable() && m.patience.spend():
			p.hedgeAt, p.hedged = now+m.cfg.Hedge, true
			m.Stats.Hedges++
			m.hedge(p)
		}
	}
}

// hedgeable reports whether another owner may be asked to do the same. A forwarded write is never sent twice, and must
// not use up hedges that reads need.
func (p *pending) hedgeable() bool {
	switch p.phase {
	case phaseRead:
		return true
	case phaseWrite:
		return p.op.Code.Keyed()
	case phaseForward:
		return !p.op.Code.Write() && p.op.Code.Keyed() && p.also == 0
	}
	return false
}

// hedge asks one more owner to do what the ones asked have not done yet.
func (m *Machine) hedge(p *pending) {
	m.late(p)
	switch p.phase {
	case phaseRead:
		m.askMore(p, 1)
	case phaseWrite:
		if m.copyTo(p, 1) == 0 {
			m.standIn(p, 1)
		}
	case phaseForward:
		m.lagging[p.target] = m.now + lagsFor
		m.inTurn(p, func(i int) bool {
			if p.owners[i] == p.target {
				return true
			}
			p.also = p.owners[i]
			m.sendOp(p, p.also)
			return false
		})
	}
}

// snapshot lists the waiting operations by id: ending one changes the queue and reuses its memory.
func (m *Machine) snapshot() []uint64 {
	m.ids = m.ids[:0]
	for p := m.waiting.oldest; p != nil; p = p.newer {
		m.ids = append(m.ids, p.id)
	}
	return m.ids
}

// expire ends an operation at its deadline.
func (m *Machine) expire(now int64, p *pending) {
	switch p.phase {
	case phaseRead:
		p.asked = 0
		p.giveUpHints()
		m.progress(now, p)
	case phaseClocks:
		m.finish(p, status(wire.NoReplicas))
	case phaseForward:
		if !p.op.Code.Write() {
			m.finish(p, status(wire.ClusterDown))
			return
		}
		m.finish(p, wire.Result{Status: wire.Uncertain, Wanted: uint8(quorum(m.cfg.W, p.owners))})
	case phaseWrite:
		m.finish(p, wire.Result{Status: wire.Uncertain, Reached: uint8(p.met().count()), Wanted: uint8(p.need)})
	case phaseWriteBack:
		m.finish(p, m.unshowable())
	}
}

// progress looks again at an operation after its questions changed.
func (m *Machine) progress(now int64, p *pending) {
	switch p.phase {
	case phaseRead:
		m.readProgress(now, p)
	case phaseWrite, phaseWriteBack:
		m.writeProgress(p)
	case phaseClocks:
		m.clockProgress(now, p)
	}
}
