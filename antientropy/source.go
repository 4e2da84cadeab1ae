package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// onFill answers the next range of a replica, whatever state that is in. The clock is from before the first row was
// read; horizon and flushes are of the same moment, as nothing happens in between.
func (m *Refiller) onFill(from ring.NodeID, it *wire.Item) {
	answer := wire.Item{Kind: wire.ItemFilled, Flags: wire.FlagRefused, ID: it.ID, Digest: it.Digest, Partition: it.Partition, Repair: &wire.Repair{}}
	if rep := m.replicaOf(it.Partition); rep != nil && m.collect(rep, it, &answer) {
		answer.Flags &^= wire.FlagRefused
	}
	m.out = append(m.out, Out{To: from, Item: answer})
}

func (m *Refiller) replicaOf(p ring.Partition) *causal.Replica {
	if m.ring == nil || int(p) >= m.ring.Q || m.ring.Position(p, m.cfg.Self) < 0 {
		return nil
	}
	return m.store.Replica(p)
}

// collect fills an answer and reports whether everything in the range could be read: a range with a hole would make the
// other one drop what is still safe there.
func (m *Refiller) collect(rep *causal.Replica, it, answer *wire.Item) bool {
	p := it.Partition
	clock, flushed := rep.Clock.Clone(), rep.Flushed.Clone()
	answer.Life, answer.Clock, answer.Repair.Flushed, answer.Horizon = rep.Life, &clock, &flushed, rep.Horizon
	if it.Digest == 0 && !rep.Flushed.IsZero() {
		if err := m.flushes(p, answer); err != nil {
			m.Stats.Unreadable++
			return false
		}
	}
	sound := true
	done, err := m.store.Range(p, it.Digest == 0, wire.Ref{Partition: p, Slot: it.Slot, Key: it.Key}, m.cfg.MaxRows, m.cfg.MaxBytes,
		func(slot ring.Slot, key []byte, row causal.Container, err error) {
			sound = sound && err == nil
			answer.Rows = append(answer.Rows, wire.KeyRow{Slot: slot, Key: slices.Clone(key), Row: cloneRow(row)})
		})
	if err != nil || !sound {
		m.Stats.Unreadable++
		answer.Rows, answer.Entries = nil, nil
		return false
	}
	if done {
		answer.Flags |= wire.FlagComplete
	}
	if !rep.Filling && m.puller.Whole(p) {
		answer.Flags |= wire.FlagWhole
	}
	m.Stats.Served += uint64(len(answer.Rows))
	return true
}

// flushes adds the log's flushes: what they dropped is in Flushed, but others must be able to pull them from the replica
// that is filled. They are few: each is reaped when every owner has it.
func (m *Refiller) flushes(p ring.Partition, answer *wire.Item) error {
	return m.store.Log(p, &noDots, func(e wire.LogEntry) bool {
		if e.Dropped != nil {
			answer.Entries = append(answer.Entries, e)
		}
		return true
	})
}

var noDots causal.Clock

// cloneRow copies a row that is valid for a moment only.
func cloneRow(row causal.Container) causal.Container {
	out := causal.Container{Versions: slices.Clone(row.Versions), Vector: slices.Clone(row.Vector)}
	for i := range out.Versions {
		out.Versions[i].Payload = slices.Clone(out.Versions[i].Payload)
	}
	return out
}
