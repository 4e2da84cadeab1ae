package sim

import (
	"slices"

	"shoal/antientropy"
	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// The planted bugs that live in what nodes say to each other.

// mangleOut changes what a node sends. Without a planted bug it changes nothing.
func (n *node) mangleOut(peer int, items []wire.Item) []wire.Item {
	switch {
	case bug(ContextExtended):
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemWrite && it.ID != 0 {
				n.asked[question{peer, it.ID}] = extendedKey{it.Partition, it.Slot, it.Key}
			}
		}
	case bug(LoneVersion):
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemWrite {
				it.Row = n.lone(it.Row)
			}
		}
	case bug(IncompleteTakenOver):
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemPulled && !it.Has(wire.FlagComplete) {
				clock := n.disk.live[it.Partition].Clock.Clone()
				it.Clock, it.Flags = &clock, it.Flags|wire.FlagComplete
			}
		}
	case bug(WholeByNotWhole):
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemPulled {
				it.Flags |= wire.FlagWhole
			}
		}
	case bug(ClosedUnasked):
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemActorKnown && n.disk.ring.Position(it.Partition, n.id) == 1 {
				it.Flags, it.Clock, it.Digest = 0, &causal.Clock{}, 0
			}
		}
	case bug(FillingReads), bug(FillingCounts):
		for i := range items {
			n.admitFilling(peer, &items[i])
		}
	case bug(FlushByVector):
		for i := range items {
			if it := &items[i]; it.Kind == wire.ItemFlush {
				it.Clock = withoutHoles(it.Clock)
			}
		}
	}
	return n.mangleHintsOut(peer, items)
}

// lone is the newest version of this life alone.
func (n *node) lone(row causal.Container) causal.Container {
	for i := range row.Versions {
		if v := row.Versions[i]; slices.Contains(n.fresh, v.Dot) {
			return causal.Container{Versions: []causal.Version{v}, Vector: causal.Vector{v.Dot}}
		}
	}
	return row
}

// acknowledgeUnsent takes copies that hold nothing that is being written here (they are written back for a read) for
// acknowledged.
func (n *node) acknowledgeUnsent() {
	var acks []antientropy.Out
	for _, o := range n.machine.Effects().Peers {
		for i := range o.Items {
			it := &o.Items[i]
			own := slices.ContainsFunc(it.Row.Versions, func(v causal.Version) bool { return n.writing(v.Dot) })
			if it.Kind == wire.ItemWrite && it.ID != 0 && !own {
				acks = append(acks, antientropy.Out{To: o.To, Item: wire.Item{Kind: wire.ItemAck, ID: it.ID}})
				it.ID = 0
			}
		}
	}
	for _, a := range acks {
		n.machine.Step(n.now(), a.To, []wire.Item{a.Item})
	}
}

// writing reports whether a dot is of an operation that this node coordinates and has not answered.
func (n *node) writing(d causal.Dot) bool {
	f := n.w.oracle.byDot[d]
	return slices.Contains(n.fresh, d) || f != nil && !f.op.done && n.w.lives[d.Actor].node == n.index
}

func withoutHoles(c *causal.Clock) *causal.Clock {
	var out causal.Clock
	for _, e := range c.Entries() {
		for seq := uint64(1); seq <= c.Max(e.Actor); seq++ {
			out.Add(causal.Dot{Actor: e.Actor, Seq: seq})
		}
	}
	return &out
}

// mangleIn changes what a node hears. Without a planted bug it changes nothing.
func (n *node) mangleIn(peer int, it *wire.Item) {
	n.mangleHintsIn(peer, it)
	switch {
	case bug(ReapOneMissing) && (it.Kind == wire.ItemPull || it.Kind == wire.ItemPulled):
		if owners := n.disk.ring.OwnersOf(it.Partition); owners[len(owners)-1] == n.w.nodes[peer].id {
			if s := n.disk.synced[it.Partition]; s != nil {
				c := s.Clock.Clone()
				it.Repair.Durable = &c
			}
		}
	case (bug(ClosedWithoutFence) || bug(ClosedByActorAlone)) && it.Kind == wire.ItemActor:
		for i := range it.Repair.Boots {
			b := &it.Repair.Boots[i]
			if of := n.w.nodes[n.w.lives[it.Life].node]; bug(ClosedByActorAlone) && b.Node == of.id {
				continue
			}
			if n.boots[b.Node] != 0 {
				b.Incarnation = n.boots[b.Node]
			}
		}
	case bug(ClosedUnchecked) && it.Kind == wire.ItemClose:
		it.Clock = &causal.Clock{}
	case bug(RestoreReaped) && it.Kind == wire.ItemFetched:
		for _, d := range n.disk.live[it.Partition].Horizon {
			c := causal.Upto(d.Actor, d.Seq)
			it.Clock.Union(&c)
		}
	case bug(FillByLastClock) && it.Kind == wire.ItemFilled && !it.Has(wire.FlagRefused):
		n.disk.lastClock[it.Partition] = it.Clock
	case bug(FillReplaces) && it.Kind == wire.ItemFilled && !it.Has(wire.FlagRefused):
		n.replaceRange(it)
	case (bug(FillingReads) || bug(FillingCounts)) && (it.Kind == wire.ItemRead || it.Kind == wire.ItemWrite):
		if r := n.disk.live[it.Partition]; r != nil && r.Filling {
			n.asked[question{peer, it.ID}] = extendedKey{it.Partition, it.Slot, it.Key}
		}
	case bug(NotMerged) && it.Kind == wire.ItemRow && !it.Has(wire.FlagRefused):
		it.Flags, it.Row = it.Flags|wire.FlagSame, causal.Container{}
	case bug(ContextExtended) && it.Kind == wire.ItemAck && it.Has(wire.FlagUncovered):
		if x, ok := n.asked[question{peer, it.ID}]; ok {
			n.extend(peer, x)
		}
	case bug(RestoreSuperseded) && it.Kind == wire.ItemFetched:
		for _, r := range it.Rows {
			n.putBack(it.Partition, r)
		}
	case bug(RestoreLone) && it.Kind == wire.ItemFetched:
		for i := range it.Rows {
			row := &it.Rows[i].Row
			row.Vector = ownVector(*row)
		}
	case bug(OlderLoses) && it.Kind == wire.ItemWrite:
		n.dropOlder(it)
	case bug(LateMessagesTaken) && it.Kind == wire.ItemWrite:
		n.mergeRaw(it.Partition, it.Slot, it.Key, it.Row)
	case bug(LateMessagesTaken) && it.Kind == wire.ItemPulled:
		for _, r := range it.Rows {
			n.mergeRaw(it.Partition, r.Slot, r.Key, r.Row)
		}
	}
}

