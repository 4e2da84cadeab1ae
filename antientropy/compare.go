package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// exchange is the comparison under way. It has one question open, and meanwhile walks over its own rows for it.
type exchange struct {
	partition ring.Partition
	peer      ring.NodeID
	of        *pair // nil: keys that a peer made suspect are fetched
	id        uint64
	deadline  int64
	at        int64
	horizon   causal.Vector

	split  []wire.Leaf // their children are to be compared
	leaves []wire.Leaf // their keys are to be compared
	batch  int         // leaves in one question
	own    *hashing    // of the open question; nil when rows are asked for
	theirs *wire.Item  // its answer

	fetch    []wire.KeyDigest // keys whose rows are to be asked for
	asking   int              // so many of the first of them
	found    map[string]bool  // keys that looked different
	differed int              // keys that did
	left     bool             // not all could be looked at, or repaired
	restarts int
}

const (
	maxMissing = 1024 // dots that another owner lacks and whose keys are looked up

	maxBatch = 1024 // leaves in one question
	maxTries = 5    // after which a comparison waits for its next turn
)

// begin starts what is due: first what peers have made suspect.
func (m *Comparer) begin(now int64) {
	if len(m.hints) > 0 {
		h := m.hints[0]
		m.hints = slices.Delete(m.hints, 0, 1)
		m.now = &exchange{partition: h.partition, peer: h.peer, at: now + m.drift, fetch: h.keys, found: map[string]bool{}}
		m.ask(now)
		return
	}
	m.wake = never
	for range m.pairs {
		if m.next++; m.next >= len(m.pairs) {
			m.next = 0
		}
		x := &m.pairs[m.next]
		switch {
		case !m.up[x.peer]:
		case x.due > now:
			m.wake = min(m.wake, x.due)
		case m.replicaOf(x.partition) == nil:
			m.wake = min(m.wake, now+max(1, m.cfg.Retry))
		default:
			m.wake, x.unread = now, nil
			m.now = &exchange{
				partition: x.partition, peer: x.peer, of: x, at: now + m.drift, horizon: x.horizon,
				split: []wire.Leaf{{}}, batch: maxBatch, found: map[string]bool{},
			}
			m.ask(now)
			return
		}
	}
}

// ask puts the next question of the exchange, or ends it.
func (m *Comparer) ask(now int64) {
	x := m.now
	rep := m.replicaOf(x.partition)
	if rep == nil {
		m.abandon(now)
		return
	}
	m.nextID++
	x.id, x.deadline, x.own, x.theirs, x.asking = m.nextID, now+m.cfg.Timeout, nil, nil, 0
	it := wire.Item{ID: x.id, Partition: x.partition, Compare: &wire.Compare{At: x.at}}
	switch {
	case len(x.fetch) > 0 && (len(x.fetch) >= m.cfg.Batch || len(x.split) == 0 && len(x.leaves) == 0):
		x.asking = min(m.cfg.Batch, len(x.fetch))
		it.Kind, it.Compare.Digests = wire.ItemFetch, x.fetch[:x.asking]
		if x.of != nil {
			it.Flags = wire.FlagShared
		}
		m.send(x.peer, it)
		return
	case len(x.leaves) > 0:
		n := min(x.batch, len(x.leaves))
		it.Kind, it.Compare.Leaves = wire.ItemKeys, slices.Clone(x.leaves[:n])
		x.leaves = x.leaves[n:]
	case len(x.split) > 0:
		it.Kind, it.Compare.Leaves = wire.ItemSums, x.split[:1:1]
		x.split = x.split[1:]
	default:
		m.finish(now)
		return
	}
	x.horizon = x.horizon.Join(rep.Horizon)
	it.Horizon = x.horizon
	leaves := slices.Clone(it.Compare.Leaves)
	slices.SortFunc(leaves, compareLeaves)
	x.own = m.hashing(x.partition, it.Kind == wire.ItemSums, x.of.deep && leaves[0].Depth == 0, leaves, x.at, x.horizon)
	m.send(x.peer, it)
}

// onHashed keeps the answer until the own walk has ended too.
func (m *Comparer) onHashed(now int64, from ring.NodeID, it *wire.Item) {
	x := m.now
	if x == nil || x.peer != from || x.id != it.ID || x.own == nil || x.theirs != nil || x.partition != it.Partition {
		return
	}
	c := *it
	c.Compare = &wire.Compare{Digests: slices.Clone(it.Compare.Digests)}
	for i := range c.Compare.Digests {
		c.Compare.Digests[i].Key = slices.Clone(c.Compare.Digests[i].Key)
	}
	slices.SortFunc(c.Compare.Digests, compareKeys)
	x.theirs = &c
	m.progress(now)
}

