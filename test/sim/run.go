package sim

import (
	"slices"

	"shoal/ring"
	"shoal/wire"
)

// run is the history of a world: joins, load under faults, healing, rest, and a last look through every node.
func (w *World) run() {
	if w.cfg.faults {
		w.push(event{at: int64(w.rand.between(1, 700)), kind: evFault})
	}
	for limit := int64(0); !w.joined(); limit += 100 {
		if limit == 5000 {
			w.heal() // joins need no luck, only a majority in the end
		}
		if limit > 60_000 {
			w.fail("join: the nodes have not joined within a minute")
		}
		if w.advance(w.now + 100); w.broken != nil {
			return
		}
	}
	w.advance(w.now + 200)
	for limit := w.now + 10_000; !w.cfg.faults && w.now < limit && !w.ready(); {
		w.advance(w.now + 50)
	}
	w.healing = false
	if w.cfg.caps {
		w.push(event{at: w.now, kind: evTrim})
	}
	if w.cfg.backups {
		w.push(event{at: w.now, kind: evBackup})
	}
	if w.cfg.vanish {
		w.push(event{at: w.now + int64(w.rand.between(1, 1000)), kind: evVanish})
	}
	w.loadEnds = w.now + w.cfg.load
	for i, c := range w.clients {
		if len(c.keys) > 0 {
			w.push(event{at: w.now + int64(w.rand.below(50)), kind: evClient, node: i})
		}
	}
	w.advance(w.loadEnds)
	w.heal()
	w.advance(w.now + 2*w.cfg.timeout)
	w.rest()
	w.forget()
	for _, key := range w.keys {
		if !w.cfg.contexts && w.ownersOf(key)[0].disk.live[w.partition(key)].rows[key].LiveCount(w.now+epochMs) > 1 {
			w.stats.left++
		}
	}
	w.lastLook()
}

func (w *World) joined() bool {
	for _, n := range w.nodes {
		if n.disk.ring == nil || len(n.disk.ring.Members) != len(w.nodes) {
			return false
		}
	}
	return true
}

// ready reports whether all nodes are connected with each other and whole.
func (w *World) ready() bool {
	for _, n := range w.nodes {
		for peer, s := range n.session {
			if s == 0 && peer != n.index {
				return false
			}
		}
		if !n.allWhole() {
			return false
		}
	}
	return true
}

// heal ends all faults.
func (w *World) heal() {
	w.healing = true
	for i := range w.links {
		l := &w.links[i]
		l.cut, l.stall = [2]int64{}, [2]int64{}
	}
	for _, n := range w.nodes {
		if n.drift != 0 && w.rand.percent(50) {
			w.setClock(n, 0) // else it stays passed over
		}
		if !n.up {
			w.bootAgain(n)
		}
	}
}

// rest proves that after the last fault replicas become equal, and whole, by pulls alone (and comparisons, where rows have
// vanished) and within bounded time (G6).
func (w *World) rest() {
	limit := w.now + 20_000
	if w.cfg.caps || w.cfg.backups || w.cfg.disks {
		limit += 10 * w.cfg.every // until a rare pull finds who is behind
	}
	for w.broken == nil {
		w.advance(w.now + 200)
		whole := w.noneBehind()
		for _, n := range w.nodes {
			whole = whole && n.allWhole() && n.machine.Pending() == 0 && n.refiller.Progress().Filling == 0
		}
		whole = whole && (w.cfg.damages == 0 || !slices.ContainsFunc(w.keys, w.damaged))
		if whole && w.oracle.equal() && w.hintsLeft() == 0 {
			break
		}
		if w.now > limit {
			w.fail("not equal: 20 s after the last fault replicas differ or are not whole (whole: %v, hints: %d)", whole, w.hintsLeft())
		}
	}
	if w.broken == nil {
		w.oracle.settled()
	}
}

// noneBehind reports whether every owner's clock covers the horizons of the others.
func (w *World) noneBehind() bool {
	m := w.newest()
	for p := range m.Q {
		for _, a := range m.OwnersOf(ring.Partition(p)) {
			for _, b := range m.OwnersOf(ring.Partition(p)) {
				i, j := w.byID(a), w.byID(b)
				if i < 0 || j < 0 || w.nodes[i].disk.live[p] == nil || w.nodes[j].disk.live[p] == nil {
					return false
				}
				if !w.nodes[i].disk.live[p].Clock.CoversVector(w.nodes[j].disk.live[p].Horizon) {
					return false
				}
			}
		}
	}
	return true
}

// lastLook proves that every node answers the same (G5), and that a healed cluster is Redis again: a SET leaves one
// version, a DEL none, whichever nodes are asked.
func (w *World) lastLook() {
	w.ending, w.resting = true, nil
	for _, key := range w.keys {
		w.outwait(key)
		first := ""
		for i := range w.nodes {
			r := w.ask(i, wire.OpGet, key)
			if got := string(r.Value); i == 0 {
				first = got
			} else if got != first {
				w.fail("different answers: GET %s is %q on node 0 and %q on node %d", key, first, got, i)
			}
		}
		w.ask(w.rand.below(len(w.nodes)), wire.OpSet, key)
		if r := w.ask(w.rand.below(len(w.nodes)), wire.OpVGet, key); w.broken == nil && len(r.Siblings) != 1 {
			w.fail("not one version: after a SET in a healed cluster key %s has %d", key, len(r.Siblings))
		}
		w.ask(w.rand.below(len(w.nodes)), wire.OpDel, key)
		if r := w.ask(w.rand.below(len(w.nodes)), wire.OpGet, key); w.broken == nil && r.Found {
			w.fail("not deleted: after a DEL in a healed cluster key %s is %q", key, r.Value)
		}
	}
}

// ask runs one operation to its end and proves that it ends without an error.
func (w *World) ask(at int, code wire.Code, key string) wire.Result {
	if w.broken != nil {
		return wire.Result{}
	}
	op := w.newOp(code, key)
	op.node, op.begun = at, w.now
	w.trace("last look: node %d op %d %s key %s", at, op.id, codeName(code), key)
	w.nodes[at].take(input{kind: evClient, ops: []*operation{op}})
	for limit := w.now + 5000; !op.done && w.now < limit && w.broken == nil; {
		w.advance(w.now + 5)
	}
	if w.broken == nil && op.status != wire.OK || !op.done {
		w.fail("error after healing: op %d %s was answered with status %d %s", op.id, codeName(code), op.status, op.result.Err)
	}
	return op.result
}
