package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// Store keeps the partition replicas of this node; see coord.Store for the rules.
type Store interface {
	Clocks
	Row(p ring.Partition, s ring.Slot, key []byte) (causal.Container, error)
	Put(p ring.Partition, s ring.Slot, key []byte, row causal.Container, dots []causal.Dot)
	// Mark logs dots and marks them in the clock without touching the row.
	Mark(p ring.Partition, s ring.Slot, key []byte, dots []causal.Dot)
	Flush(p ring.Partition, dot causal.Dot, dropped *causal.Clock)
	// AdoptClock marks every dot of c.
	AdoptClock(p ring.Partition, c *causal.Clock)
	// Log calls fn for log entries whose dots lacks does not hold, by (actor, seq), until fn returns false. After an
	// error entries may be missing.
	Log(p ring.Partition, lacks *causal.Clock, fn func(wire.LogEntry) bool) error
}

// Config is in milliseconds, bytes and counts.
type Config struct {
	Self       ring.NodeID
	Every      int64 // pull from each other owner of each partition this often; while that brings nothing, ever less: see quietMost
	Retry      int64 // ask again when an answer did not come
	W          int   // the write quorum: whole means to have pulled from N-W+1 others that are
	MaxEntries int   // log entries in one answer
	MaxBytes   int   // rows in one answer, about; one row may exceed it
	MaxAsked   int   // pulls under way at once
}

// Stats counts since the machine was made.
type Stats struct {
	Pulls, Answers, KeysTaken, DotsTaken uint64
	Bytes                                uint64 // of rows taken
	Behind                               uint64 // answers whose horizon the clock that was shown did not reach
	TwoValues                            uint64
	Unreadable                           uint64
}

// pull is one direction between this node and one other owner of a partition.
type pull struct {
	partition ring.Partition
	peer      ring.NodeID
	due       int64  // when to ask next
	id        uint64 // of the open question, 0 when none
	parked    bool   // it has given up its place among those under way; its answer is still good
	tries     uint   // times that it was put
	life      causal.Actor
	asked     causal.Clock
	pulled    bool // since the replica's life began
	sound     bool // and the peer's replica was whole then
	current   bool // pulled since the connection to the peer came up
	quiet     uint // pulls since the last one that brought something, at most quietMost
}

// quietMost bounds how rare pulls become that bring nothing. What a connection loses it loses by its end, and then a
// pull is due at once, so that the rare ones only find what was not sent for want of room.
const quietMost = 3

// slowMost bounds how long an answer is waited for, as a power of two of Retry, before the question is put again. An answer
// may hold a row as large as there are, and come over a slow link behind many others.
const slowMost = 4

// Puller pulls for one node. It is not safe for concurrent use.
type Puller struct {
	cfg    Config
	store  Store
	lives  *Lives
	ring   *ring.Map
	up     map[ring.NodeID]bool
	pulls  [][]pull // per partition; empty where this node is no owner
	whole  []bool
	most   int // pulls under way at once
	next   int // where Tick goes on
	asked  int
	nextID uint64
	lags   []lag
	out    []Out
	Stats  Stats
}

// Out is an item for a peer.
type Out = wire.Out

// New makes a puller without a ring map.
func New(cfg Config, store Store) *Puller {
	return &Puller{cfg: cfg, store: store, most: cfg.MaxAsked, lives: newLives(cfg.Self, store), up: map[ring.NodeID]bool{}}
}

// Pace lets only share parts in of of the usual number of pulls be under way at once.
func (m *Puller) Pace(share, of int) { m.most = max(1, m.cfg.MaxAsked*share/of) }

// Lives is what pulls have told of the other owners. Other machines read it, and may add to it what they hear.
func (m *Puller) Lives() *Lives { return m.lives }

// Whole reports whether this node's replica may answer a read by itself: nothing that was acknowledged before its
// life began is missing from it.
func (m *Puller) Whole(p ring.Partition) bool { return int(p) < len(m.whole) && m.whole[p] }

