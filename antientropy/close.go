package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// Graves is where dots of actors that are over lie; see Store and Rows for the rules.
type Graves interface {
	Replica(p ring.Partition) *causal.Replica
	AdoptClock(p ring.Partition, c *causal.Clock)
	Walk(p ring.Partition, deep bool) Walk
}

// CloseConfig is in milliseconds and counts.
type CloseConfig struct {
	Self        ring.NodeID
	Incarnation causal.Actor // of this node's boot, as its peers are told in the handshake
	Every       int64        // look for actors to close this often
	After       int64        // once they have blocked something for so long; owners further behind wait a multiple
	Timeout     int64        // of one survey; an answer needs a walk over the partition
	Rows        int          // looked at in one Tick
	Partitions  int          // looked at in one Tick
	Actors      int          // asked about in one survey, at most
}

// CloseStats counts since the machine was made.
type CloseStats struct {
	Surveys uint64 // begun
	Ended   uint64 // of those, actors that every member answered about
	Refused uint64 // answers that ended a survey: too early, or somebody is being filled
	Held    uint64 // answers that a hint is held
	Closed  uint64 // actors closed at this node's replicas
}

// Closer ends actors for good. A dot that died with its life would hold back reaping and trimming for ever: a hole in the
// clocks, or an entry of a row's vector, that nobody can fill. So when an actor blocks something here and is nobody's
// current life, every member is asked what it knows of it. What no member knows exists nowhere: once an owner holds the
// union of what they know, all other dots up to the highest seq that anybody names are void, and count as processed.
//
//	c: actor{id, a, map's epoch, boots of all members, as connected with c} to every member
//	m: answers only with the same map, connected with nobody in another boot than that; a may not be its current life, nor
//	   its replica be filled. Fences a, then looks through its rows: {dots of a; highest seq of a; is a hint held?}
//	c: all have answered in the connections that were asked in, no hint is held:
//	   U := union of the dots, n := highest -> close{a, n, U} to the owners
//	o: clock covers U -> base(a) := n; else ignore
//
// What closing rests on: whoever has answered takes in no dot of a that is not in U. From a's own node it could come only
// in a connection with an earlier boot, and there is none: they were compared. Any other member sends what it had when
// it answered itself, if it still is the boot that answered, and a frame of an earlier boot of it would come by such a
// connection, too. So nothing need be kept: a survey that fails is forgotten, and the next one starts from nothing.
//
// It is not safe for concurrent use.
type Closer struct {
	cfg       CloseConfig
	store     Graves
	lives     *Lives
	blocking  func(ring.Partition) causal.Vector
	hintsHeld func(ring.Partition) bool
	ring      *ring.Map
	up        map[ring.NodeID]bool
	boots     map[ring.NodeID]causal.Actor
	suspects  [][]suspect // by partition
	next      int
	round     int64 // when the next round over the partitions begins
	now       *inquest
	jobs      []*tally
	nextID    uint64
	fenced    []causal.Actor
	out       []Out
	Stats     CloseStats
}

// suspect is an actor that blocks something.
type suspect struct {
	actor causal.Actor
	since int64
}

// inquest is the survey under way.
type inquest struct {
	partition ring.Partition
	deadline  int64
	actors    []asked
}

type asked struct {
	actor causal.Actor
	id    uint64
	left  []ring.NodeID // members that have not answered
	dots  causal.Clock
	high  uint64
}

// NewCloser makes a closer without a ring map. lives is the puller's; blocking names what rows that wait to be reaped
// lack (Reaper.Blocking); hintsHeld says whether this node holds a hint of a partition, nil: never.
func NewCloser(cfg CloseConfig, store Graves, lives *Lives, blocking func(ring.Partition) causal.Vector, hintsHeld func(ring.Partition) bool) *Closer {
	return &Closer{
		cfg: cfg, store: store, lives: lives, blocking: blocking, hintsHeld: hintsHeld,
		up: map[ring.NodeID]bool{}, boots: map[ring.NodeID]causal.Actor{},
	}
}

// Install makes r the ring map.
func (m *Closer) Install(r *ring.Map) {
	m.ring, m.suspects, m.next, m.now, m.jobs = r, make([][]suspect, r.Q), 0, nil, nil
}

