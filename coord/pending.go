package coord

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

type phase uint8

const (
	phaseForward   phase = iota // another node evaluates it
	phaseRead                   // rows of owners are being asked for; then the operation is evaluated
	phaseWriteBack              // a read writes what is missing to R owners before it answers
	phaseWrite                  // copies of a write are under way
	phaseClocks                 // a flush asks for the clocks of owners
)

// set is a set of owners by their position in the partition's list.
type set uint16

// MaxOwners bounds the owners of a partition (N).
const MaxOwners = 16

func (s set) has(i int) bool { return s&(1<<i) != 0 }
func (s *set) add(i int)     { *s |= 1 << i }
func (s *set) drop(i int)    { *s &^= 1 << i }
func (s set) count() int {
	n := 0
	for ; s != 0; s &= s - 1 {
		n++
	}
	return n
}

// pending is an operation that waits for other nodes.
type pending struct {
	id       uint64
	phase    phase
	op       *wire.Op // of the client's vector or the peer's frame, which stay unchanged meanwhile
	begun    int64
	drift    int64 // of the wall clock when it began: one that is set meanwhile must not decide what has expired
	deadline int64
	hedgeAt  int64
	hedged   bool
	older    *pending // in order of arrival
	newer    *pending

	// where the result goes: a client's vector, or the peer that forwarded
	token  uint64
	index  int
	from   ring.NodeID // zero: a client of this node
	reply  uint64      // the peer's id of it
	shared bool        // the peer is an owner and takes the outcome in itself
	orphan bool        // nobody waits for the result: the connection to that peer is gone

	owners []ring.NodeID
	self   int // own position among the owners, -1 when none
	target ring.NodeID
	also   ring.NodeID // a read was forwarded there, too; zero: no
	tries  int         // reads forwarded so far
	handed bool        // an owner handed it over to us

	asked     set // owners with an open question
	answered  set // owners that said what they hold
	refused   set // owners that could not say
	whole     set // owners whose answer counts towards R
	acked     set // owners that hold the write
	must      set // owners that must be among the W while they are up
	standins  []standin
	digest    uint64
	digests   []uint64 // by owner
	need      int
	early     bool // result is the answer if all that answer hold the row that the digest is of
	result    wire.Result
	followers []follower
	clock     causal.Clock
}

// begin makes a pending operation. The caller's op is kept until it ends.
func (m *Machine) begin(now int64, op *wire.Op, o origin) *pending {
	var p *pending
	if n := len(m.free); n > 0 {
		p, m.free = m.free[n-1], m.free[:n-1]
	} else {
		p = new(pending)
	}
	m.retains = m.retains || o.from != 0
	*p = pending{
		op: op, begun: now, drift: m.drift, deadline: o.deadline, hedgeAt: now + m.patience.delay(m.cfg.Hedge), digests: p.digests[:0], standins: p.standins[:0],
		token: o.token, index: o.index, from: o.from, reply: o.reply, shared: o.shared, orphan: o.orphan, handed: o.handed,
	}
	p.owners = m.ring.OwnersOf(op.Partition)
	p.self = slices.Index(p.owners, m.cfg.Self)
	for range p.owners {
		p.digests = append(p.digests, 0)
	}
	m.waiting.add(p)
	return p
}

// finish delivers the result and forgets the operation.
func (m *Machine) finish(p *pending, r wire.Result) {
	if !p.hedged && p.hedgeable() {
		m.patience.saw(m.now - p.begun)
	}
	followers := p.followers
	m.deliver(m.forget(p), r)
	m.deliverFollowers(followers, &r)
}

// forget ends an operation without a result and returns where its result goes.
func (m *Machine) forget(p *pending) origin {
	o := p.origin()
	m.waiting.remove(p)
	m.leave(p)
	m.patience.ended()
	*p = pending{digests: p.digests[:0], standins: p.standins[:0]}
	if len(m.free) < maxFree {
		m.free = append(m.free, p)
	}
	return o
}

// maxFree bounds the ended operations kept for reuse.
const maxFree = 1024

// origin is where an operation came from and its result goes.
type origin struct {
	token    uint64
	index    int
	from     ring.NodeID
	reply    uint64
	shared   bool
	orphan   bool
	deadline int64
	handed   bool
}

func (m *Machine) deliver(o origin, r wire.Result) {
	if o.orphan {
		return
	}
	if o.from == 0 {
		m.out.Done = append(m.out.Done, Done{Token: o.token, Index: o.index, Result: r})
		return
	}
	m.answer(o.from, wire.ItemResult, o.reply, &r)
}

func status(s wire.Status) wire.Result { return wire.Result{Status: s} }

// origin is where the operation came from.
func (p *pending) origin() origin {
	return origin{
		token: p.token, index: p.index, from: p.from, reply: p.reply, shared: p.shared, orphan: p.orphan,
		deadline: p.deadline, handed: p.handed,
	}
}
