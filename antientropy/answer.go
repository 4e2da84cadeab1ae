package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// job is a question of a peer that needs a walk.
type job struct {
	from ring.NodeID
	id   uint64
	*hashing
}

// hint is what a peer's question has made suspect: keys whose rows may be lost here.
type hint struct {
	partition ring.Partition
	peer      ring.NodeID
	keys      []wire.KeyDigest
}

const maxHints = 16 // messages' worth of keys; what is beyond will be found by a comparison of this node's own

// replicaOf is the replica of a partition that this node owns, nil when there is none or it is being filled: that one is
// neither compared nor does it answer.
func (m *Comparer) replicaOf(p ring.Partition) *causal.Replica {
	if m.ring == nil || int(p) >= m.ring.Q || m.ring.Position(p, m.cfg.Self) < 0 {
		return nil
	}
	if rep := m.store.Replica(p); rep != nil && !rep.Filling {
		return rep
	}
	return nil
}

// onQuestion begins the walk that a question needs. A peer asks one question at a time.
func (m *Comparer) onQuestion(from ring.NodeID, it *wire.Item) {
	sum := it.Kind == wire.ItemSums
	rep := m.replicaOf(it.Partition)
	if rep == nil || !valid(it.Compare.Leaves, sum) {
		return
	}
	m.jobs = slices.DeleteFunc(m.jobs, func(j job) bool { return j.from == from })
	leaves := slices.Clone(it.Compare.Leaves)
	slices.SortFunc(leaves, compareLeaves)
	h := m.hashing(it.Partition, sum, false, leaves, it.Compare.At, it.Horizon.Join(rep.Horizon))
	m.jobs = append(m.jobs, job{from: from, id: it.ID, hashing: h})
}

func compareLeaves(a, b wire.Leaf) int {
	if a.Slot != b.Slot {
		return int(a.Slot) - int(b.Slot)
	}
	if a.Prefix < b.Prefix {
		return -1
	}
	return 1
}

func (m *Comparer) answer(j *job) {
	it := wire.Item{
		Kind: wire.ItemHashed, ID: j.id, Partition: j.partition, Horizon: j.horizon,
		Compare: &wire.Compare{Digests: j.digests()},
	}
	if !j.over {
		it.Flags = wire.FlagComplete
	}
	m.send(j.from, it)
}

// onFetch answers the rows of keys, as many as fit, with the clock as it was before. A row that cannot be read is none: it
// ends the answer, or, as the first, is refused.
func (m *Comparer) onFetch(now int64, from ring.NodeID, it *wire.Item) {
	rep := m.replicaOf(it.Partition)
	if rep == nil {
		return
	}
	clock := rep.Clock.Clone() // before the first row is read
	answer := wire.Item{Kind: wire.ItemFetched, ID: it.ID, Partition: it.Partition, Clock: &clock}
	var suspect []wire.KeyDigest
	for i, bytes := 0, 0; i < len(it.Compare.Digests) && (bytes < m.cfg.MaxBytes || i == 0); i++ {
		d := &it.Compare.Digests[i]
		row, err := m.store.Row(it.Partition, d.Slot, d.Key)
		if err != nil && i > 0 {
			break // asked for again, as the first
		}
		key := slices.Clone(d.Key)
		if err != nil {
			m.Stats.Unreadable++
			answer.Flags, answer.Rows = wire.FlagRefused, []wire.KeyRow{{Slot: d.Slot, Key: key}}
			if d.Digest != 0 {
				suspect = append(suspect, wire.KeyDigest{Slot: d.Slot, Key: key})
			}
			break
		}
		answer.Rows = append(answer.Rows, wire.KeyRow{Slot: d.Slot, Key: key, Row: row})
		bytes += row.Size() + len(key)
		mine := Fingerprint(rep, key, row, now+m.drift, rep.Horizon)
		if d.Digest != 0 && mine != d.Digest {
			suspect = append(suspect, wire.KeyDigest{Slot: d.Slot, Key: key, Digest: mine})
		}
	}
	m.send(from, answer)
	if it.Has(wire.FlagShared) && len(suspect) > 0 && len(m.hints) < maxHints {
		m.hints = append(m.hints, hint{it.Partition, from, suspect})
	}
}