// Connected says which incarnation of a peer a connection is with. It is called before Up.
func (m *Closer) Connected(peer ring.NodeID, incarnation causal.Actor) { m.boots[peer] = incarnation }

// Up says that the connection to a peer stands.
func (m *Closer) Up(_ int64, peer ring.NodeID) {
	m.forget(peer)
	m.up[peer] = true
}

// Down says that the connection to a peer is gone. A survey ends with it: the peer may lose what it told.
func (m *Closer) Down(_ int64, peer ring.NodeID) {
	m.forget(peer)
	m.up[peer] = false
}

func (m *Closer) forget(peer ring.NodeID) {
	m.now = nil
	m.jobs = slices.DeleteFunc(m.jobs, func(j *tally) bool { return j.from == peer || j.from == m.cfg.Self })
	m.out = slices.DeleteFunc(m.out, func(o Out) bool { return o.To == peer })
}

// Fenced lists actors whose frames must not be taken any more, found since the last Reset: whoever performs this drops,
// from now on, every frame of a connection with an incarnation of this name.
func (m *Closer) Fenced() []causal.Actor { return m.fenced }

// Outs returns what is to be sent, valid until Reset.
func (m *Closer) Outs() []Out { return m.out }

// Reset empties Outs and Fenced.
func (m *Closer) Reset() {
	clear(m.out)
	m.out, m.fenced = m.out[:0], m.fenced[:0]
}

// Busy reports whether the next Ticks have work to do.
func (m *Closer) Busy() bool { return m.now != nil || len(m.jobs) > 0 }

// Tick looks for actors to close, and goes on with the walks that answers need.
func (m *Closer) Tick(now int64) {
	if m.now != nil && now >= m.now.deadline {
		m.now = nil
	}
	if now >= m.round {
		m.search(now)
	}
	m.count()
}

// search looks at some partitions, and begins a survey where an actor has blocked something for long enough.
func (m *Closer) search(now int64) {
	for left := m.cfg.Partitions; left > 0 && m.ring != nil; m.next++ {
		if m.next >= len(m.suspects) {
			m.next, m.round = 0, now+m.cfg.Every
			return
		}
		p := ring.Partition(m.next)
		at := m.ring.Position(p, m.cfg.Self)
		rep := m.store.Replica(p)
		if at < 0 || rep == nil || rep.Filling {
			continue
		}
		left--
		m.suspect(now, p, rep)
		if m.now != nil || !m.reachable() || !m.lives.Known(p) {
			continue
		}
		var due []causal.Actor
		for i := range m.suspects[p] {
			if s := &m.suspects[p][i]; now >= s.since+m.cfg.After*int64(at+1) && len(due) < m.cfg.Actors {
				due = append(due, s.actor)
				s.since = now // the next survey, if this one fails
			}
		}
		if len(due) > 0 {
			m.ask(now, p, due)
		}
	}
}

// suspect notes which actors block something: they leave a hole, or a row that waits to be reaped names more of them.
func (m *Closer) suspect(now int64, p ring.Partition, rep *causal.Replica) {
	var list []suspect
	add := func(a causal.Actor) {
		same := func(s suspect) bool { return s.actor == a }
		if m.lives.Current(p, a) || slices.ContainsFunc(list, same) {
			return
		}
		if i := slices.IndexFunc(m.suspects[p], same); i >= 0 {
			list = append(list, m.suspects[p][i])
			return
		}
		list = append(list, suspect{a, now})
	}
	for _, e := range rep.Clock.Entries() {
		if len(e.Above) > 0 {
			add(e.Actor)
		}
	}
	for _, d := range m.blocking(p) {
		if rep.Clock.Base(d.Actor) < d.Seq {
			add(d.Actor)
		}
	}
	m.suspects[p] = list
}

// reachable reports whether every member can be asked.
func (m *Closer) reachable() bool {
	for i := range m.ring.Members {
		if id := m.ring.Members[i].ID; id != m.cfg.Self && !m.up[id] {
			return false
		}
	}
	return true
}

