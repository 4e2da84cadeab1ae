package handoff

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// Store keeps hints, durably with the tick as rows are, and the partition replicas of this node; see coord.Store for the
// rules.
type Store interface {
	// Hint is what is kept of a key, the zero Container when nothing is; an error when it is unreadable.
	Hint(p ring.Partition, s ring.Slot, key []byte) (causal.Container, error)
	// PutHint stores what is kept of a key; the zero Container deletes it.
	PutHint(p ring.Partition, s ring.Slot, key []byte, row causal.Container)
	// Hints shows the hints of a partition in the order of (slot, key) after a position (first: from the beginning), up to
	// limit; done: none follow the last shown. What is passed is valid during the call, in which nothing may be written.
	Hints(p ring.Partition, first bool, after wire.Ref, limit int, fn func(slot ring.Slot, key []byte, row causal.Container)) (done bool)
	HintStats() (count int, bytes int64) // of all partitions
	HintCount(p ring.Partition) int
	HintParts() []ring.Partition // those with hints, in order

	Replica(p ring.Partition) *causal.Replica
	// Durable is the replica's clock as of the last fsync, nil when there is no replica; valid until the next call.
	Durable(p ring.Partition) *causal.Clock
	Row(p ring.Partition, s ring.Slot, key []byte) (causal.Container, error)
	Put(p ring.Partition, s ring.Slot, key []byte, row causal.Container, dots []causal.Dot)
}

// Config is in milliseconds, bytes and counts.
type Config struct {
	Self      ring.NodeID
	Every     int64 // a partition's hints are gone through this often; while that does nothing, ever less: see quietMost
	Retry     int64 // gone through again so soon after hints were sent (are they durable now?), or an owner could not take them
	Timeout   int64 // an owner that has not answered by then is left alone until the next round
	Window    int   // hints under way to one owner at a time
	TickRows  int   // hints looked at in one Tick or Step, about
	MaxRounds int   // partitions gone through at once
	MaxBytes  int64 // hints beyond this are refused; what is kept is never dropped to make room
}

// Stats counts since the machine was made.
type Stats struct {
	Taken      uint64 // hints taken from coordinators
	Refused    uint64 // hints refused: no room, an owner ourselves, or unreadable
	Replayed   uint64 // copies that an owner acknowledged
	Rejected   uint64 // copies that an owner refused or did not answer in time
	Deleted    uint64 // hints that all owners had durably
	Own        uint64 // hints taken into a row of this node, which has become an owner
	Unreadable uint64
	TwoValues  uint64 // one dot with two values: an alarm
}

// quietMost bounds how rare rounds become that find nothing to do.
const quietMost = 3

// Machine is both sides of the handoff for one node. It is not safe for concurrent use.
type Machine struct {
	cfg    Config
	store  Store
	ring   *ring.Map
	up     map[ring.NodeID]bool
	parts  []*part // with hints, in order
	next   int     // where Tick goes on
	rows   int     // hints looked at in one Tick or Step, about
	rounds int     // under way
	under  []flight
	nextID uint64
	batch  []hint // scratch of advance
	lack   []*owner
	target map[ring.NodeID]*Target
	out    []wire.Out
	Stats  Stats
}

// flight is a hint on its way to an owner.
type flight struct {
	id    uint64
	peer  ring.NodeID
	part  *part
	round *round
	until int64
}

// hint is a copy of what the store showed.
type hint struct {
	slot ring.Slot
	key  []byte
	row  causal.Container
}

// idBit marks the ids of this package's questions: the coordinator of the same node numbers its own without it.
const idBit = 1 << 63

// New makes a machine without a ring map: it refuses every hint until Install.
func New(cfg Config, store Store) *Machine {
	return &Machine{cfg: cfg, store: store, rows: cfg.TickRows, up: map[ring.NodeID]bool{}, target: map[ring.NodeID]*Target{}}
}