// progress compares when both sides are known.
func (m *Comparer) progress(now int64) {
	x := m.now
	if x == nil || x.own == nil || !x.own.done || x.theirs == nil {
		return
	}
	if h := x.horizon.Join(x.theirs.Horizon); !slices.Equal(h, x.horizon) && x.restarts < 3 {
		x.restarts++ // their sums leave out more: begin again with both horizons
		x.horizon, x.split, x.leaves = h, []wire.Leaf{{}}, nil
		m.ask(now)
		return
	}
	ours, theirs := x.own.digests(), x.theirs.Compare.Digests
	whole := !x.own.over && x.theirs.Has(wire.FlagComplete)
	switch {
	case x.own.sum:
		differing(ours, theirs, func(a, _ wire.KeyDigest) { x.leaves = append(x.leaves, child(&x.own.leaves[0], a.Slot)) })
	case whole:
		x.batch = min(maxBatch, 4*x.batch)
		differing(ours, theirs, func(a, _ wire.KeyDigest) { m.suspect(x, a) })
	default:
		x.narrow()
	}
	for _, d := range x.own.damaged {
		m.suspect(x, d)
	}
	m.ask(now)
}

// narrow asks for less at once: fewer leaves, or the parts of the one that is too large.
func (x *exchange) narrow() {
	asked := x.own.leaves
	if len(asked) > 1 {
		x.batch = max(1, len(asked)/4)
		x.leaves = append(x.leaves, asked...)
		return
	}
	if asked[0].Depth < maxDepth {
		x.split = append(x.split, asked[0])
		return
	}
	x.left = true // thousands of keys of one hash: somebody made them so
}

// suspect notes a key that differs.
func (m *Comparer) suspect(x *exchange, d wire.KeyDigest) {
	if name := string(d.Key); !x.found[name] {
		if len(x.found) >= m.cfg.MaxRepairs {
			x.left = true
			return
		}
		x.found[name] = true
		x.fetch = append(x.fetch, d)
	}
}

// onFetched takes in rows.
func (m *Comparer) onFetched(now int64, from ring.NodeID, it *wire.Item) {
	x := m.now
	if x == nil || x.peer != from || x.id != it.ID || x.asking == 0 || x.partition != it.Partition {
		return
	}
	rep := m.replicaOf(x.partition)
	n := min(len(it.Rows), x.asking)
	if rep == nil || n == 0 {
		m.abandon(now)
		return
	}
	settled := m.settled(x.partition, rep, it.Clock)
	if it.Has(wire.FlagRefused) {
		m.unread(now, rep, x.fetch[0], it.Clock, settled(x.fetch[0].Key))
		x.fetch = x.fetch[1:]
		m.ask(now)
		return
	}
	for i := range n {
		if r := &it.Rows[i]; r.Slot == x.fetch[i].Slot && string(r.Key) == string(x.fetch[i].Key) {
			m.repair(now, rep, r, it.Clock, settled(r.Key))
		}
	}
	x.fetch = x.fetch[n:]
	m.ask(now)
}

// settled says of which keys the other owner had processed all that this replica has: of all, if the other's clock covers
// this one's, else of those that none of the missing dots is of, if the log names the key of each. Three owners of which
// each has a damaged row, and so cannot take in what the others write to that key, would else wait for each other; and so
// would a comparison of a partition that is written to.
func (m *Comparer) settled(p ring.Partition, rep *causal.Replica, theirs *causal.Clock) func(key []byte) bool {
	if theirs.Covers(&rep.Clock) {
		return func([]byte) bool { return true }
	}
	known, open, left := theirs.Clone(), map[string]bool{}, maxMissing
	err := m.store.Log(p, theirs, func(e wire.LogEntry) bool {
		if left--; left < 0 || e.Dropped != nil { // a flush is of every key
			left = -1
			return false
		}
		known.Add(e.Dot)
		open[string(e.Key)] = true
		return true
	})
	named := err == nil && left >= 0 && known.Covers(&rep.Clock)
	return func(key []byte) bool { return named && !open[string(key)] }
}

