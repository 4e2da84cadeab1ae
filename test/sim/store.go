package sim

import (
	"errors"
	"maps"
	"slices"

	"shoal/antientropy"
	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// replica is one partition replica in memory.
type replica struct {
	causal.Replica
	rows    map[string]causal.Container
	damaged map[string]bool // rows that cannot be read
	log     []wire.LogEntry // by dot
}

func newReplica(life causal.Actor) *replica {
	return &replica{Replica: causal.Replica{Life: life}, rows: map[string]causal.Container{}, damaged: map[string]bool{}}
}

func (r *replica) clone() *replica {
	c := &replica{Replica: r.Replica, rows: make(map[string]causal.Container, len(r.rows)), damaged: maps.Clone(r.damaged), log: slices.Clone(r.log)}
	c.Clock, c.Flushed = r.Clock.Clone(), r.Flushed.Clone()
	for k, v := range r.rows { // order-free: a copy
		c.rows[k] = v
	}
	return c
}

func (r *replica) record(e wire.LogEntry) {
	i, found := slices.BinarySearchFunc(r.log, e.Dot, func(x wire.LogEntry, d causal.Dot) int { return x.Dot.Compare(d) })
	if !found {
		r.log = slices.Insert(r.log, i, e)
	}
}

// state is everything of a disk that a crash may take back.
type state []*replica // by partition, nil where there is none; the last: see hints

func (s state) clone() state {
	out := make(state, len(s))
	for i, r := range s {
		if r != nil {
			out[i] = r.clone()
		}
	}
	return out
}

// change is one call of the store, to be repeated on another layer.
type change struct {
	kind      changeKind
	tick      int
	partition ring.Partition
	slot      ring.Slot
	key       string
	row       causal.Container
	dots      []causal.Dot
	clock     *causal.Clock
	life      causal.Actor
	horizon   causal.Vector
	flushed   *causal.Clock
	on        bool
}

type changeKind uint8

const (
	changePut changeKind = iota
	changeMark
	changeFlush
	changeAdopt
	changeReap
	changeLife
	changeDamage
	changeHint
	changeTrim
	changeFill
)

func (s state) apply(c *change) {
	if c.kind == changeHint {
		s.applyHint(c)
		return
	}
	r := s[c.partition]
	if c.kind == changeLife || c.kind == changeFill {
		if r == nil {
			r = newReplica(c.life)
			s[c.partition] = r
		}
		if c.kind == changeFill {
			r.Filling = c.on
		}
		r.Life, r.Seq = c.life, 0
		return
	}
	switch c.kind {
	case changePut:
		r.rows[c.key] = c.row
		delete(r.damaged, c.key)
	case changeReap:
		if delete(r.rows, c.key); !c.row.Empty() {
			r.rows[c.key] = c.row
		}
		r.rise(c.horizon)
	case changeDamage:
		delete(r.rows, c.key)
		r.damaged[c.key] = true
	case changeAdopt:
		r.Clock.Union(c.clock)
		if c.flushed != nil {
			r.Flushed.Union(c.flushed)
		}
		r.rise(c.horizon)
	case changeTrim:
		r.rise(c.horizon)
	case changeFlush:
		r.Flush(c.clock)
		r.record(wire.LogEntry{Dot: c.dots[0], Dropped: c.clock})
	}
	for _, d := range c.dots {
		r.Clock.Add(d)
		if c.kind != changeFlush {
			r.record(wire.LogEntry{Dot: d, Slot: c.slot, Key: []byte(c.key)})
		}
	}
}

// rise raises the horizon. The log shows nothing at or below it.
func (r *replica) rise(to causal.Vector) {
	if len(to) == 0 {
		return
	}
	r.log = slices.DeleteFunc(r.log, func(e wire.LogEntry) bool { return to.Covers(e.Dot) })
	if !bug(HorizonNotKept) && !bug(HorizonNotRaised) {
		r.Horizon = r.Horizon.Join(to)
	}
}

// disk is a node's store: what is there now, what is synced, and the changes between.
type disk struct {
	w       *World
	node    int
	live    state
	synced  state
	tail    []change // applied to live, not to synced
	tick    int
	always  bool // sync at the end of each tick
	flushed bool // a flush in this tick: see coord.Store
	// durable at once whatever the setting
	ring     *ring.Map
	acceptor ring.AcceptorState
	suspect  bool // a tail may have been lost and was not pulled back since, or a replica was filled
	replaces bool // the node was made to replace another one

	lastClock map[ring.Partition]*causal.Clock // of a fill's last range, for a planted bug
}

func (d *disk) do(c change) {
	c.tick = d.tick
	d.live.apply(&c)
	d.tail = append(d.tail, c)
}

func (d *disk) endTick() {
	d.tick++
	if d.always || d.flushed {
		d.sync()
		d.flushed = false
	}
}

// bury removes rows that flushes have left nothing of, as the engine does in the background.
func (d *disk) bury() {
	for p, r := range d.live {
		if r == nil || r.Flushed.IsZero() {
			continue
		}
		for _, key := range d.w.keys {
			row, ok := r.rows[key]
			if view := r.View(row); ok && len(view.Versions) == 0 && r.Flushed.CoversVector(view.Vector) {
				d.do(change{kind: changeReap, partition: ring.Partition(p), key: key})
			}
		}
	}
}

func (d *disk) sync() {
	for i := range d.tail {
		d.synced.apply(&d.tail[i])
	}
	clear(d.tail)
	d.tail = d.tail[:0]
}

// afterLoss is what is left when only the first ticks of the tail reached the disk.
func (d *disk) afterLoss(keep int) state {
	s := d.synced.clone()
	for i := range d.tail {
		if d.tail[i].tick >= keep {
			break
		}
		s.apply(&d.tail[i])
	}
	return s
}

func (d *disk) lose(left state) {
	d.synced, d.live = left, left.clone()
	d.tail = d.tail[:0]
}

// begin gives a partition's replica a new life, durably.
func (d *disk) begin(p ring.Partition) { d.beginAs(p, d.w.newLife(d.node)) }

func (d *disk) beginAs(p ring.Partition, life causal.Actor) {
	if r := d.live[p]; r != nil && bug(ActorReused) {
		return
	}
	d.do(change{kind: changeLife, partition: p, life: life})
	d.sync()
}

// What follows is coord.Store and antientropy.Store.

func (d *disk) Touch([]wire.Ref) {}

func (d *disk) Replica(p ring.Partition) *causal.Replica {
	r := d.live[p]
	if r == nil {
		return nil
	}
	return &r.Replica
}

func (d *disk) Row(p ring.Partition, _ ring.Slot, key []byte) (causal.Container, error) {
	r := d.live[p]
	if r.damaged[string(key)] {
		return causal.Container{}, errDamaged
	}
	row := r.View(r.rows[string(key)])
	d.w.oracle.looked(d, p, string(key), row)
	return row, nil
}

func (d *disk) Put(p ring.Partition, s ring.Slot, key []byte, row causal.Container, dots []causal.Dot) {
	r := d.live[p]
	before := r.View(r.rows[string(key)])
	d.do(change{kind: changePut, partition: p, slot: s, key: string(key), row: row, dots: slices.Clone(dots)})
	d.w.oracle.put(d, p, key, before, r.View(row), dots)
	d.w.oracle.checkRestored(d, r, string(key), before, r.View(row), dots)
}

func (d *disk) Mark(p ring.Partition, s ring.Slot, key []byte, dots []causal.Dot) {
	d.do(change{kind: changeMark, partition: p, slot: s, key: string(key), dots: slices.Clone(dots)})
}

func (d *disk) Flush(p ring.Partition, dot causal.Dot, dropped *causal.Clock) {
	c := dropped.Clone()
	d.flushed = true
	d.do(change{kind: changeFlush, partition: p, dots: []causal.Dot{dot}, clock: &c})
	d.w.oracle.flush(d, p, dot, &c)
}

func (d *disk) AdoptClock(p ring.Partition, c *causal.Clock) {
	clock := c.Clone()
	d.do(change{kind: changeAdopt, partition: p, clock: &clock})
}

func (d *disk) Log(p ring.Partition, lacks *causal.Clock, fn func(wire.LogEntry) bool) error {
	for _, e := range d.live[p].log {
		if !lacks.Contains(e.Dot) && !fn(e) {
			return nil
		}
	}
	return nil
}

func (d *disk) Renew(p ring.Partition) error {
	d.begin(p)
	return nil
}

var errDamaged = errors.New("damaged")

// Walk shows the rows as they are when it begins.
func (d *disk) Walk(p ring.Partition, _ bool) antientropy.Walk {
	w := &walk{r: d.live[p]}
	for _, key := range d.w.keys {
		if d.w.partition(key) == p {
			w.keys = append(w.keys, key)
		}
	}
	return w
}

type walk struct {
	r    *replica
	keys []string
}

func (w *walk) Next(limit int, fn func(ring.Slot, []byte, causal.Container, error)) bool {
	for ; limit > 0 && len(w.keys) > 0; limit-- {
		key := []byte(w.keys[0])
		row, ok := w.r.rows[w.keys[0]]
		row = w.r.View(row)
		if bug(VectorNotHashed) || bug(ClosedWithoutVectors) {
			row = causal.Container{Versions: row.Versions}
		}
		if w.r.damaged[w.keys[0]] {
			fn(ring.SlotOf(key), key, causal.Container{}, errDamaged)
		} else if ok {
			fn(ring.SlotOf(key), key, row, nil)
		}
		w.keys = w.keys[1:]
	}
	return len(w.keys) == 0
}

func (d *disk) Count(p ring.Partition, now int64) int64 {
	n := int64(0)
	r := d.live[p]
	for _, row := range r.rows { // order-free: a count
		if r.View(row).LiveCount(now) > 0 {
			n++
		}
	}
	return n
}

func (d *disk) CountSlot(ring.Slot, int64) int64 { return 0 }
