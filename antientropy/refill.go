package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// FillStore keeps the partition replicas of this node; see coord.Store for the rules.
type FillStore interface {
	Store
	// Range shows rows as View shows them, in order of (slot, key), after the position (first: from the beginning), up to
	// limit rows or about maxBytes; one row may exceed it. done: there are none behind the last shown. A row that cannot be
	// read is shown with its error. What it passes is valid during the call, in which fn must not write.
	Range(p ring.Partition, first bool, after wire.Ref, limit, maxBytes int, fn func(slot ring.Slot, key []byte, row causal.Container, err error)) (done bool, err error)
	// Adopt joins what another replica has: clock, flushed (nil: none) and horizon, in one step of the current tick.
	Adopt(p ring.Partition, clock, flushed *causal.Clock, horizon causal.Vector)
	// Fill marks a replica as being filled, or as no longer so, durably before it returns. Either begins a new life. A node
	// with a replica that was filled is as one that may have lost a tail until all its replicas have pulled: a boot must not
	// take the replica for whole.
	Fill(p ring.Partition, on bool) error
}

// FillConfig is in milliseconds, bytes and counts.
type FillConfig struct {
	Self     ring.NodeID
	Retry    int64 // a question that was not answered is put again, to another owner if there is one; with each time it waits longer
	Repeat   int64 // peers are told again which replicas are being filled
	MaxFills int   // partitions being filled at once; the others wait, and no more are begun for being behind
	MaxRows  int   // rows in one answer
	MaxBytes int   // rows in one answer, about; one row may exceed it
	TickRows int   // rows that are taken in, or looked at here, per Tick: see Pace
}

// FillStats counts since the machine was made.
type FillStats struct {
	Begun, Ended uint64 // fills of a replica
	Merges       uint64 // sources merged to their end
	Again        uint64 // sources begun again: a new life of the source, or its horizon or flushes rose meanwhile
	Rows, Bytes  uint64 // taken in
	Dropped      uint64 // versions that a source knew to be superseded or deleted
	Served       uint64 // rows handed to others
	TwoValues    uint64
	Unreadable   uint64
	Failed       uint64 // a replica could not be marked
}

// FillProgress says how far the fills are.
type FillProgress struct {
	Filling, Asking int   // replicas being filled; of those, with a source at work
	Rows, Bytes     int64 // taken in by them so far
}

// fill is a replica of this node that is being filled.
type fill struct {
	partition ring.Partition
	wanted    ring.NodeID   // the peer that it was behind of: asked first; 0: none
	merged    []ring.NodeID // owners whose whole range was merged
	poor      []ring.NodeID // owners that are not whole, as they said
	refused   []ring.NodeID // owners that could not help in this round

	source   ring.NodeID // 0: none
	settled  bool        // the source is taken although it is not whole
	sound    bool        // the source was whole when range 0 was read
	life     causal.Actor
	number   uint64 // of the range asked for
	after    wire.Ref
	id       uint64 // of the open question; 0: none is open
	deadline int64
	slow     uint          // times that a source was too slow, at most slowMost: the next one has twice the time
	clock    *causal.Clock // the source's before range 0 was read
	flushed  *causal.Clock
	left     bool // a row could not be merged: the source does not count
	sweep    *sweep
	due      int64

	rows, bytes int64
}

// Refiller fills replicas from other owners (box REFILL of the design), and hands rows to replicas that are being
// filled. Rows plus clock of any replica are a complete causal state, and two such states merge exactly: so a fill never
// replaces, every intermediate state is legal, and a fill that broke off is begun again on what is there.
//
// It begins with what a Puller finds to be behind, and with replicas that the store has marked. It is not safe for
// concurrent use.
type Refiller struct {
	cfg    FillConfig
	store  FillStore
	puller *Puller
	ring   *ring.Map
	up     map[ring.NodeID]bool
	told   map[ring.NodeID]bool // was told of a fill in this connection
	theirs map[ring.NodeID]*wire.Filling
	fills  []*fill // by partition
	rows   int     // that may be taken or looked at in a Tick
	budget int     // ... now
	nextID uint64
	notes  uint64 // of ItemFilling
	change bool   // what is being filled has changed
	repeat int64
	out    []Out
	Stats  FillStats
}

// NewRefiller makes a refiller without a ring map. It takes its work from the puller and makes that one begin anew with
// each replica that was filled.
func NewRefiller(cfg FillConfig, store FillStore, puller *Puller) *Refiller {
	m := &Refiller{
		cfg: cfg, store: store, puller: puller, rows: cfg.TickRows,
		up: map[ring.NodeID]bool{}, told: map[ring.NodeID]bool{}, theirs: map[ring.NodeID]*wire.Filling{},
	}
	puller.Lives().FillingIf(m.PeerFilling)
	return m
}

// PeerFilling reports whether another owner fills its replica of a partition, as it said in the connection that stands.
func (m *Refiller) PeerFilling(p ring.Partition, peer ring.NodeID) bool {
	f := m.theirs[peer]
	return f != nil && f.Has(p)
}