// unread takes in that the other owner cannot read its row of a key. Where this node's is damaged as well that says nothing:
// a third owner may hold what both had, so only when no other owner can read its row is there nothing to wait for.
func (m *Comparer) unread(now int64, rep *causal.Replica, d wire.KeyDigest, theirs *causal.Clock, settled bool) {
	x := m.now
	x.differed++
	m.Stats.Differed++
	all := true
	for i := range m.pairs {
		of := &m.pairs[i]
		if of.partition != x.partition {
			continue
		}
		noted := slices.Contains(of.unread, string(d.Key))
		if of.peer == x.peer && !noted && len(of.unread) < m.cfg.MaxRepairs {
			of.unread, noted = append(of.unread, string(d.Key)), true
		}
		all = all && noted
	}
	if _, err := m.store.Row(x.partition, d.Slot, d.Key); err == nil {
		return
	}
	if !all {
		x.left = true
		return
	}
	m.repair(now, rep, &wire.KeyRow{Slot: d.Slot, Key: d.Key}, theirs, settled)
}

// repair takes in the row that another owner holds: see Replica.Restore for the rule and for what settled is. A damaged
// row that the other owner knows nothing of becomes an empty one: a third owner's row can be taken in then, and the key
// can be written again.
func (m *Comparer) repair(now int64, rep *causal.Replica, r *wire.KeyRow, theirs *causal.Clock, settled bool) {
	p := m.now.partition
	row, err := m.store.Row(p, r.Slot, r.Key)
	if err != nil {
		row = causal.Container{}
	}
	if !settled {
		m.Stats.Unsettled++
		m.now.left = true
		return
	}
	if Fingerprint(rep, r.Key, row, m.now.at, m.now.horizon) != Fingerprint(rep, r.Key, r.Row, m.now.at, m.now.horizon) {
		m.now.differed++
		m.Stats.Differed++
	}
	out := rep.Restore(row, unexpired(rep, row, r.Row, now+m.drift-skewMargin), theirs)
	if out.TwoValues {
		m.Stats.TwoValues++
	}
	if out.Doubtful {
		m.Stats.Doubtful++
		m.now.left = true
	}
	if !out.Changed && (err == nil || out.Doubtful) {
		return
	}
	if (out.Lost > 0 || err != nil) && rep.Seq > 0 && m.store.Renew(p) != nil {
		m.now.left = true
		return
	}
	m.store.Put(p, r.Slot, r.Key, out.Row, out.Fresh)
	m.Stats.Repaired++
	m.Stats.Bytes += uint64(r.Row.Size() + len(r.Key))
	if out.Lost > 0 {
		m.Stats.Lost++
	}
}

// unexpired is what another owner holds without the versions that are missing here and expired by then: these were
// reaped, or might as well be.
func unexpired(rep *causal.Replica, row, in causal.Container, then int64) causal.Container {
	gone := func(v *causal.Version) bool {
		return v.Kind != causal.KindTombstone && !v.Live(then) && rep.Clock.Contains(v.Dot) && row.Find(v.Dot) == nil
	}
	var kept []causal.Version
	for i := range in.Versions {
		if !gone(&in.Versions[i]) {
			kept = append(kept, in.Versions[i])
		}
	}
	if len(kept) == len(in.Versions) {
		return in
	}
	return causal.Container{Versions: kept, Vector: in.Vector}
}

// finish ends an exchange that has looked at everything.
func (m *Comparer) finish(now int64) {
	x := m.now
	m.now = nil
	if x.of == nil {
		return
	}
	m.Stats.Exchanges++
	of := x.of
	of.compared, of.differed, of.horizon = now, x.differed, x.horizon
	m.again(now, of, x.left)
	if !x.left {
		of.deep = false
	}
}

// abandon ends an exchange whose question was not answered.
func (m *Comparer) abandon(now int64) {
	x := m.now
	m.now = nil
	if x.of != nil {
		m.again(now, x.of, true)
	}
}

// again plans the next comparison of a pair.
func (m *Comparer) again(now int64, of *pair, soon bool) {
	switch {
	case soon && of.tries < maxTries:
		of.tries++
		of.due = now + m.cfg.Retry*int64(of.tries)
	case m.cfg.Every > 0:
		of.due, of.tries = now+m.cfg.Every, 0
	default:
		of.due, of.tries = never, 0
	}
	m.wake = min(m.wake, of.due)
}
