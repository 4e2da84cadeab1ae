package sim

import (
	"slices"

	"shoal/causal"
	"shoal/wire"
)

// checkVersions proves that one dot names one value for ever, and that nothing is stored that nobody wrote.
func (o *oracle) checkVersions(d *disk, key string, row causal.Container) {
	for i := range row.Versions {
		v := &row.Versions[i]
		f := o.byDot[v.Dot]
		switch {
		case f == nil:
			o.w.fail("invention: node %d holds %s of key %s, which no coordinator wrote", d.node, o.name(v.Dot), key)
		case f.key != key || f.kind != v.Kind || f.value != string(v.Payload) || f.hlc != v.HLC:
			o.w.fail("one dot, two values: node %d holds %s of key %s as %q, it was written as %q of key %s",
				d.node, o.name(v.Dot), key, v.Payload, f.value, f.key)
		}
	}
}

// checkRow proves, for each single change of a row, that a version leaves only for one that had seen it, that none
// stands beside one that had seen it, and that a plain write replaced whatever its own life had written before
// (hence: siblings of plain writes <= incarnations that coordinated).
func (o *oracle) checkRow(d *disk, r *replica, key string, before, after causal.Container) {
	for i := range before.Versions {
		dot := before.Versions[i].Dot
		f := o.byDot[dot]
		if f == nil || after.Find(dot) != nil || f.reaped {
			continue
		}
		if !o.seenByOneOf(f, after) && !o.flushed(f) {
			o.w.fail("dropped unseen: node %d had %s of key %s (%s, op %d) and stores %s, where nothing had seen it",
				d.node, o.name(dot), key, f.value, f.op.id, o.names(after))
		}
	}
	for i := range after.Versions {
		f := o.byDot[after.Versions[i].Dot]
		if f == nil {
			continue
		}
		if o.seenByOneOf(f, after) && !(f.gone() && f.reaped) && !o.flushed(f) { // the flush itself may come later
			o.w.fail("revived: node %d stores %s of key %s (%s) beside a version that had seen it: %s",
				d.node, o.name(f.dot), key, f.value, o.names(after))
		}
		for j := range after.Versions[:i] {
			g := o.byDot[after.Versions[j].Dot]
			if g != nil && g.dot.Actor == f.dot.Actor && f.op.plain() {
				o.w.fail("two siblings of one life: node %d stores plain write %s beside %s: %s",
					d.node, o.name(f.dot), o.name(g.dot), o.names(after))
			}
		}
	}
}

func (o *oracle) seenByOneOf(f *fact, row causal.Container) bool {
	for i := range row.Versions {
		if x := o.byDot[row.Versions[i].Dot]; x != nil && x.seen.has(f.n) {
			return true
		}
	}
	return false
}

// flushed reports whether some flush that was begun had seen the fact: its effect may travel in rows' vectors.
func (o *oracle) flushed(f *fact) bool {
	return f.killed && slices.ContainsFunc(o.facts, func(x *fact) bool { return x.flush && x.seen.has(f.n) })
}

// checkDiscarded proves that VSET and VDEL remove only what the client's context had seen.
func (o *oracle) checkDiscarded(d *disk, f *fact, before, after causal.Container) {
	for i := range before.Versions {
		x := o.byDot[before.Versions[i].Dot]
		if x != nil && after.Find(x.dot) == nil && !f.seen.has(x.n) && !x.reaped {
			o.w.fail("unseen sibling removed: op %d on node %d removed %s (%s), which its context had not seen",
				f.op.id, d.node, o.name(x.dot), x.value)
		}
	}
}

// ended is told of every result that a client gets.
func (o *oracle) ended(op *operation) {
	r := &op.result
	if op.status == wire.OK || op.status == wire.Uncertain {
		for _, f := range op.facts {
			if op.status == wire.OK {
				f.acked, f.ackedAt = true, o.w.now
				o.checkPlaces(f)
			}
		}
	} else if len(op.facts) > 0 {
		o.w.fail("written after a refusal: op %d wrote %s and was answered with status %d %s",
			op.id, o.name(op.facts[0].dot), op.status, r.Err)
	}
	if op.status != wire.OK {
		return
	}
	switch op.code {
	case wire.OpSet, wire.OpVSet, wire.OpFlush:
		if len(op.facts) == 0 {
			o.w.fail("acknowledged, not written: op %d wrote nothing and was answered OK", op.id)
		}
	case wire.OpDel, wire.OpVDel, wire.OpExpire, wire.OpPersist:
		if (r.Int > 0) != (len(op.facts) > 0) {
			o.w.fail("wrong count: op %d was answered %d and wrote %d versions", op.id, r.Int, len(op.facts))
		}
	case wire.OpGet, wire.OpVGet:
		o.read(op)
	}
	if op.code == wire.OpVGet {
		op.seen = o.contextSeen(op.key, r.Context, r.Siblings)
	}
	if op.code == wire.OpVSet {
		op.afterwards.join(op.seen)
		for _, f := range op.facts {
			o.closure(f, &op.afterwards)
		}
	}
}

