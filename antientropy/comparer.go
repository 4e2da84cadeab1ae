package antientropy

import (
	"math"
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// Rows keeps the partition replicas of this node; see coord.Store for the rules.
type Rows interface {
	Replica(p ring.Partition) *causal.Replica
	Row(p ring.Partition, s ring.Slot, key []byte) (causal.Container, error)
	Put(p ring.Partition, s ring.Slot, key []byte, row causal.Container, dots []causal.Dot)
	// Renew gives the replica a fresh actor, durably.
	Renew(p ring.Partition) error
	// Log is Store's.
	Log(p ring.Partition, lacks *causal.Clock, fn func(wire.LogEntry) bool) error
	// Walk begins a walk over the rows of a partition, of all that is stored of them if it is deep.
	Walk(p ring.Partition, deep bool) Walk
}

// Walk shows every row of a partition once, in any order, as View shows it, with its checksum verified: else with an
// error. Next shows up to limit rows and reports whether there are no more. What it passes is valid during the call.
type Walk interface {
	Next(limit int, fn func(slot ring.Slot, key []byte, row causal.Container, err error)) (done bool)
}

// CompareConfig is in milliseconds, bytes and counts.
type CompareConfig struct {
	Self       ring.NodeID
	Every      int64 // compare each partition with each other owner this often; 0: only when asked to
	First      int64 // the first time so long after the boot
	Retry      int64 // compare again so soon what could not be compared, or not be repaired in one exchange
	Timeout    int64 // of one question; an answer may need a walk over the partition
	TickRows   int   // rows looked at in one Tick
	MaxKeys    int   // keys in one message
	MaxBytes   int   // bytes of keys or rows in one message, about
	Batch      int   // rows asked for in one question
	MaxRepairs int   // keys looked at in one exchange; the rest comes with the next
}

// CompareStats counts since the machine was made.
type CompareStats struct {
	Exchanges  uint64 // comparisons of a partition with another owner that came to their end
	Rows       uint64 // looked at, here
	Differed   uint64 // keys that differed
	Repaired   uint64 // rows changed here by another owner's
	Lost       uint64 // of those, rows that had lost a version
	Bytes      uint64 // of rows taken
	Unsettled  uint64 // rows left for later: the other owner had not processed all that this one had
	Doubtful   uint64 // rows left alone: lost, or reaped
	Unreadable uint64 // damaged rows met
	TwoValues  uint64
}

// pair is a partition and another owner of it.
type pair struct {
	partition ring.Partition
	peer      ring.NodeID
	due       int64
	tries     int           // in a row that did not come to their end
	deep      bool          // the next time verify also what the store holds twice
	horizon   causal.Vector // both horizons, when last heard of
	compared  int64         // when an exchange last came to its end, unix ms; 0: never
	differed  int           // keys that differed then
	unread    []string      // keys whose rows the peer could not read, since the last exchange began
}

const never = math.MaxInt64

// Comparer compares the partitions of one node with their other owners, one exchange at a time, and repairs what the
// clocks cannot know of: a row that was deleted behind the store's back, damaged bytes, our own bugs.
//
// An exchange asks for the sums of the slots' hashes, then for the keys and hashes of the slots that differ (of parts of
// a slot that is too large for a message), then for the rows that differ. Sums and lists are made by walking over the
// rows, a few per Tick, on both sides. A write that comes meanwhile makes a key look different; the rows then tell.
// Only what is missing here is taken (see Replica.Restore); the other owner is told which keys to look at, and asks for
// them in its turn. Nothing is kept between exchanges but when they were.
//
// It is not safe for concurrent use.
type Comparer struct {
	cfg    CompareConfig
	store  Rows
	ring   *ring.Map
	up     map[ring.NodeID]bool
	pairs  []pair
	rows   int   // to be looked at in one Tick
	next   int   // where the search for a due pair goes on
	wake   int64 // no pair is due before
	now    *exchange
	drift  int64 // see Drift
	jobs   []job
	hints  []hint
	nextID uint64
	out    []Out
	Stats  CompareStats
}

// NewComparer makes a comparer without a ring map.
func NewComparer(cfg CompareConfig, store Rows) *Comparer {
	return &Comparer{cfg: cfg, store: store, rows: cfg.TickRows, up: map[ring.NodeID]bool{}, wake: never}
}

// Pace makes each Tick do only share parts in of of its full work.
func (m *Comparer) Pace(share, of int) { m.rows = max(1, m.cfg.TickRows*share/of) }

// Drift says by how many ms the machine's wall clock, which expiry goes by, is ahead of the time that steps are told.
func (m *Comparer) Drift(ms int64) { m.drift = ms }

// Install makes r the ring map.
func (m *Comparer) Install(now int64, r *ring.Map) {
	old := m.pairs
	first := int64(never)
	if m.cfg.Every > 0 {
		first = now + m.cfg.First
	}
	m.ring, m.pairs, m.now, m.hints, m.jobs, m.next = r, nil, nil, nil, nil, 0
	for i := range r.Q {
		p := ring.Partition(i)
		if r.Position(p, m.cfg.Self) < 0 {
			continue
		}
		for _, o := range r.OwnersOf(p) {
			if o == m.cfg.Self {
				continue
			}
			x := pair{partition: p, peer: o, due: first}
			if k := slices.IndexFunc(old, func(e pair) bool { return e.partition == p && e.peer == o }); k >= 0 {
				x = old[k]
			}
			m.pairs = append(m.pairs, x)
		}
	}
	m.wake = now
}

// Up says that the connection to a peer stands.
func (m *Comparer) Up(now int64, peer ring.NodeID) {
	m.up[peer] = true
	m.wake = now
}

// Down says that the connection to a peer is gone. Nothing of it may reach the next.
func (m *Comparer) Down(now int64, peer ring.NodeID) {
	m.up[peer] = false
	m.out = slices.DeleteFunc(m.out, func(o Out) bool { return o.To == peer })
	m.jobs = slices.DeleteFunc(m.jobs, func(j job) bool { return j.from == peer })
	m.hints = slices.DeleteFunc(m.hints, func(h hint) bool { return h.peer == peer })
	for i := range m.pairs {
		if x := &m.pairs[i]; x.peer == peer {
			x.unread = nil
		}
	}
	if m.now != nil && m.now.peer == peer {
		m.abandon(now)
	}
}

// Repair makes every comparison of a partition due now, and thorough; p < 0: of all partitions. It answers how many.
func (m *Comparer) Repair(now int64, p int) int {
	n := 0
	for i := range m.pairs {
		if x := &m.pairs[i]; p < 0 || x.partition == ring.Partition(p) {
			x.due, x.deep, x.tries = now, true, 0
			n++
		}
	}
	m.wake = now
	return n
}

// Busy reports whether the next Ticks have work to do.
func (m *Comparer) Busy(now int64) bool {
	return m.now != nil || len(m.jobs) > 0 || len(m.hints) > 0 || now >= m.wake
}

// Due is how many comparisons are due or under way, also with owners that cannot be reached.
func (m *Comparer) Due(now int64) int {
	n := len(m.hints)
	if m.now != nil && m.now.of == nil { // else its pair is due until it ends
		n++
	}
	for i := range m.pairs {
		if m.pairs[i].due <= now {
			n++
		}
	}
	return n
}

// Divergence is what comparisons with one other owner have found.
type Divergence struct {
	Peer       ring.NodeID
	Partitions int   // shared ones that were compared
	Differed   int   // keys that differed when each was last compared
	Age        int64 // ms since the one compared longest ago; -1 while some were never compared
}

// Divergences lists every peer that shares a partition, in the order of the ring.
func (m *Comparer) Divergences(now int64) []Divergence {
	var out []Divergence
	for i := range m.pairs {
		x := &m.pairs[i]
		k := slices.IndexFunc(out, func(d Divergence) bool { return d.Peer == x.peer })
		if k < 0 {
			k = len(out)
			out = append(out, Divergence{Peer: x.peer})
		}
		d := &out[k]
		switch {
		case x.compared == 0:
			d.Age = -1
		case d.Age >= 0:
			d.Age = max(d.Age, now-x.compared)
		}
		if x.compared > 0 {
			d.Partitions++
			d.Differed += x.differed
		}
	}
	return out
}

// Age is how long ago the comparison is that is longest ago, of every partition with every other owner; -1 while one
// never took place.
func (m *Comparer) Age(now int64) int64 {
	if len(m.pairs) == 0 {
		return -1
	}
	age := int64(0)
	for i := range m.pairs {
		if m.pairs[i].compared == 0 {
			return -1
		}
		age = max(age, now-m.pairs[i].compared)
	}
	return age
}

// Tick does a slice of work: at most TickRows rows are looked at. With nothing due it costs nothing.
func (m *Comparer) Tick(now int64) {
	left := m.rows
	if m.now != nil && now >= m.now.deadline {
		m.abandon(now)
	}
	if m.now == nil && (len(m.hints) > 0 || now >= m.wake) {
		m.begin(now)
	}
	if x := m.now; x != nil && x.own != nil && !x.own.done {
		left = m.walk(x.own, left)
		m.progress(now)
	}
	for left > 0 && len(m.jobs) > 0 {
		if left = m.walk(m.jobs[0].hashing, left); !m.jobs[0].done {
			return
		}
		m.answer(&m.jobs[0])
		m.jobs = slices.Delete(m.jobs, 0, 1)
	}
}

func (m *Comparer) walk(h *hashing, limit int) (left int) {
	rep := m.store.Replica(h.partition)
	if rep == nil {
		h.done = true
		return limit
	}
	damaged := len(h.damaged)
	left = h.step(rep, limit)
	m.Stats.Rows += uint64(limit - left)
	m.Stats.Unreadable += uint64(len(h.damaged) - damaged)
	return left
}

// Step takes in items of a peer; those it has no part in are ignored.
func (m *Comparer) Step(now int64, from ring.NodeID, items []wire.Item) {
	for i := range items {
		switch it := &items[i]; it.Kind {
		case wire.ItemSums, wire.ItemKeys:
			m.onQuestion(from, it)
		case wire.ItemHashed:
			m.onHashed(now, from, it)
		case wire.ItemFetch:
			m.onFetch(now, from, it)
		case wire.ItemFetched:
			m.onFetched(now, from, it)
		}
	}
}

// Outs returns what is to be sent, valid until Reset.
func (m *Comparer) Outs() []Out { return m.out }

// Reset empties Outs.
func (m *Comparer) Reset() {
	clear(m.out)
	m.out = m.out[:0]
}

func (m *Comparer) send(to ring.NodeID, it wire.Item) { m.out = append(m.out, Out{To: to, Item: it}) }

func (m *Comparer) hashing(p ring.Partition, sum, deep bool, leaves []wire.Leaf, at int64, horizon causal.Vector) *hashing {
	return &hashing{
		partition: p, walk: m.store.Walk(p, deep), sum: sum, leaves: leaves, at: at, horizon: horizon,
		salt: uint64(m.cfg.Self), sums: map[ring.Slot]uint64{}, maxKeys: m.cfg.MaxKeys, maxBytes: m.cfg.MaxBytes,
	}
}
