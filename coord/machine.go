package coord

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// Store keeps the partition replicas of this node. The machine calls it synchronously; within one tick a Row sees the
// Puts before it. What Row returns is immutable; Put copies what it keeps.
type Store interface {
	// Replica is the live causal state of a replica, nil when this node has none of the partition.
	Replica(p ring.Partition) *causal.Replica
	// Row is the key's container as Replica.View shows it; the zero Container when absent; an error when unreadable.
	Row(p ring.Partition, s ring.Slot, key []byte) (causal.Container, error)
	// Touch may bring rows near that are about to be read; it changes nothing.
	Touch(refs []wire.Ref)
	// Put stores a row, its log entries and marks the dots in the clock, all in one step.
	Put(p ring.Partition, s ring.Slot, key []byte, row causal.Container, dots []causal.Dot)
	// Flush stores a range tombstone and marks its dot. It is fsynced before the tick ends, whatever the durability: what
	// it dropped also leaves in the vectors of rows, without the flush's dot, so that its loss would leave replicas
	// different for ever.
	Flush(p ring.Partition, dot causal.Dot, dropped *causal.Clock)
	// Hint is what this node keeps of a key for owners that could not be reached; the zero Container: nothing.
	Hint(p ring.Partition, s ring.Slot, key []byte) (causal.Container, error)
	// Count is the number of live keys of a partition, CountSlot of a slot.
	Count(p ring.Partition, now int64) int64
	CountSlot(s ring.Slot, now int64) int64
}

// Config is what an operator sets. Times are milliseconds.
type Config struct {
	Self       ring.NodeID
	R, W       int   // each is lowered to the number of owners there are
	Strict     bool  // refuse reads that R owners cannot answer, and writes that W owners cannot take: no hints
	Timeout    int64 // an operation's deadline after its arrival
	Hedge      int64 // one more owner is asked after this long at the latest; sooner where answers are fast
	SiblingMax int   // VSET is refused when it would leave more live values than this
	MaxPending int   // operations waiting for others; beyond it new ones are refused
}

// Stats counts since the machine was made.
type Stats struct {
	Forwarded, HandedOver, ReadFirst   uint64
	SloppyReads, ReadRepairs, Timeouts uint64
	SloppyWrites                       uint64 // writes for which a node that is no owner was asked to keep a hint
	SharedReads, Hedges                uint64
	Conflicts                          uint64 // writes that met a live value their context did not cover
	TwoValues                          uint64 // one dot with two values: an alarm
	Unreadable                         uint64 // rows whose bytes were damaged
	Late                               uint64 // forwarded operations dropped for their deadline
}

// Outbox is what one peer is to be sent, in order.
type Outbox struct {
	To    ring.NodeID
	Items []wire.Item
}

// Done is the result of one client operation: the Index-th of the vector named Token.
type Done struct {
	Token  uint64
	Index  int
	Result wire.Result
}

// Effects is what the caller must do after the store's tick has ended. The slices are reused by the next step.
type Effects struct {
	Peers []Outbox
	Done  []Done
}

// Machine coordinates for one node. It is not safe for concurrent use.
type Machine struct {
	cfg   Config
	store Store
	ring  *ring.Map
	// fallbacks by partition, as far as they were needed: see fallbacksOf
	fallbacks [][]ring.NodeID
	whole     func(ring.Partition) bool
	// current says whether a replica has caught up with the owners that are up; nil: always
	current func(ring.Partition) bool

	up         map[ring.NodeID]bool
	passedOver map[ring.NodeID]bool         // skewed clocks: alive, but not to coordinate
	filling    map[ring.NodeID]wire.Filling // peers' replicas that are being filled, as they said in this connection
	ahead      map[ring.NodeID]lead         // peers' clocks: see Heard
	drift      int64                        // see Drift

	hlc      uint64
	waiting  waiting
	free     []*pending
	ids      []uint64   // scratch of snapshot
	refs     []wire.Ref // scratch of touch
	retains  bool       // see Retains
	patience patience
	sharing  sharing               // the reads that began in this tick
	lagging  map[ring.NodeID]int64 // until when, see late
	now      int64                 // of the step under way

	rows    causal.Arena // of what writes make; never reset, since a store may keep rows
	dots    []causal.Dot // scratch of only
	out     Effects
	results []wire.Result // of the items in out
	Stats   Stats
}

// New makes a machine without a ring map: until Install every operation answers Loading. whole says whether this
// node's replica of a partition may answer reads by itself.
func New(cfg Config, store Store, whole func(ring.Partition) bool) *Machine {
	return &Machine{
		cfg: cfg, store: store, whole: whole,
		up:         map[ring.NodeID]bool{},
		passedOver: map[ring.NodeID]bool{},
		filling:    map[ring.NodeID]wire.Filling{},
		ahead:      map[ring.NodeID]lead{},
		patience:   patience{saved: savedHedges},
		sharing:    sharing{},
		lagging:    map[ring.NodeID]int64{},
	}
}