// Pace makes each Tick do only share parts in of of its full work.
func (m *Refiller) Pace(share, of int) { m.rows = max(1, m.cfg.TickRows*share/of) }

// Install makes r the ring map, after the Puller has it and every replica that it asks for has been made.
func (m *Refiller) Install(now int64, r *ring.Map) {
	old := m.fills
	m.ring, m.fills, m.change = r, nil, true
	for i := range r.Q {
		p := ring.Partition(i)
		if r.Position(p, m.cfg.Self) < 0 || !m.puller.filling(p) {
			continue
		}
		f := &fill{partition: p, due: now}
		if k := slices.IndexFunc(old, func(f *fill) bool { return f.partition == p }); k >= 0 {
			f = old[k]
		}
		gone := func(id ring.NodeID) bool { return r.Position(p, id) < 0 }
		f.merged = slices.DeleteFunc(f.merged, gone)
		f.poor = slices.DeleteFunc(f.poor, gone)
		f.refused = nil
		if f.source != 0 && gone(f.source) {
			f.drop(now)
		}
		m.fills = append(m.fills, f)
	}
}

// MadeFilling says how a replica begins that a ring map asks for and this node does not have. replaces: this node was
// made to replace another one that is gone, so the partition may hold data, and acknowledged copies went with the old
// one: its replicas are filled before they are anything. One that joins an empty cluster, or gains a partition by such a
// join, only pulls.
func MadeFilling(m *ring.Map, replaces bool) bool { return replaces && m.Epoch > 1 }

// Behind makes a replica be filled, first from peer, of which it is behind (0: from any owner).
func (m *Refiller) Behind(now int64, p ring.Partition, peer ring.NodeID) {
	if m.ring == nil || m.ring.Position(p, m.cfg.Self) < 0 || m.find(p) != nil || m.store.Replica(p) == nil {
		return
	}
	if err := m.store.Fill(p, true); err != nil {
		m.Stats.Failed++
		return
	}
	m.Stats.Begun++
	m.puller.restart(now, p)
	m.fills = append(m.fills, &fill{partition: p, wanted: peer, due: now})
	slices.SortFunc(m.fills, func(a, b *fill) int { return int(a.partition) - int(b.partition) })
	m.change = true
}

// Filling reports whether this node's replica of the partition is being filled.
func (m *Refiller) Filling(p ring.Partition) bool { return m.find(p) != nil }

// Progress sums up the fills.
func (m *Refiller) Progress() (x FillProgress) {
	for _, f := range m.fills {
		x.Filling++
		if f.source != 0 {
			x.Asking++
		}
		x.Rows += f.rows
		x.Bytes += f.bytes
	}
	return x
}

// Busy reports whether the next Ticks have work to do that waits for no answer.
func (m *Refiller) Busy() bool {
	return slices.ContainsFunc(m.fills, func(f *fill) bool { return f.sweep != nil })
}

func (m *Refiller) find(p ring.Partition) *fill {
	for _, f := range m.fills {
		if f.partition == p {
			return f
		}
	}
	return nil
}

// Up says that the connection to a peer stands.
func (m *Refiller) Up(now int64, peer ring.NodeID) {
	m.up[peer] = true
	delete(m.told, peer)
	m.theirs[peer] = new(wire.Filling)
	if len(m.fills) > 0 {
		m.tell(peer)
	}
	for _, f := range m.fills {
		if f.source == 0 {
			f.due = now
		}
		f.refused = slices.DeleteFunc(f.refused, func(id ring.NodeID) bool { return id == peer })
		f.poor = slices.DeleteFunc(f.poor, func(id ring.NodeID) bool { return id == peer })
	}
}

// Down says that the connection to a peer is gone. Nothing of it may reach the next.
func (m *Refiller) Down(now int64, peer ring.NodeID) {
	m.up[peer] = false
	delete(m.theirs, peer)
	m.out = slices.DeleteFunc(m.out, func(o Out) bool { return o.To == peer })
	for _, f := range m.fills {
		if f.source == peer {
			f.drop(now)
		}
	}
}

// Step takes in items of a peer; those it has no part in are ignored.
func (m *Refiller) Step(now int64, from ring.NodeID, items []wire.Item) {
	for i := range items {
		switch it := &items[i]; it.Kind {
		case wire.ItemFill:
			m.onFill(from, it)
		case wire.ItemFilled:
			m.onFilled(now, from, it)
		case wire.ItemFilling:
			if f := m.theirs[from]; f != nil {
				f.Take(it)
			}
		}
	}
	m.note()
}

// Tick takes work from the puller and goes on with the fills, within the budget.
func (m *Refiller) Tick(now int64) {
	for _, x := range m.puller.takeLags() {
		if len(m.fills) < m.cfg.MaxFills { // the next pull finds the others again; till then they serve as they did
			m.Behind(now, x.partition, x.peer)
		}
	}
	if now >= m.repeat {
		m.repeat = now + m.cfg.Repeat
		m.change = m.change || len(m.told) > 0
	}
	m.note()
	m.budget = min(m.budget+m.rows, max(m.rows, m.cfg.MaxRows))
	for _, f := range slices.Clone(m.fills) {
		if f.source != 0 && f.id != 0 && now >= f.deadline {
			f.refused, f.slow = append(f.refused, f.source), min(f.slow+1, slowMost)
			f.drop(now)
		}
		if f.sweep != nil {
			m.sweepOn(now, f)
		}
	}
	asking := m.Progress().Asking
	for _, f := range m.fills {
		idle := f.source == 0
		if idle && asking >= m.cfg.MaxFills {
			continue
		}
		if m.ask(now, f); idle && f.source != 0 {
			asking++
		}
	}
	m.note()
}