// admitFilling turns the refusals of a replica that is being filled into answers, and lets nobody know of it.
func (n *node) admitFilling(peer int, it *wire.Item) {
	if it.Kind == wire.ItemFilling {
		it.Blob = nil
	}
	x, ok := n.asked[question{peer, it.ID}]
	switch {
	case !ok || !it.Has(wire.FlagRefused):
	case bug(FillingCounts) && it.Kind == wire.ItemAck:
		it.Flags = 0
	case bug(FillingReads) && it.Kind == wire.ItemRow:
		r := n.disk.live[x.partition]
		it.Flags, it.Row = wire.FlagWhole, r.View(r.rows[string(x.key)])
	}
}

// dropOlder takes from a copy what is older, by hlc, than a version that stands here. The vector says that it was seen.
func (n *node) dropOlder(it *wire.Item) {
	newest := uint64(0)
	if r := n.disk.live[it.Partition]; r != nil {
		for _, v := range r.rows[string(it.Key)].Versions {
			newest = max(newest, v.HLC)
		}
	}
	it.Row.Versions = slices.DeleteFunc(slices.Clone(it.Row.Versions), func(v causal.Version) bool { return v.HLC < newest })
}

// replaceRange drops every version that the range lacks.
func (n *node) replaceRange(it *wire.Item) {
	r := n.disk.live[it.Partition]
	if r == nil || !r.Filling {
		return
	}
	for _, key := range n.w.inOrder(it.Partition) {
		row, theirs := r.rows[key], causal.Container{}
		found := it.Has(wire.FlagComplete) && it.Digest == 0
		for _, x := range it.Rows {
			if string(x.Key) == key {
				found, theirs = true, x.Row
			}
		}
		if !found {
			continue
		}
		row.Versions = slices.DeleteFunc(slices.Clone(row.Versions), func(v causal.Version) bool { return theirs.Find(v.Dot) == nil })
		n.disk.do(change{kind: changePut, partition: it.Partition, key: key, row: row})
	}
}

// extend lets this node's version cover what the peer holds.
func (n *node) extend(peer int, x extendedKey) {
	theirs, mine := n.w.nodes[peer].disk.live[x.partition], n.disk.live[x.partition]
	if theirs == nil || mine == nil {
		return
	}
	row := mine.rows[string(x.key)]
	row.Vector = row.Vector.Join(theirs.rows[string(x.key)].Vector)
	n.disk.Put(x.partition, x.slot, x.key, row, nil)
}

func (n *node) mergeRaw(p ring.Partition, s ring.Slot, key []byte, row causal.Container) {
	if r := n.disk.live[p]; r != nil {
		n.disk.Put(p, s, key, causal.Merge(r.rows[string(key)], row), nil)
	}
}

// putBack merges a row as if its versions were unheard of here.
func (n *node) putBack(p ring.Partition, r wire.KeyRow) {
	rep := n.disk.live[p]
	if rep == nil || len(r.Row.Versions) == 0 {
		return
	}
	row := rep.View(rep.rows[string(r.Key)])
	row.Vector = ownVector(row)
	n.disk.Put(p, r.Slot, r.Key, causal.Merge(row, r.Row), nil)
}

// ownVector covers nothing but what the row's own versions make it cover.
func ownVector(row causal.Container) (v causal.Vector) {
	for i := range row.Versions {
		v = v.With(row.Versions[i].Dot)
	}
	return v
}
