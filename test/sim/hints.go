package sim

import (
	"slices"

	"shoal/causal"
	"shoal/handoff"
	"shoal/ring"
	"shoal/wire"
)

// A node's hints stand behind its replicas, in the last place of a state: a replica of no partition, of which only the
// rows count. So they go back with everything else when a tail is lost.

func newState(q int) state {
	s := make(state, q+1)
	s[q] = newReplica(0)
	return s
}

// hints is what a state keeps for owners, by key.
func (s state) hints() map[string]causal.Container { return s[len(s)-1].rows }

func (s state) applyHint(c *change) {
	if c.row.Empty() {
		delete(s.hints(), c.key)
		return
	}
	s.hints()[c.key] = c.row
}

// What follows is of handoff.Store.

func (d *disk) Hint(_ ring.Partition, _ ring.Slot, key []byte) (causal.Container, error) {
	return d.live.hints()[string(key)], nil
}

func (d *disk) PutHint(p ring.Partition, s ring.Slot, key []byte, row causal.Container) {
	if bug(HintDroppedAtCap) && !row.Empty() {
		d.makeRoom(string(key))
	}
	d.w.oracle.putHint(d, string(key), d.live.hints()[string(key)], row)
	d.do(change{kind: changeHint, partition: p, slot: s, key: string(key), row: row})
}

// hinted lists the keys of a partition with hints, in order.
func (d *disk) hinted(p ring.Partition) (out []wire.Ref) {
	for key := range d.live.hints() { // order-free: sorted below
		if d.w.partition(key) == p {
			out = append(out, wire.Ref{Partition: p, Slot: ring.SlotOf([]byte(key)), Key: []byte(key)})
		}
	}
	slices.SortFunc(out, compareRefs)
	return out
}

func compareRefs(a, b wire.Ref) int {
	if a.Slot != b.Slot {
		return int(a.Slot) - int(b.Slot)
	}
	return slices.Compare(a.Key, b.Key)
}

func (d *disk) Hints(p ring.Partition, first bool, after wire.Ref, limit int, fn func(ring.Slot, []byte, causal.Container)) bool {
	for _, ref := range d.hinted(p) {
		if !first && compareRefs(ref, after) <= 0 {
			continue
		}
		if limit == 0 {
			return false
		}
		limit--
		fn(ref.Slot, ref.Key, d.live.hints()[string(ref.Key)])
	}
	return true
}

func (d *disk) HintStats() (count int, bytes int64) {
	if bug(HintDroppedAtCap) {
		return 0, 0
	}
	for key, row := range d.live.hints() { // order-free: a sum
		bytes += int64(row.Size() + len(key))
	}
	return len(d.live.hints()), bytes
}

func (d *disk) HintCount(p ring.Partition) int { return len(d.hinted(p)) }

func (d *disk) HintParts() (out []ring.Partition) {
	for p := range d.w.cfg.q {
		if d.HintCount(ring.Partition(p)) > 0 {
			out = append(out, ring.Partition(p))
		}
	}
	return out
}

// prey is whom the adversary turns to in a world with hints: often to those who keep some.
func (w *World) prey(n *node) *node {
	if w.rand.percent(60) {
		return n
	}
	first := w.rand.below(len(w.nodes))
	for i := range w.nodes {
		if x := w.nodes[(first+i)%len(w.nodes)]; len(x.disk.live.hints()) > 0 {
			return x
		}
	}
	return n
}

// strand takes the connections between the owners of a partition down, so that each has only fallbacks to turn to; some
// are cut off from everybody.
func (w *World) strand() {
	until := w.now + int64(w.rand.between(300, 2500))
	owners := w.ownersOf(w.keys[w.rand.below(len(w.keys))])
	alone := w.rand.below(len(owners))
	w.stats.cuts++
	for i, a := range owners {
		for _, b := range w.nodes {
			if a == b || !slices.Contains(owners, b) && i != alone {
				continue
			}
			if slices.Contains(owners, b) || w.rand.percent(50) {
				w.trace("STRAND %d-%d until %d", a.index, b.index, until)
				l, dir := w.link(a.index, b.index)
				l.cut[dir], l.cut[1-dir] = max(l.cut[dir], until), max(l.cut[1-dir], until)
				w.disconnect(a, b, 300)
				w.disconnect(b, a, 300)
			}
		}
	}
}

