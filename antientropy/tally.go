package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// tally is a walk over the rows of a partition for the highest seqs of actors in their vectors.
type tally struct {
	from      ring.NodeID
	partition ring.Partition
	ids       []uint64
	high      []causal.Dot // of the actors asked about, in the order of ids
	walk      Walk         // nil before it has begun
}

// onActor begins to look for what this node knows of an actor.
func (m *Closer) onActor(from ring.NodeID, it *wire.Item) {
	if m.ring == nil || int(it.Partition) >= m.ring.Q {
		return
	}
	answer := wire.Item{Kind: wire.ItemActorKnown, ID: it.ID, Partition: it.Partition, Life: it.Life}
	rep := m.replicaOf(it.Partition)
	if rep != nil && (rep.Life == it.Life || rep.Filling) || m.ring.Epoch != it.Digest || !m.sameBoots(it.Repair.Boots) {
		answer.Flags = wire.FlagRefused
		m.send(from, answer)
		return
	}
	if !slices.ContainsFunc(it.Repair.Boots, func(b wire.Boot) bool { return b.Incarnation == it.Life }) {
		m.fenced = append(m.fenced, it.Life)
	} // else the actor is of a boot that still runs, in which its replica began another life: nothing of it is lost
	if m.hintsHeld != nil && m.hintsHeld(it.Partition) {
		answer.Flags, answer.Clock = wire.FlagShared, &causal.Clock{}
		m.send(from, answer)
		return
	}
	j := m.jobOf(from, it.Partition)
	j.ids, j.high = append(j.ids, it.ID), append(j.high, causal.Dot{Actor: it.Life})
}

// jobOf is the walk that a question of a peer joins: one that has not begun, for the same partition. A peer makes one
// survey at a time.
func (m *Closer) jobOf(from ring.NodeID, p ring.Partition) *tally {
	for _, j := range m.jobs {
		if j.from == from && j.partition == p && j.walk == nil && len(j.ids) < m.cfg.Actors {
			return j
		}
	}
	m.jobs = slices.DeleteFunc(m.jobs, func(j *tally) bool { return j.from == from })
	j := &tally{from: from, partition: p}
	m.jobs = append(m.jobs, j)
	return j
}

// sameBoots reports whether this node is connected with no other boots of the members than these.
func (m *Closer) sameBoots(boots []wire.Boot) bool {
	for _, b := range boots {
		mine, connected := m.boots[b.Node], m.up[b.Node]
		if b.Node == m.cfg.Self {
			mine, connected = m.cfg.Incarnation, true
		}
		if connected && mine != b.Incarnation {
			return false
		}
	}
	return true
}

// count goes on with the walks and answers what they have found.
func (m *Closer) count() {
	for left := m.cfg.Rows; left > 0 && len(m.jobs) > 0; {
		j := m.jobs[0]
		rep := m.store.Replica(j.partition)
		done := rep == nil
		if !done {
			if j.walk == nil {
				j.walk = m.store.Walk(j.partition, false)
			}
			done = j.walk.Next(left, func(_ ring.Slot, _ []byte, row causal.Container, _ error) {
				left--
				j.see(row.Vector)
			})
			if !done {
				return
			}
		}
		m.jobs = slices.Delete(m.jobs, 0, 1)
		m.tell(j, rep)
		left--
	}
}

func (j *tally) see(v causal.Vector) {
	for i := range j.high {
		h := &j.high[i]
		h.Seq = max(h.Seq, v.Of(h.Actor))
	}
}

// tell answers with the dots as they are now, after the walk: a dot that came meanwhile is among them.
func (m *Closer) tell(j *tally, rep *causal.Replica) {
	if rep != nil {
		j.see(rep.Horizon)
	}
	for i, h := range j.high {
		answer := wire.Item{Kind: wire.ItemActorKnown, ID: j.ids[i], Partition: j.partition, Life: h.Actor, Clock: &causal.Clock{}}
		if rep != nil {
			dots := rep.Clock.Only(h.Actor)
			answer.Clock, answer.Digest = &dots, max(h.Seq, dots.Max(h.Actor), rep.Flushed.Max(h.Actor))
		}
		m.send(j.from, answer)
	}
}