// Current reports whether this node's replica has pulled from every other owner that is up since that one came up. Until
// then the others may hold writes that were acknowledged while this node could not be reached.
func (m *Puller) Current(p ring.Partition) bool {
	if int(p) >= len(m.pulls) {
		return false
	}
	for i := range m.pulls[p] {
		if e := &m.pulls[p][i]; m.up[e.peer] && !e.current {
			return false
		}
	}
	return true
}

// WholeCount returns how many of this node's replicas are whole, and how many there are.
func (m *Puller) WholeCount() (whole, all int) {
	for p := range m.pulls {
		if m.ring.Position(ring.Partition(p), m.cfg.Self) < 0 {
			continue
		}
		all++
		if m.whole[p] {
			whole++
		}
	}
	return whole, all
}

// Install makes r the ring map. trusted says of a partition's replica whether it lost nothing when its life began:
// it was kept over the boot (or from the older map) with all that it had acknowledged. One that is being filled is not.
func (m *Puller) Install(now int64, r *ring.Map, trusted func(ring.Partition) bool) {
	old := m.pulls
	whole := make([]bool, r.Q)
	for i := range whole {
		p := ring.Partition(i)
		whole[i] = r.Position(p, m.cfg.Self) >= 0 && trusted(p) && !m.filling(p)
	}
	m.ring = r
	m.lives.install(r)
	m.pulls = make([][]pull, r.Q)
	m.whole = whole
	m.asked = 0
	for i := range m.pulls {
		p := ring.Partition(i)
		owners := r.OwnersOf(p)
		if r.Position(p, m.cfg.Self) < 0 {
			continue
		}
		for _, o := range owners {
			if o == m.cfg.Self {
				continue
			}
			e := pull{partition: p, peer: o, due: now}
			if i < len(old) {
				for _, x := range old[i] {
					if x.peer == o {
						e.pulled, e.sound = x.pulled, x.sound
					}
				}
			}
			m.pulls[i] = append(m.pulls[i], e)
		}
		m.judge(p)
	}
}

// judge: a replica becomes whole when it has pulled from N-W+1 others that were whole: any W owners that acknowledged a
// write then include one of them, or this replica itself in a life that lost nothing. One that is not whole may lack
// what it had acknowledged, just as this one, so it counts only together with all others: somewhere the write stands.
func (m *Puller) judge(p ring.Partition) {
	if m.whole[p] || m.filling(p) {
		return
	}
	n := len(m.pulls[p]) + 1
	sound, pulled := 0, 0
	for i := range m.pulls[p] {
		if e := &m.pulls[p][i]; e.pulled {
			pulled++
			if e.sound {
				sound++
			}
		}
	}
	m.whole[p] = pulled == n-1 || sound >= n-min(m.cfg.W, n)+1
}

func (m *Puller) filling(p ring.Partition) bool {
	rep := m.store.Replica(p)
	return rep != nil && rep.Filling
}

// Up says that the connection to a peer stands: everything shared with it is due.
func (m *Puller) Up(now int64, peer ring.NodeID) {
	m.up[peer] = true
	m.each(peer, func(e *pull) {
		m.close(e)
		e.due, e.current, e.quiet = now, false, 0
	})
}

// Down says that the connection is gone. Where this node now comes first it takes over: the others are due. Nothing of
// this connection may reach the next: the peer numbers its questions from the start after a boot.
func (m *Puller) Down(now int64, peer ring.NodeID) {
	m.up[peer] = false
	m.out = slices.DeleteFunc(m.out, func(o Out) bool { return o.To == peer })
	m.each(peer, func(e *pull) {
		m.close(e)
		for i := range m.pulls[e.partition] {
			if x := &m.pulls[e.partition][i]; x.id == 0 {
				x.due = now
			}
		}
	})
}

// Renewed says that a replica began a new life in this boot, with all its rows but one that proved unreadable.
func (m *Puller) Renewed(now int64, p ring.Partition) {
	if int(p) >= len(m.pulls) {
		return
	}
	for i := range m.pulls[p] {
		m.close(&m.pulls[p][i])
		m.pulls[p][i].due = now
	}
}

