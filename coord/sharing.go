package coord

import (
	"bytes"

	"github.com/cespare/xxhash/v2"

	"shoal/causal"
	"shoal/wire"
)

// Reads of one key that begin in one tick share a quorum read: the questions of the first have not left yet, so their
// answers are from after the others began, too. A read that begins later must not join: it would miss a write that was
// acknowledged in between.
type sharing map[uint64]*pending

// follower is a client's read that another one collects the rows for.
type follower struct {
	op     *wire.Op
	origin origin
	result wire.Result
}

// follow lets a read wait for one of this tick and reports whether it does.
func (m *Machine) follow(op *wire.Op, o origin) bool {
	if o.from != 0 || op.ReadOne {
		return false
	}
	p := m.sharing[xxhash.Sum64(op.Key)]
	if p == nil || !bytes.Equal(p.op.Key, op.Key) || p.op.Code.Write() || p.op.ReadOne {
		return false
	}
	m.Stats.SharedReads++
	p.followers = append(p.followers, follower{op: op, origin: o})
	return true
}

// lead lets later reads of this tick follow a client's read.
func (m *Machine) lead(p *pending) {
	if p.from == 0 {
		m.sharing[xxhash.Sum64(p.op.Key)] = p
	}
}

// leave ends that.
func (m *Machine) leave(p *pending) {
	if len(m.sharing) == 0 || p.phase == phaseForward || !p.op.Code.Keyed() {
		return
	}
	if h := xxhash.Sum64(p.op.Key); m.sharing[h] == p {
		delete(m.sharing, h)
	}
}

// evalFollowers evaluates the reads that follow on the row that their leader is about to show.
func (m *Machine) evalFollowers(now int64, p *pending, row causal.Container) {
	for i := range p.followers {
		p.followers[i].result = m.evalRead(now, p.followers[i].op, row)
	}
}

// deliverFollowers ends them as their leader ends.
func (m *Machine) deliverFollowers(followers []follower, r *wire.Result) {
	for i := range followers {
		f := &followers[i]
		if r.Status != wire.OK {
			f.result = *r
		}
		m.deliver(f.origin, f.result)
	}
}
