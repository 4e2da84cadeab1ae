package sim

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
)

// What the store forgets: antientropy.Remains.

func (d *disk) Durable(p ring.Partition) *causal.Clock {
	r := d.synced[p]
	if bug(ReapVolatile) {
		r = d.live[p]
	}
	if r == nil {
		return nil
	}
	return &r.Clock
}

func (d *disk) Reap(p ring.Partition, s ring.Slot, key []byte, left causal.Container, over causal.Vector) {
	d.w.oracle.reaped(d, p, string(key), left, over)
	d.do(change{kind: changeReap, partition: p, slot: s, key: string(key), row: left, horizon: over})
}

func (d *disk) Trim(p ring.Partition, to causal.Vector) {
	if bug(TrimAboveHoles) {
		to = causal.Vector{}
		for _, e := range d.live[p].Clock.Entries() {
			to = to.With(causal.Dot{Actor: e.Actor, Seq: d.synced[p].Clock.Max(e.Actor)})
		}
	}
	d.w.stats.trims++
	d.w.oracle.checkForgotten(d, p, to)
	d.do(change{kind: changeTrim, partition: p, horizon: to})
}

func (d *disk) Logged(p ring.Partition) int {
	if r := d.live[p]; r != nil {
		return len(r.log)
	}
	return 0
}

// Dead looks at all rows at once.
func (d *disk) Dead(p ring.Partition, expired int64, _ int, fn func(ring.Slot, []byte, causal.Container)) bool {
	r := d.live[p]
	for _, key := range d.w.keys {
		row, ok := r.rows[key]
		if !ok || d.w.partition(key) != p {
			continue
		}
		row = r.View(row)
		dead := func(v causal.Version) bool {
			return v.Kind == causal.KindTombstone || v.Expiry != 0 && v.Expiry <= expired
		}
		if len(row.Versions) > 0 && !slices.ContainsFunc(row.Versions, dead) {
			continue
		}
		if bug(ReapByDots) {
			row.Vector = ownVector(row)
		}
		fn(ring.SlotOf([]byte(key)), []byte(key), row)
	}
	return false
}

// reaped proves that nothing but tombstones and what has expired by every clock is reaped.
func (o *oracle) reaped(d *disk, p ring.Partition, key string, left causal.Container, over causal.Vector) {
	r := d.live[p]
	row := r.View(r.rows[key])
	o.checkForgotten(d, p, over.Join(row.Vector))
	o.w.stats.reap++
	o.w.trace("  REAP key %s on node %d: %s leaves %s", key, d.node, o.names(row), o.names(left))
	for i := range row.Versions {
		v := &row.Versions[i]
		if left.Find(v.Dot) != nil {
			continue
		}
		if v.Live(o.w.now + epochMs - skewBound) {
			o.w.fail("reaped alive: node %d reaps %s of key %s (%s)", d.node, o.name(v.Dot), key, v.Payload)
		}
		if f := o.byDot[v.Dot]; f != nil {
			o.reap(f)
		}
	}
}

// skewBound is how far a clock that counts may be from the true time, ms.
const skewBound = 500

// checkForgotten proves that a horizon rises only over what no power cut can take from any owner.
func (o *oracle) checkForgotten(d *disk, p ring.Partition, over causal.Vector) {
	if o.w.cfg.disks || o.w.cfg.backups {
		return // an owner may have told more than its disk is left with: it is filled again
	}
	for _, n := range o.w.ownersOfPartition(p) {
		if s := n.disk.synced[p]; s == nil || !s.Clock.CoversVector(over) {
			o.w.fail("forgotten too early: the horizon of node %d rises over %s, which node %d does not hold durably",
				d.node, o.names(causal.Container{Vector: over}), n.index)
			return
		}
	}
}