// shownBy lists what a read shows; for GET the newest fact with the value (a change of expiry repeats the value).
func (o *oracle) shownBy(op *operation) (out []*fact) {
	if op.code == wire.OpVGet {
		for i := range op.result.Siblings {
			out = append(out, o.byDot[op.result.Siblings[i].Dot])
		}
	} else if op.result.Found {
		list := o.byValue[string(op.result.Value)]
		if len(list) == 0 {
			return []*fact{nil}
		}
		out = append(out, list[len(list)-1])
	}
	return out
}

// read proves, where every answered read had R owners (strict worlds, and worlds without faults): it shows no value
// that an acknowledged write had replaced when the read began (stale), and lacks none that was acknowledged by then
// (missed) or, where R >= W, shown by then (unshown), unless a write that had seen it is shown or a delete had seen it.
func (o *oracle) read(op *operation) {
	shown := o.shownBy(op)
	var closure set
	for _, f := range shown {
		if f == nil || f.key != op.key || f.gone() {
			o.w.fail("invention: read op %d of key %s shows %q, which nobody wrote", op.id, op.key, op.result.Value)
			return
		}
		o.closure(f, &closure)
	}
	if !o.w.cfg.quorumReads() {
		return
	}
	for _, f := range o.facts {
		if f.key != op.key && !f.flush {
			continue
		}
		known := f.acked && f.ackedAt < op.begun || f.shown && f.shownAt < op.begun
		if !known {
			continue
		}
		if f.acked && f.ackedAt < op.begun && (op.code == wire.OpVGet || len(o.byValue[string(op.result.Value)]) == 1) {
			for _, s := range shown {
				if f.seen.has(s.n) {
					o.w.fail("stale read: op %d of key %s shows %s (%s), which %s of op %d had seen and was acknowledged",
						op.id, op.key, o.name(s.dot), s.value, o.name(f.dot), f.op.id)
				}
			}
		}
		missing := !f.gone() && !f.expires && !f.killed && !closure.has(f.n)
		if missing && (op.code == wire.OpVGet || len(shown) == 0) {
			what := "missed"
			if !f.acked || f.ackedAt >= op.begun {
				what = "unshown"
			}
			o.w.fail("%s: read op %d of key %s shows %d values and not %s (%s, op %d)",
				what, op.id, op.key, len(shown), o.name(f.dot), f.value, f.op.id)
		}
	}
	for _, f := range shown {
		if !f.shown && o.w.cfg.r >= o.w.cfg.w && (op.code == wire.OpVGet || len(o.byValue[f.value]) == 1) && o.stands(f) {
			f.shown, f.shownAt = true, o.w.now
		}
	}
}

// stands reports whether the fact is anywhere. A value that was on R owners when a read was decided, and that the adversary took from
// all of them while the answer was on its way, is not held against them: until the answer came nobody had promised it, so that
// mayLose did not know of it.
func (o *oracle) stands(f *fact) bool { return o.standsElsewhere(nil, f) }

// reflects reports whether a state contains the fact: it, or something that had seen it, stands in its row.
func (o *oracle) reflects(s state, f *fact) bool {
	if hint := s.hints()[f.key]; o.holds(hint, f) {
		return true
	}
	p := f.op.partition
	r := s[p]
	if r == nil {
		return false
	}
	for _, x := range o.flushes(r) {
		if x == f || x.seen.has(f.n) {
			return true
		}
	}
	if f.flush {
		return false
	}
	return o.holds(r.rows[f.key], f)
}

// holds reports whether the fact, or something that had seen it, is in a row.
func (o *oracle) holds(row causal.Container, f *fact) bool {
	for i := range row.Versions {
		if x := o.byDot[row.Versions[i].Dot]; x == f || x != nil && x.seen.has(f.n) {
			return true
		}
	}
	return false
}

// mayLose is the adversary's word: a node may be left with a state only if each write that was, or may still be,
// acknowledged loses no more than the W-1 places it may lose, or stands in some other place; so with each value that a
// quorum read has shown.
func (o *oracle) mayLose(at *node, left state) bool {
	for _, f := range o.facts {
		if f.reaped && o.forgottenBy(at, left, f) && !o.processedElsewhere(at, f) {
			return false // a deletion that no row shows any more: horizons and clocks are all that is left of it
		}
		if f.reaped || f.op.done && !f.acked && !f.shown || !o.takenFrom(at, left, f) {
			continue
		}
		allowed := 0
		if f.acked || !f.op.done {
			allowed = min(o.w.cfg.w, o.w.owners()) - 1
		}
		if f.lost+1 > allowed && (o.w.cfg.careful || !o.standsElsewhere(at, f)) {
			return false
		}
	}
	return true
}