// Outs returns what is to be sent, valid until Reset.
func (m *Refiller) Outs() []Out { return m.out }

// Reset empties Outs.
func (m *Refiller) Reset() {
	clear(m.out)
	m.out = m.out[:0]
}

// note tells the peers what is being filled, when that has changed.
func (m *Refiller) note() {
	if !m.change || m.ring == nil {
		return
	}
	m.change = false
	for _, x := range m.ring.Members {
		if m.up[x.ID] && (len(m.fills) > 0 || m.told[x.ID]) {
			m.tell(x.ID)
		}
	}
}

func (m *Refiller) tell(peer ring.NodeID) {
	list := make([]ring.Partition, len(m.fills))
	for i, f := range m.fills {
		list[i] = f.partition
	}
	m.notes++
	m.told[peer] = true
	m.out = append(m.out, Out{To: peer, Item: wire.FillingItem(m.notes, list)})
}

// drop gives the source up; what was merged stays.
func (f *fill) drop(now int64) {
	f.source, f.id, f.sweep, f.due = 0, 0, nil, now
}

// begin starts with range 0 of the source.
func (f *fill) begin(source ring.NodeID) {
	f.source, f.number, f.after, f.id = source, 0, wire.Ref{}, 0
	f.clock, f.flushed, f.left, f.sweep = nil, nil, false, nil
}

// ask puts the next question of a fill, if none is open and the budget allows it.
func (m *Refiller) ask(now int64, f *fill) {
	if f.id != 0 || f.sweep != nil || now < f.due || m.budget <= 0 {
		return
	}
	if f.source == 0 && !m.choose(f) {
		f.due = now + 4*m.cfg.Retry
		f.refused, f.poor = nil, nil
		return
	}
	m.nextID++
	f.id, f.deadline = m.nextID, now+m.cfg.Retry<<f.slow
	m.out = append(m.out, Out{To: f.source, Item: wire.Item{
		Kind: wire.ItemFill, ID: f.id, Digest: f.number, Partition: f.partition, Slot: f.after.Slot, Key: f.after.Key,
	}})
}

// choose takes a source: the one that this replica is behind of; else one that may be whole; else any that was not merged
// yet; else one that was, in case it has become whole meanwhile.
func (m *Refiller) choose(f *fill) bool {
	owners := m.ring.OwnersOf(f.partition)
	find := func(may func(id ring.NodeID) bool) bool {
		for _, id := range owners {
			if id != m.cfg.Self && m.up[id] && !slices.Contains(f.refused, id) && may(id) {
				f.begin(id)
				return true
			}
		}
		return false
	}
	idle := func(id ring.NodeID) bool { return !m.PeerFilling(f.partition, id) && !slices.Contains(f.poor, id) }
	fresh := func(id ring.NodeID) bool { return !slices.Contains(f.merged, id) }
	f.settled = true
	if find(func(id ring.NodeID) bool { return id == f.wanted && fresh(id) }) {
		return true
	}
	f.settled = false
	if find(func(id ring.NodeID) bool { return fresh(id) && idle(id) }) {
		return true
	}
	f.settled = true
	if find(fresh) {
		return true
	}
	f.settled = false
	return find(idle)
}

// finish: the source has been merged to its end. What it told of itself is taken over in one step, unless something
// was reaped, trimmed or flushed between the first range and the last that its first clock does not know: rows read
// later may then lack what that clock claims.
func (m *Refiller) finish(now int64, f *fill, horizon causal.Vector, flushed *causal.Clock) {
	if !f.clock.CoversVector(horizon) || !f.flushed.Covers(flushed) {
		m.Stats.Again++
		f.begin(f.source)
		return
	}
	if f.left {
		f.refused = append(f.refused, f.source)
		f.drop(now)
		return
	}
	m.Stats.Merges++
	m.store.Adopt(f.partition, f.clock, f.flushed, horizon)
	if !slices.Contains(f.merged, f.source) {
		f.merged = append(f.merged, f.source)
	}
	sound := f.sound
	f.drop(now)
	others := 0
	for _, id := range m.ring.OwnersOf(f.partition) {
		if id != m.cfg.Self && !slices.Contains(f.merged, id) {
			others++
		}
	}
	if !sound && others > 0 {
		return
	}
	if err := m.store.Fill(f.partition, false); err != nil {
		m.Stats.Failed++
		f.merged, f.due = nil, now+m.cfg.Retry
		return
	}
	m.Stats.Ended++
	m.fills = slices.DeleteFunc(m.fills, func(x *fill) bool { return x == f })
	m.change = true
	m.puller.restart(now, f.partition)
}