// Hurry lets the next pull of a partition from a peer come within Every, however quiet it was: something here waits for
// what the peer will say of its durable clock.
func (m *Puller) Hurry(now int64, p ring.Partition, peer ring.NodeID) {
	if int(p) >= len(m.pulls) {
		return
	}
	for i := range m.pulls[p] {
		if e := &m.pulls[p][i]; e.peer == peer && e.due > now+m.cfg.Every {
			e.quiet, e.due = 0, now+m.cfg.Every
		}
	}
}

func (m *Puller) each(peer ring.NodeID, f func(*pull)) {
	for p := range m.pulls {
		for i := range m.pulls[p] {
			if m.pulls[p][i].peer == peer {
				f(&m.pulls[p][i])
			}
		}
	}
}

func (m *Puller) close(e *pull) {
	m.park(e)
	e.id, e.parked, e.tries = 0, false, 0
}

// park lets an open question give up its place among those under way.
func (m *Puller) park(e *pull) {
	if e.id != 0 && !e.parked {
		e.parked = true
		m.asked--
	}
}

// Tick asks what is due, at most MaxAsked questions at once, each partition in its turn. A question that was not
// answered in time gives up its place: peers without a map or a replica do not answer.
func (m *Puller) Tick(now int64) {
	if m.asked >= m.most {
		m.giveUp(now)
	}
	for range m.pulls {
		if m.asked >= m.most {
			return
		}
		if m.next >= len(m.pulls) {
			m.next = 0
		}
		for i := range m.pulls[m.next] {
			if e := &m.pulls[m.next][i]; now >= e.due && m.up[e.peer] && (e.id != 0 && !e.parked || m.asked < m.most) {
				m.ask(now, e)
			}
		}
		m.next++
	}
}

func (m *Puller) giveUp(now int64) {
	for p := range m.pulls {
		for i := range m.pulls[p] {
			if e := &m.pulls[p][i]; e.id != 0 && !e.parked && now >= e.due {
				m.park(e)
				e.due = now + m.cfg.Retry // the others first
			}
		}
	}
}

// ask puts a question. One that is still open is put again as it was, ever more rarely: it may have been answered already,
// and an answer that is long on its way is as good as any.
func (m *Puller) ask(now int64, e *pull) {
	rep := m.store.Replica(e.partition)
	if rep == nil || rep.Filling {
		return
	}
	if e.id == 0 || e.life != rep.Life {
		m.close(e)
		m.nextID++
		e.id, e.parked, e.life, e.asked = m.nextID, true, rep.Life, rep.Clock.Clone()
	}
	if e.parked {
		e.parked = false
		m.asked++
	}
	e.due = now + m.cfg.Retry<<min(e.tries, slowMost)
	e.tries++
	m.Stats.Pulls++
	m.out = append(m.out, Out{To: e.peer, Item: wire.Item{
		Kind: wire.ItemPull, ID: e.id, Partition: e.partition, Life: rep.Life, Clock: &e.asked, Repair: m.durable(e.partition),
	}})
}

// durable is what both directions of a pull tell of this node's durable clock.
func (m *Puller) durable(p ring.Partition) *wire.Repair {
	var c causal.Clock
	if d := m.store.Durable(p); d != nil {
		c = d.Clone()
	}
	return &wire.Repair{Durable: &c}
}

// Outs returns what is to be sent, valid until Reset.
func (m *Puller) Outs() []Out { return m.out }

// Reset empties Outs.
func (m *Puller) Reset() {
	clear(m.out)
	m.out = m.out[:0]
}

// Step takes in items of a peer; those it has no part in are ignored.
func (m *Puller) Step(now int64, from ring.NodeID, items []wire.Item) {
	for i := range items {
		if it := &items[i]; (it.Kind == wire.ItemPull || it.Kind == wire.ItemPulled) && it.Repair != nil {
			m.lives.Heard(it.Partition, from, it.Life, it.Repair.Durable)
		}
		switch items[i].Kind {
		case wire.ItemPull:
			m.onPull(from, &items[i])
		case wire.ItemPulled:
			m.onPulled(now, from, &items[i])
		}
	}
}
