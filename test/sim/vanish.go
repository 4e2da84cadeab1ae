package sim

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
)

// Rows vanish or are damaged behind a replica's back: no clock knows it, only a comparison of replicas can find it.
//
// The adversary keeps to what nobody could repair. A vanished row counts as one of the W-1 copies that a write may lose.
// It takes only rows that all owners hold durably, that the replica's own life did not write to (its next vector would
// cover what is gone), and that nobody writes to until they are back: a sibling that a replica takes in before the
// comparison raises the row's vector over what it lost, as if that had been superseded.

// resting is a key that clients leave alone.
type resting struct {
	key      string
	since    int64
	vanished bool
}

// settleTime is how long after its clients left it a key is no longer written to, ms: deadlines and skew are over.
const settleTime = 2500

func (w *World) rests(key string) bool { return w.resting != nil && w.resting.key == key }

// vanish plans, does and watches one disappearance at a time.
func (w *World) vanish() {
	if w.ending {
		return
	}
	w.push(event{at: w.now + int64(w.rand.between(20, 200)), kind: evVanish})
	x := w.resting
	switch {
	case x == nil && w.now < w.loadEnds:
		w.resting = &resting{key: w.keys[w.rand.below(len(w.keys))], since: w.now}
	case x == nil:
	case x.vanished && w.oracle.keyEqual(x.key) && !w.damaged(x.key) && w.onDisks(x.key):
		w.trace("key %s is back", x.key)
		w.resting = nil
	case !x.vanished && w.now > x.since+settleTime && w.rand.percent(60):
		if w.now > x.since+3*settleTime && w.now > w.loadEnds {
			w.resting = nil
			return
		}
		owners := w.ownersOf(x.key)
		x.vanished = w.vanishAt(owners[w.rand.below(len(owners))], x.key)
	}
}

func (w *World) vanishAt(n *node, key string) bool {
	p := w.partition(key)
	if !n.up || !w.mayVanish(n, p, key) {
		return false
	}
	r := n.disk.live[p]
	row := r.rows[key]
	c := change{kind: changeReap, partition: p, key: key}
	switch w.rand.below(4) {
	case 0:
		c.kind = changeDamage
	case 1:
		if v := ownVector(row); len(v) < len(row.Vector) {
			c.kind, c.row = changePut, causal.Container{Versions: row.Versions, Vector: v}
		}
	}
	if c.kind != changePut {
		left := n.disk.live.clone()
		delete(left[p].rows, key)
		if !w.oracle.mayLose(n, left) {
			return false
		}
		w.oracle.loses(n, left)
	}
	w.trace("VANISH key %s on node %d (%d): %s", key, n.index, c.kind, w.oracle.names(row))
	w.stats.vanished++
	n.disk.do(c)
	n.disk.sync()
	return true
}

func (w *World) mayVanish(n *node, p ring.Partition, key string) bool {
	r := n.disk.live[p]
	row := r.View(r.rows[key])
	if w.hintsOf(key) > 0 { // they go by clocks, which do not know of it
		return false
	}
	values := 0
	for i := range row.Versions {
		if row.Versions[i].Expiry != 0 {
			return false // nobody would miss it in a while
		}
		if row.Versions[i].Kind != causal.KindTombstone {
			values++
		}
	}
	if values == 0 || row.Vector.Of(r.Life) != 0 || !w.oracle.keyEqual(key) {
		return false
	}
	for _, f := range w.oracle.facts {
		if f.key != key {
			continue
		}
		for _, o := range w.ownersOf(key) {
			if s := o.disk.synced[p]; s == nil || !s.Clock.Contains(f.dot) {
				return false
			}
		}
	}
	return true
}

// damage makes a row unreadable, whoever writes to its key: it is never used, so it harms nothing until it is mended. It
// counts as one of the W-1 copies that a write may lose.
func (w *World) damage(n *node) bool {
	if !n.up {
		return false
	}
	first := w.rand.below(len(w.keys))
	i := slices.IndexFunc(w.keys, func(key string) bool { return key >= w.keys[first] && w.mayDamage(n, key) })
	if i < 0 {
		return false
	}
	key, p := w.keys[i], w.partition(w.keys[i])
	r := n.disk.live[p]
	left := n.disk.live.clone()
	delete(left[p].rows, key)
	if !w.oracle.mayLose(n, left) {
		w.stats.refused++
		return false
	}
	for _, f := range w.oracle.facts {
		if w.oracle.takenFrom(n, left, f) {
			f.broken.add(n.index) // it may say that it has it until it is mended
		}
	}
	w.oracle.loses(n, left)
	w.trace("DAMAGE key %s on node %d: %s", key, n.index, w.oracle.names(r.rows[key]))
	w.stats.damaged++
	n.disk.do(change{kind: changeDamage, partition: p, key: key})
	n.disk.sync() // no power cut mends it
	return true
}