func (o *oracle) takenFrom(at *node, left state, f *fact) bool {
	return o.reflects(at.disk.live, f) && !o.reflects(left, f)
}

// forgottenBy reports whether a node would go back to before it had processed a fact.
func (o *oracle) forgottenBy(at *node, left state, f *fact) bool {
	p := f.op.partition
	now, then := at.disk.live[p], left[p]
	return f.gone() && now != nil && now.Clock.Contains(f.dot) && (then == nil || !then.Clock.Contains(f.dot))
}

func (o *oracle) processedElsewhere(at *node, f *fact) bool {
	return slices.ContainsFunc(o.w.nodes, func(n *node) bool {
		r := n.disk.live[f.op.partition]
		return n != at && r != nil && r.Clock.Contains(f.dot)
	})
}

// loses counts what mayLose has allowed.
func (o *oracle) loses(at *node, left state) {
	for _, f := range o.facts {
		if o.takenFrom(at, left, f) {
			f.lost++
		}
		if o.reflects(at.disk.synced, f) && !o.reflects(left, f) {
			f.broken.add(at.index)
		}
	}
}

func (o *oracle) standsElsewhere(at *node, f *fact) bool {
	return slices.ContainsFunc(o.w.nodes, func(n *node) bool { return n != at && n.disk != nil && o.reflects(n.disk.live, f) })
}

// decided proves that there is one map per epoch.
func (o *oracle) decided(epoch uint64, raw string, node int) {
	if was, ok := o.maps[epoch]; ok && was != raw {
		o.w.fail("two maps for one epoch: node %d has another map of epoch %d", node, epoch)
	}
	o.maps[epoch] = raw
}

// equal reports whether all owners hold the same versions of every key (tombstones leave at different moments): G6.
func (o *oracle) equal() bool {
	for _, key := range o.w.keys {
		var first []causal.Dot
		for i, n := range o.w.ownersOf(key) {
			dots := o.live(n, key)
			if i == 0 {
				first = dots
			} else if !slices.Equal(first, dots) {
				return false
			}
		}
		if o.w.cfg.compares > 0 && !o.sameVectors(key) {
			return false
		}
	}
	return true
}

func (o *oracle) live(n *node, key string) (out []causal.Dot) {
	r := n.disk.live[o.w.partition(key)]
	if r == nil {
		return nil
	}
	row := r.View(r.rows[key])
	for i := range row.Versions {
		if v := &row.Versions[i]; v.Kind != causal.KindTombstone && v.Live(o.w.now+epochMs-2*skewBound) {
			out = append(out, v.Dot)
		}
	}
	return out
}

// settled proves, once replicas are equal after the last fault: every acknowledged write is there or was replaced by
// one that had seen it (G1), and nothing lives that an acknowledged write had seen (G2).
func (o *oracle) settled() {
	for _, f := range o.facts {
		if !f.acked {
			continue
		}
		if f.flush {
			for _, x := range o.facts {
				if f.seen.has(x.n) {
					o.checkDead(x, f)
				}
			}
			continue
		}
		n := o.w.ownersOf(f.key)[0]
		if !f.gone() && !f.reaped && !o.over(f) && !o.reflects(n.disk.live, f) && !o.flushed(f) {
			o.w.fail("LOST: %s of key %s (%s, op %d) was acknowledged; the owners hold %s",
				o.name(f.dot), f.key, f.value, f.op.id, o.names(n.disk.live[f.op.partition].rows[f.key]))
		}
		f.seen.each(func(i int) {
			if o.facts[i].key == f.key {
				o.checkDead(o.facts[i], f)
			}
		})
	}
}

// over reports whether a fact's version has expired by every clock. It lives nowhere, and replicas are equal whether they
// hold it or have taken in already what replaced it: see live.
func (o *oracle) over(f *fact) bool {
	return f.expiry != 0 && f.expiry <= o.w.now+epochMs-2*skewBound
}

func (o *oracle) checkDead(x, by *fact) {
	if x.flush || x.gone() || o.over(x) {
		return
	}
	if x.dead {
		return
	}
	x.dead = true // once is enough
	for _, n := range o.w.ownersOf(x.key) {
		if r := n.disk.live[x.op.partition]; r.View(r.rows[x.key]).Find(x.dot) != nil {
			o.w.fail("RESURRECTED: %s of key %s (%s) lives on node %d although acknowledged %s of op %d had seen it",
				o.name(x.dot), x.key, x.value, n.index, o.name(by.dot), by.op.id)
		}
	}
}