// handsOver reports whether a frame has a hint for its owner.
func handsOver(frame []byte) bool {
	_, items, err := wire.DecodeFrame(frame)
	return err == nil && slices.ContainsFunc(items, func(it wire.Item) bool { return it.Kind == wire.ItemWrite && it.ID&replayed != 0 })
}

// hintsLeft is the number of hints anywhere.
func (w *World) hintsLeft() (n int) {
	for _, x := range w.nodes {
		n += len(x.disk.live.hints())
	}
	return n
}

// hintsOf is the number of nodes that keep a hint of a key, now or after a power cut.
func (w *World) hintsOf(key string) (n int) {
	for _, x := range w.nodes {
		_, now := x.disk.live.hints()[key]
		_, then := x.disk.synced.hints()[key]
		if now || then {
			n++
		}
	}
	return n
}

// putHint proves, for each change of a hint, that a version leaves it only for one that had seen it, or because a power
// cut of any owner would not take it any more: each has it durably, or what replaced it, or had it and broke its word: who
// holds the hint may not have heard yet of a lost disk, or of one put back, and the adversary has counted that loss.
func (o *oracle) putHint(d *disk, key string, before, after causal.Container) {
	o.checkVersions(d, key, after)
	for i := range before.Versions {
		dot := before.Versions[i].Dot
		f := o.byDot[dot]
		if f == nil || after.Find(dot) != nil || f.reaped || o.seenByOneOf(f, after) || o.flushed(f) {
			continue
		}
		if !after.Empty() {
			o.w.fail("hint dropped unseen: node %d kept %s of key %s (%s, op %d) and keeps %s, where nothing had seen it",
				d.node, o.name(dot), key, f.value, f.op.id, o.names(after))
			return
		}
		for _, n := range o.w.ownersOf(key) {
			if !o.reflects(n.disk.synced, f) && !f.broken.has(n.index) {
				o.w.fail("hint deleted early: node %d kept %s of key %s (%s, op %d) and deletes it, node %d does not have it durably",
					d.node, o.name(dot), key, f.value, f.op.id, n.index)
				return
			}
		}
	}
	o.w.stats.hinted++
}

// checkPlaces proves, when a client is told that a write is made, that W places have it, or had it until a crash that
// counts: owners, and for each owner that has not at most one hint. An owner is among them.
func (o *oracle) checkPlaces(f *fact) {
	if f.reaped || f.flush || o.flushed(f) {
		return
	}
	var owners, hints int
	all := o.w.ownersOf(f.key)
	for _, n := range o.w.nodes {
		switch mine := slices.Contains(all, n); {
		case mine && o.reflects(n.disk.live, f):
			owners++
		case !mine && o.reflects(n.disk.live, f):
			hints++
		}
	}
	places := owners + min(hints, len(o.w.newest().OwnersOf(o.w.partition(f.key)))-owners) // one may have lost its disk
	if want := min(o.w.cfg.w, o.w.owners()); places+f.lost < want || owners+f.lost == 0 {
		o.w.fail("acknowledged by too few: %s of key %s (%s, op %d) stands on %d owners and %d others, and was lost by %d; W is %d",
			o.name(f.dot), f.key, f.value, f.op.id, owners, hints, f.lost, want)
	}
}

func (c *Config) handoff(self ring.NodeID) handoff.Config {
	return handoff.Config{
		Self: self, Every: c.hintLate, Retry: 300, Timeout: 800, Window: 2, TickRows: 4, MaxRounds: 2, MaxBytes: c.hintMax,
	}
}