// mayDamage: what no other owner has processed cannot be mended, and nobody would miss what ends in a while.
func (w *World) mayDamage(n *node, key string) bool {
	p := w.partition(key)
	r := n.disk.live[p]
	if r == nil || r.damaged[key] {
		return false
	}
	row := r.rows[key]
	if len(row.Versions) == 0 || slices.ContainsFunc(row.Versions, func(v causal.Version) bool { return v.Expiry != 0 }) {
		return false
	}
	for _, f := range w.oracle.facts {
		if f.op.partition != p || f.key != key && !f.flush || !r.Clock.Contains(f.dot) {
			continue
		}
		for _, o := range w.ownersOf(key) {
			if s := o.disk.synced[p]; s == nil || !s.Clock.Contains(f.dot) {
				return false
			}
		}
	}
	return true
}

// damaged reports whether some owner's row of a key cannot be read: it may be the same as the others' for want of a value.
func (w *World) damaged(key string) bool {
	return slices.ContainsFunc(w.ownersOf(key), func(n *node) bool { return n.disk.live[w.partition(key)].damaged[key] })
}

// onDisks reports whether every owner has a key as it is on its disk. What was put back and a power cut takes before it is there has
// vanished again: no clock says so.
func (w *World) onDisks(key string) bool {
	p := w.partition(key)
	return !slices.ContainsFunc(w.ownersOf(key), func(n *node) bool {
		live, synced := n.disk.live[p], n.disk.synced[p]
		return live == nil || synced == nil || !causal.Same(live.rows[key], synced.rows[key])
	})
}

// keyEqual reports whether all owners hold the same versions and vector of a key.
func (o *oracle) keyEqual(key string) bool {
	owners := o.w.ownersOf(key)
	for _, n := range owners {
		if !slices.Equal(o.live(n, key), o.live(owners[0], key)) {
			return false
		}
	}
	return o.sameVectors(key)
}

// sameVectors compares the vectors of rows with a value, but for what flushes and horizons cover.
func (o *oracle) sameVectors(key string) bool {
	p := o.w.partition(key)
	var horizon, first causal.Vector
	owners := o.w.ownersOf(key)
	for _, n := range owners {
		if r := n.disk.live[p]; r != nil {
			horizon = horizon.Join(r.Horizon)
		}
	}
	for i, n := range owners {
		r := n.disk.live[p]
		if r == nil {
			return false
		}
		row, values := r.View(r.rows[key]), 0
		for k := range row.Versions {
			if v := &row.Versions[k]; v.Kind != causal.KindTombstone && v.Expiry == 0 {
				values++
			}
		}
		if values == 0 {
			return true // the versions are the same: there is no value at any
		}
		vector := slices.DeleteFunc(slices.Clone(row.Vector), func(d causal.Dot) bool {
			return horizon.Covers(d) || r.Flushed.Base(d.Actor) >= d.Seq
		})
		if i == 0 {
			first = vector
		} else if !slices.Equal(first, vector) {
			return false
		}
	}
	return true
}

// checkRestored proves that a version which comes back to a row, although the clock had it, had not been superseded by
// anything that this replica has processed.
func (o *oracle) checkRestored(d *disk, r *replica, key string, before, after causal.Container, dots []causal.Dot) {
	for i := range after.Versions {
		dot := after.Versions[i].Dot
		f := o.byDot[dot]
		if f == nil || f.gone() || before.Find(dot) != nil || slices.Contains(dots, dot) {
			continue
		}
		for _, g := range o.facts {
			if g.seen.has(f.n) && (g.key == key || g.flush) && !g.void && r.Clock.Contains(g.dot) {
				o.w.fail("revived: node %d puts back %s of key %s (%s), and had processed %s, which had seen it: %s",
					d.node, o.name(dot), key, f.value, o.name(g.dot), o.names(after))
			}
		}
	}
}
