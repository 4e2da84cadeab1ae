package sim

import (
	"fmt"

	"shoal/causal"
	"shoal/wire"
)

// closed notes what a closing says of dots: those that it does not list exist nowhere.
func (o *oracle) closed(it *wire.Item) {
	for _, f := range o.facts {
		if f.dot.Actor == it.Life && f.dot.Seq <= it.Digest && !it.Clock.Contains(f.dot) && f.op.partition == it.Partition && !f.void {
			f.void = true
			o.w.trace("  VOID %s of key %s (%s)", o.name(f.dot), f.key, f.value)
		}
	}
	o.w.trace("  CLOSE %s", o.name(causal.Dot{Actor: it.Life, Seq: it.Digest}))
}

// heldBack says what still waits to be forgotten although nothing is wrong any more; "" when nothing does: no tombstone,
// nothing expired, no row without a version, no hole in a clock, no log entry.
// soon (unix ms): what expires before is waited for.
func (o *oracle) heldBack(soon int64) string {
	for _, n := range o.w.nodes {
		for p, r := range n.disk.live[:o.w.cfg.q] {
			if r == nil {
				continue
			}
			at := fmt.Sprintf("node %d partition %d", n.index, p)
			for _, e := range r.Clock.Entries() {
				if len(e.Above) > 0 {
					return fmt.Sprintf("%s has a hole below %s", at, o.name(causal.Dot{Actor: e.Actor, Seq: e.Above[0].From}))
				}
			}
			for _, key := range o.w.keys {
				row, ok := r.rows[key]
				row = r.View(row)
				if ok && len(row.Versions) == 0 {
					return fmt.Sprintf("%s has a row without a version, key %s: %s", at, key, o.names(row))
				}
				for i := range row.Versions {
					v := &row.Versions[i]
					if v.Kind == causal.KindTombstone || v.Expiry != 0 && v.Expiry < soon && !n.skewed() {
						return fmt.Sprintf("%s has a tombstone or an expired version, key %s: %s", at, key, o.names(row))
					}
				}
			}
			if len(r.log) > 0 {
				return fmt.Sprintf("%s has %d log entries, the first %s", at, len(r.log), o.name(r.log[0].Dot))
			}
		}
	}
	return ""
}

// forget proves that what deletes, writes and ended lives leave behind is forgotten within bounded time after the last
// fault, and that what arrives later than that does no harm.
func (w *World) forget() {
	begun := w.now + epochMs
	for limit := w.now + 45_000; w.broken == nil; w.advance(w.now + 200) {
		soon := w.now + epochMs + 100_000
		if w.cfg.jumps > 0 { // a wrong clock may have made a version end at any time, also after the limit
			soon = begun + 30_000
		}
		what := w.oracle.heldBack(soon)
		if what == "" {
			break
		}
		if w.now > limit {
			w.fail("held back: 45 s after the replicas are equal %s", what)
		}
	}
	last := w.now
	for i := range w.heap.list {
		if e := &w.heap.list[i]; e.kind == evFrame {
			last = max(last, e.at)
		}
	}
	w.advance(last + 100)
	w.rest()
}