// Install makes m the ring map. Operations under way end by the owners they began with.
func (m *Machine) Install(r *ring.Map) { m.ring, m.fallbacks = r, nil }

// ReadFirstUnless makes the first owner, too, read a quorum before it writes to a partition for which current is false:
// after a boot or a cut others may have coordinated, and a write that has not seen theirs would stay beside it.
func (m *Machine) ReadFirstUnless(current func(ring.Partition) bool) { m.current = current }

// PassOver says whether a node's clock is too far off for it to coordinate.
func (m *Machine) PassOver(node ring.NodeID, skewed bool) { m.passedOver[node] = skewed }

// Drift says by how many ms the machine's wall clock is ahead of the time that steps are told. Deadlines and hedges go by
// that time, which never jumps; expiry and hlc by the wall clock, which may.
func (m *Machine) Drift(ms int64) { m.drift = ms }

// wall is what the wall clock shows at now.
func (m *Machine) wall(now int64) int64 { return now + m.drift }

// Effects returns what the steps since the last Reset ask for.
func (m *Machine) Effects() *Effects { return &m.out }

// Reset empties the effects for the next tick.
func (m *Machine) Reset() {
	for i := range m.out.Peers {
		clear(m.out.Peers[i].Items)
		m.out.Peers[i].Items = m.out.Peers[i].Items[:0]
	}
	clear(m.out.Done)
	m.out.Done = m.out.Done[:0]
	clear(m.results)
	m.results = m.results[:0]
	m.retains = false
	clear(m.sharing)
}

// Retains reports whether an operation that a peer forwarded since the last Reset still waits, or did: then its bytes
// must stay unchanged for as long as anybody may look at them. Other items are done with at the Reset.
func (m *Machine) Retains() bool { return m.retains }

// Pending is the number of operations that wait for others.
func (m *Machine) Pending() int { return m.waiting.n }

// answer appends an item with a result, which stays where it is until the Reset.
func (m *Machine) answer(to ring.NodeID, kind wire.Kind, id uint64, r *wire.Result) *wire.Item {
	m.results = append(m.results, *r)
	it := m.send(to, kind, id)
	it.Result = &m.results[len(m.results)-1]
	return it
}

// send appends an item to the peer's outbox and returns it to be filled in.
func (m *Machine) send(to ring.NodeID, kind wire.Kind, id uint64) *wire.Item {
	i := slices.IndexFunc(m.out.Peers, func(o Outbox) bool { return o.To == to })
	if i < 0 {
		i = len(m.out.Peers)
		m.out.Peers = append(m.out.Peers, Outbox{To: to})
	}
	o := &m.out.Peers[i]
	o.Items = append(o.Items, wire.Item{Kind: kind, ID: id})
	return &o.Items[len(o.Items)-1]
}

// dropBox forgets what this tick has for a peer.
func (m *Machine) dropBox(to ring.NodeID) {
	for i := range m.out.Peers {
		if o := &m.out.Peers[i]; o.To == to {
			clear(o.Items)
			o.Items = o.Items[:0]
		}
	}
}

// live reports whether an owner can coordinate or hold a copy of the partition, as far as this node knows.
func (m *Machine) live(n ring.NodeID, p ring.Partition) bool {
	if n == m.cfg.Self {
		return !m.selfFilling(p)
	}
	return m.reaches(n, p)
}

func (m *Machine) liveCount(p ring.Partition, owners []ring.NodeID) int {
	n := 0
	for _, o := range owners {
		if m.live(o, p) {
			n++
		}
	}
	return n
}

// first is the owner that should coordinate: the first live one whose clock can be trusted, else the first live one.
func (m *Machine) first(p ring.Partition, owners []ring.NodeID) (ring.NodeID, bool) {
	for _, o := range owners {
		if m.live(o, p) && !m.passedOver[o] {
			return o, true
		}
	}
	for _, o := range owners {
		if m.live(o, p) {
			return o, true
		}
	}
	return 0, false
}

// quorum lowers a setting to the owners there are. A partition has at least one owner.
func quorum(setting int, owners []ring.NodeID) int { return max(1, min(setting, len(owners))) }

// stamp is the next hybrid logical clock value: above the wall clock, everything issued or observed here, and the row's own.
func (m *Machine) stamp(wall int64, row causal.Container) uint64 {
	h := max(uint64(wall)<<16, m.hlc+1)
	for i := range row.Versions {
		h = max(h, row.Versions[i].HLC+1)
	}
	m.hlc = h
	return h
}
