package sim

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
)

// Faults after which a replica must be filled: a lost disk, a disk put back to an older state, a log that was trimmed
// before others had it.

// ruin takes a disk, or puts it back to its backup, if the adversary's word allows it.
func (w *World) ruin(n *node) bool {
	if !n.up {
		return false
	}
	if w.cfg.disks && (!w.cfg.backups || w.rand.percent(50)) {
		return w.loseDisk(n)
	}
	return w.cfg.backups && w.restore(n)
}

// loseDisk: the machine stops, and its disk is gone with the identity on it. A new node under the same name and
// addresses takes its place: it asks a member to replace the old one.
func (w *World) loseDisk(n *node) bool {
	left := newState(w.cfg.q)
	if !w.canReplace(n) || !w.oracle.mayLose(n, left) || w.oracle.onlyFlush(n, left) {
		w.stats.refused++
		return false
	}
	w.oracle.loses(n, left)
	w.stats.disks++
	w.trace("DISK of node %d is lost", n.index)
	w.stop(n, left)
	w.renewIdentity(n)
	return true
}

func (w *World) renewIdentity(n *node) {
	n.id = ring.NodeID(w.rand.uint64() | 1)
	n.member.ID = n.id
	n.disk, n.backup = w.newDisk(n.index), nil
	n.disk.replaces = true
}

// canReplace reports whether the other members can still decide a map: nobody else waits to be replaced, and a majority
// of the newest map's members has it, this node not counted. More than that is for an operator's force.
func (w *World) canReplace(n *node) bool {
	m, have := w.newest(), 0
	for _, x := range w.nodes {
		if _, listed := m.Member(x.id); !listed {
			return false
		}
		if x != n && x.disk.ring != nil && x.disk.ring.Epoch == m.Epoch {
			have++
		}
	}
	return have > len(m.Members)/2
}

// onlyFlush reports whether a flush stands on this node alone, and would be lost. What it dropped may have left other owners
// by the vectors of its rows; without the flush only a comparison finds that the rest still hold it.
func (o *oracle) onlyFlush(at *node, left state) bool {
	return o.w.cfg.compares == 0 && slices.ContainsFunc(o.allFlushes, func(f *fact) bool {
		return o.takenFrom(at, left, f) && !o.standsElsewhere(at, f)
	})
}

// mapWith is the map that a member proposes for a newcomer: nil when it does not grant it now. One that replaces another
// waits until this member sees the old one gone.
func (w *World) mapWith(at, n *node) (*ring.Map, error) {
	if !n.disk.replaces {
		return at.disk.ring.WithMember(n.member)
	}
	if at.session[n.index] != 0 {
		return nil, nil
	}
	for _, x := range at.disk.ring.Members {
		if x.Name == n.member.Name {
			return at.disk.ring.WithReplacement(x.ID, n.member)
		}
	}
	return nil, nil
}

// copyDisk takes a backup of some disk.
func (w *World) copyDisk() {
	if w.healing {
		return
	}
	w.push(event{at: w.now + int64(w.rand.between(100, 1500)), kind: evBackup})
	n := w.nodes[w.rand.below(len(w.nodes))]
	n.backup = n.disk.synced.clone()
	w.trace("BACKUP of node %d", n.index)
}

// restore puts a disk back to its backup: the replicas go back in time. The map and the acceptor's promises are kept
// elsewhere, and whoever restores says so: the boot is one that may have lost acknowledged writes.
func (w *World) restore(n *node) bool {
	if n.backup == nil || !w.oracle.mayLose(n, n.backup) || w.oracle.onlyFlush(n, n.backup) {
		w.stats.refused++
		return false
	}
	left := n.backup.clone()
	w.oracle.loses(n, left)
	w.stats.restored++
	w.trace("RESTORED backup of node %d", n.index)
	w.stop(n, left)
	n.lostTail = true
	return true
}

// trim is a log at its cap: a node forgets entries that others may lack.
func (w *World) trim() {
	if w.healing {
		return
	}
	w.push(event{at: w.now + int64(w.rand.between(100, 3000)), kind: evTrim})
	n := w.nodes[w.rand.below(len(w.nodes))]
	p := ring.Partition(w.rand.below(w.cfg.q))
	if r := n.disk.live[p]; n.up && r != nil {
		w.trimAt(n, p, func(causal.Actor) bool { return w.rand.percent(70) })
	}
}

// trimAt trims up to the bases of the replica's own clock, for some of the actors.
func (w *World) trimAt(n *node, p ring.Partition, some func(causal.Actor) bool) {
	var to causal.Vector
	clock := &n.disk.live[p].Clock
	for _, e := range clock.Entries() {
		if e.Base > 0 && some(e.Actor) {
			to = to.With(causal.Dot{Actor: e.Actor, Seq: e.Base})
		}
	}
	w.stats.trims++
	w.trace("TRIM of node %d partition %d: %s", n.index, p, w.oracle.names(causal.Container{Vector: to}))
	n.disk.do(change{kind: changeTrim, partition: p, horizon: to})
	n.disk.endTick()
}