// Pace makes each Tick and Step do only share parts in of of its full work.
func (m *Machine) Pace(share, of int) { m.rows = max(1, m.cfg.TickRows*share/of) }

// Install makes r the ring map. All hints that there are will be offered to the owners that it names.
func (m *Machine) Install(now int64, r *ring.Map) {
	m.ring, m.under, m.rounds, m.next = r, nil, 0, 0
	m.parts = m.parts[:0]
	for _, p := range m.store.HintParts() {
		if int(p) < r.Q {
			m.parts = append(m.parts, &part{partition: p, due: now})
		}
	}
	clear(m.target)
}

// Held reports whether a hint of the partition is kept here.
func (m *Machine) Held(p ring.Partition) bool { return m.store.HintCount(p) > 0 }

// Busy reports whether the next Ticks have work to do.
func (m *Machine) Busy(now int64) bool {
	return m.rounds > 0 || slices.ContainsFunc(m.parts, func(x *part) bool { return now >= x.due && m.reaches(x.partition) })
}

// Up says that the connection to a peer stands: what it may lack is offered at once.
func (m *Machine) Up(now int64, peer ring.NodeID) {
	m.up[peer] = true
	if m.ring == nil {
		return
	}
	for _, x := range m.parts {
		if m.ring.Position(x.partition, peer) < 0 {
			continue
		}
		x.due, x.quiet = now, 0
		if o := x.owner(peer); o != nil && !x.round.began {
			o.out = false
			m.ask(now, x, o)
		} else {
			x.again = o != nil
		}
	}
	m.begin(now)
}

// Down says that the connection is gone. Nothing of it may reach the next: what the peer said of its clock is forgotten,
// since a power cut may have taken it back to an older one.
func (m *Machine) Down(now int64, peer ring.NodeID) {
	m.up[peer] = false
	m.out = slices.DeleteFunc(m.out, func(o wire.Out) bool { return o.To == peer })
	for i := 0; i < len(m.under); {
		if m.under[i].peer == peer {
			m.land(i, false)
		} else {
			i++
		}
	}
	for _, x := range m.parts {
		if o := x.owner(peer); o != nil {
			o.clock, o.id, o.out = nil, 0, true
		}
		x.late = slices.DeleteFunc(x.late, func(o owner) bool { return o.node == peer })
	}
}

// Step takes in items of a peer; those it has no part in are ignored.
func (m *Machine) Step(now int64, from ring.NodeID, items []wire.Item) {
	for i := range items {
		switch it := &items[i]; it.Kind {
		case wire.ItemHint:
			m.onHint(now, from, it)
		case wire.ItemDurable:
			m.onDurable(from, it)
		case wire.ItemAdvert:
			m.onAdvert(now, from, it)
		case wire.ItemAck:
			m.onAck(now, from, it)
		}
	}
}

// Tick begins the rounds that are due and goes on with those under way.
func (m *Machine) Tick(now int64) {
	if len(m.parts) == 0 {
		return
	}
	for i := 0; i < len(m.under); {
		if now < m.under[i].until {
			i++
			continue
		}
		m.land(i, false)
	}
	m.begin(now)
	left := m.rows
	for range len(m.parts) {
		if left <= 0 || len(m.parts) == 0 {
			return
		}
		if m.next++; m.next >= len(m.parts) {
			m.next = 0
		}
		if x := m.parts[m.next]; x.round != nil {
			left = m.advance(now, x, left)
		}
	}
}

// Outs returns what is to be sent, valid until Reset.
func (m *Machine) Outs() []wire.Out { return m.out }

// Reset empties Outs.
func (m *Machine) Reset() {
	clear(m.out)
	m.out = m.out[:0]
}

func (m *Machine) send(to ring.NodeID, it wire.Item) {
	m.out = append(m.out, wire.Out{To: to, Item: it})
}

func (m *Machine) id() uint64 {
	m.nextID++
	return m.nextID | idBit
}