func (m *Closer) ask(now int64, p ring.Partition, actors []causal.Actor) {
	m.now = &inquest{partition: p, deadline: now + m.cfg.Timeout}
	m.Stats.Surveys++
	var members []ring.NodeID
	var boots []wire.Boot
	for i := range m.ring.Members {
		id := m.ring.Members[i].ID
		boot := m.boots[id]
		if id == m.cfg.Self {
			boot = m.cfg.Incarnation
		}
		members, boots = append(members, id), append(boots, wire.Boot{Node: id, Incarnation: boot})
	}
	for _, a := range actors {
		m.nextID++
		m.now.actors = append(m.now.actors, asked{actor: a, id: m.nextID, left: slices.Clone(members)})
	}
	for _, x := range slices.Clone(m.now.actors) { // this node's own answers may end the survey
		for _, id := range members {
			m.send(id, wire.Item{
				Kind: wire.ItemActor, ID: x.id, Partition: p, Life: x.actor, Digest: m.ring.Epoch, Repair: &wire.Repair{Boots: boots},
			})
		}
	}
}

// send sends an item, or takes it in when it is for this node.
func (m *Closer) send(to ring.NodeID, it wire.Item) {
	if to == m.cfg.Self {
		m.step(to, &it)
		return
	}
	m.out = append(m.out, Out{To: to, Item: it})
}

// Step takes in items of a peer; those it has no part in are ignored.
func (m *Closer) Step(_ int64, from ring.NodeID, items []wire.Item) {
	for i := range items {
		m.step(from, &items[i])
	}
}

func (m *Closer) step(from ring.NodeID, it *wire.Item) {
	switch it.Kind {
	case wire.ItemActor:
		m.onActor(from, it)
	case wire.ItemActorKnown:
		m.onKnown(from, it)
	case wire.ItemClose:
		m.onClose(it)
	}
}

// onKnown takes in an answer. The last one closes the actor.
func (m *Closer) onKnown(from ring.NodeID, it *wire.Item) {
	x := m.now
	if x == nil || x.partition != it.Partition {
		return
	}
	i := slices.IndexFunc(x.actors, func(a asked) bool { return a.id == it.ID && a.actor == it.Life })
	if i < 0 || !slices.Contains(x.actors[i].left, from) {
		return
	}
	a := &x.actors[i]
	over := true
	switch {
	case it.Has(wire.FlagRefused):
		m.Stats.Refused++
	case it.Has(wire.FlagShared):
		m.Stats.Held++
	default:
		a.left = slices.DeleteFunc(a.left, func(id ring.NodeID) bool { return id == from })
		a.dots.Union(it.Clock)
		a.high = max(a.high, it.Digest, it.Clock.Max(it.Life))
		if over = len(a.left) == 0; over {
			m.Stats.Ended++
			m.close(x.partition, a)
		}
	}
	if over {
		if x.actors = slices.Delete(x.actors, i, i+1); len(x.actors) == 0 {
			m.now = nil
		}
	}
}

func (m *Closer) close(p ring.Partition, a *asked) {
	for _, o := range m.ring.OwnersOf(p) {
		dots := a.dots.Clone()
		m.send(o, wire.Item{Kind: wire.ItemClose, Partition: p, Life: a.actor, Digest: a.high, Clock: &dots})
	}
}

// onClose makes the dots void that exist nowhere, if this replica holds all that exist. If it does not, it has lost some
// since it answered, or never had them: once it has pulled them another survey will tell again.
func (m *Closer) onClose(it *wire.Item) {
	rep := m.replicaOf(it.Partition)
	if rep == nil || rep.Filling || rep.Life == it.Life || !rep.Clock.Covers(it.Clock) || rep.Clock.Base(it.Life) >= it.Digest {
		return
	}
	closed := causal.Upto(it.Life, it.Digest)
	m.store.AdoptClock(it.Partition, &closed)
	m.Stats.Closed++
}

// replicaOf is this node's replica of a partition, also when it owns it no more.
func (m *Closer) replicaOf(p ring.Partition) *causal.Replica {
	if m.ring == nil || int(p) >= m.ring.Q {
		return nil
	}
	return m.store.Replica(p)
}
