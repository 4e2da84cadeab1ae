package sim

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// What a refill needs of a store: antientropy.FillStore.

// Range shows rows in order; see antientropy.FillStore.
func (d *disk) Range(p ring.Partition, first bool, after wire.Ref, limit, maxBytes int, fn func(ring.Slot, []byte, causal.Container, error)) (bool, error) {
	r := d.live[p]
	bytes, shown := 0, 0
	for _, key := range d.w.inOrder(p) {
		slot := ring.SlotOf([]byte(key))
		row, ok := r.rows[key]
		if !ok && !r.damaged[key] || !first && (slot < after.Slot || slot == after.Slot && key <= string(after.Key)) {
			continue
		}
		if shown >= limit || shown > 0 && bytes >= maxBytes {
			return false, nil
		}
		shown++
		if r.damaged[key] {
			fn(slot, []byte(key), causal.Container{}, errDamaged)
			continue
		}
		bytes += row.Size() + len(key)
		fn(slot, []byte(key), r.View(row), nil)
	}
	return true, nil
}

// inOrder lists the keys of a partition by slot, then key.
func (w *World) inOrder(p ring.Partition) (out []string) {
	for _, key := range w.keys {
		if w.partition(key) == p {
			out = append(out, key)
		}
	}
	slices.SortFunc(out, func(a, b string) int {
		if x, y := ring.SlotOf([]byte(a)), ring.SlotOf([]byte(b)); x != y {
			return int(x) - int(y)
		}
		if a < b {
			return -1
		}
		return 1
	})
	return out
}

// Adopt joins clock, flushes and horizon.
func (d *disk) Adopt(p ring.Partition, clock, flushed *causal.Clock, horizon causal.Vector) {
	if last := d.lastClock[p]; bug(FillByLastClock) && last != nil {
		clock = last
	}
	c, f := clock.Clone(), causal.Clock{}
	if flushed != nil {
		f = flushed.Clone()
	}
	d.do(change{kind: changeAdopt, partition: p, clock: &c, flushed: &f, horizon: slices.Clone(horizon)})
}

// Fill marks a replica, durably. A boot after it must not take the replica for whole.
func (d *disk) Fill(p ring.Partition, on bool) error {
	d.do(change{kind: changeFill, partition: p, life: d.w.newLife(d.node), on: on})
	d.sync()
	d.suspect = true
	if on {
		d.w.stats.fills++
	}
	d.w.trace("  node %d: replica %d is being filled: %v", d.node, p, on)
	return nil
}
