package sim

import (
	"slices"

	"shoal/causal"
	"shoal/wire"
)

// The planted bugs of sloppy quorums and hints.

const replayed = 1 << 63 // ids of hints that are handed over

// mangleHintsOut changes what a node sends. Without a planted bug it changes nothing.
func (n *node) mangleHintsOut(peer int, items []wire.Item) []wire.Item {
	switch {
	case bug(HintGoneByAck):
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemWrite && it.ID&replayed != 0 {
				n.asked[question{peer, it.ID}] = extendedKey{it.Partition, it.Slot, it.Key}
			}
		}
	case bug(HintCountedTwice):
		return slices.DeleteFunc(items, func(it wire.Item) bool {
			if it.Kind != wire.ItemHint {
				return false
			}
			first := len(n.standIns[it.ID]) == 0
			n.standIns[it.ID] = append(n.standIns[it.ID], peer)
			return !first
		})
	case bug(HintsAlone):
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemHint {
				row := n.disk.live[it.Partition].rows[string(it.Key)]
				row.Versions = slices.DeleteFunc(slices.Clone(row.Versions), func(v causal.Version) bool { return slices.Contains(n.fresh, v.Dot) })
				n.disk.do(change{kind: changePut, partition: it.Partition, key: string(it.Key), row: row})
			}
		}
	}
	return items
}

// mangleHintsIn changes what a node hears. Without a planted bug it changes nothing.
func (n *node) mangleHintsIn(peer int, it *wire.Item) {
	switch {
	case bug(HintGoneByAck) && it.Kind == wire.ItemAck && !it.Has(wire.FlagRefused):
		if x, ok := n.asked[question{peer, it.ID}]; ok && it.ID&replayed != 0 {
			n.disk.PutHint(x.partition, x.slot, x.key, causal.Container{})
		}
	case bug(HintGoneByOne) && it.Kind == wire.ItemAdvert && it.Repair != nil && !it.Has(wire.FlagRefused):
		for _, ref := range n.disk.hinted(it.Partition) {
			row := n.disk.live.hints()[string(ref.Key)]
			lacks := slices.ContainsFunc(row.Versions, func(v causal.Version) bool { return !it.Repair.Durable.Contains(v.Dot) })
			if !lacks {
				n.disk.PutHint(ref.Partition, ref.Slot, ref.Key, causal.Container{})
			}
		}
	case bug(HintCountedTwice) && it.Kind == wire.ItemAck:
		if list := n.standIns[it.ID]; slices.Contains(list, peer) {
			for _, other := range list {
				if other != peer {
					n.machine.Step(n.now(), n.w.nodes[other].id, []wire.Item{*it})
				}
			}
		}
	case bug(HintMergedRaw) && it.Kind == wire.ItemWrite && it.ID&replayed != 0:
		n.mergeRaw(it.Partition, it.Slot, it.Key, it.Row)
	}
}

// makeRoom drops old hints for a new one.
func (d *disk) makeRoom(key string) {
	bytes := int64(0)
	for _, old := range d.w.keys {
		if row, ok := d.live.hints()[old]; ok && old != key {
			if bytes += int64(row.Size() + len(old)); bytes > d.w.cfg.hintMax {
				d.PutHint(d.w.partition(old), 0, []byte(old), causal.Container{})
			}
		}
	}
}
