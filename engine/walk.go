package engine

import (
	"bytes"

	"shoal/causal"
	"shoal/ring"
)

// Walk shows the rows of a partition once each, in no order, a few at a time, with ticks between. Rows in memory are
// shown as they were when the walk began; a row that was in the sorted store alone then, and was changed since, may be
// shown as it is now. It holds no resource that must be given back, but keeps memory alive until it is dropped.
//
// It verifies every checksum it meets, those in memory too. A row in memory that is damaged leaves memory: from then on
// the row is what the sorted store has, and is shown as that or with its Err.
type Walk struct {
	s     *Store
	p     ring.Partition
	deep  bool
	frame slabs // slabs and cells as they were at the beginning: records do not change, so this is a still picture
	table table
	at    int
	from  []byte // where in the sorted store to go on, nil: it has not begun
	done  bool
	key   []byte // scratch
}

// walkBytes ends a step of a walk early, bytes of rows.
const walkBytes = 1 << 20

// walkAhead is how many cells are touched together.
const walkAhead = 32

// Walk begins a walk. A deep one also reads what the sorted store holds of rows that are in memory; one of those that is
// damaged is written again from memory.
func (s *Store) Walk(p ring.Partition, deep bool) *Walk {
	w := &Walk{s: s, p: p, deep: deep}
	r := s.replicas.of(p)
	if r == nil {
		w.done = true
		return w
	}
	w.frame.all = append(w.frame.all, s.mem.all...)
	w.table = table{cells: append([]cell(nil), r.rows.cells...), n: r.rows.n, shift: r.rows.shift}
	return w
}

// Next calls fn for up to limit rows and reports whether there are no more. The row's container is valid during the
// call only; its key is too. An unreadable row has its Err and an empty container. Block errors of the sorted store
// skip rows: what was skipped is not shown.
func (w *Walk) Next(limit int, fn func(Row)) (done bool) {
	if w.done || w.s.writable() != nil || w.s.replicas.of(w.p) == nil {
		w.done = true
		return true
	}
	r, size := w.s.replicas.of(w.p), 0
	for ; limit > 0 && size < walkBytes && w.at < len(w.table.cells); w.at++ {
		if w.at%walkAhead == 0 {
			w.touch()
		}
		c := w.table.cells[w.at]
		if c.slab == 0 {
			continue
		}
		rec := w.frame.at(c.slab, c.off)
		if !rec.present() {
			continue
		}
		limit--
		size += len(rec)
		if _, err := unseal(rec.name(), rec.value()); err != nil {
			w.s.dropDamaged(r, c, rec)
			w.show(r, rec.name(), nil, err, fn)
			continue
		}
		w.show(r, rec.name(), rec.value(), nil, fn)
	}
	if limit <= 0 || size >= walkBytes {
		return false
	}
	if w.done = w.s.complete && !w.deep; w.done {
		return true
	}
	w.done = w.sorted(r, limit, fn)
	return w.done
}

// touch brings the next rows towards the processor together, so that the waits for memory overlap.
func (w *Walk) touch() {
	sink := w.s.sink
	for _, c := range w.table.cells[w.at:min(len(w.table.cells), w.at+walkAhead)] {
		if b := w.frame.all[c.slab].buf; c.slab != 0 {
			b = b[c.off:]
			sink += uint32(b[0]) + uint32(b[min(64, len(b)-1)]) + uint32(b[min(128, len(b)-1)])
		}
	}
	w.s.sink = sink
}

// sorted goes on in the sorted store, with limit rows.
func (w *Walk) sorted(r *replica, limit int, fn func(Row)) (done bool) {
	if w.from == nil {
		w.from = appendSlot(nil, spaceData, w.p, 0)
	}
	done = true
	size := 0
	var rewrite [][]byte
	err := w.s.pebbleScan(w.from, after(appendSpace(nil, spaceData, w.p)), func(name, value []byte, err error) bool {
		if limit <= 0 || size >= walkBytes {
			w.from, done = bytes.Clone(name), false
			return false
		}
		limit--
		size += len(name) + len(value)
		if w.table.find(&w.frame, hashOf(name), name) >= 0 { // shown already
			if err != nil && w.deep {
				rewrite = append(rewrite, bytes.Clone(name))
			}
			return true
		}
		w.show(r, name, value, err, fn)
		return true
	})
	if err != nil {
		w.s.log.Error("blocks of rows are unreadable; a walk leaves them out", "partition", w.p, "error", err)
	}
	for _, name := range rewrite {
		w.s.rewrite(r, w.p, name)
	}
	return done
}

func (w *Walk) show(r *replica, name, value []byte, err error, fn func(Row)) {
	row := Row{Slot: slotOfRow(name)}
	var ok bool
	if _, _, row.Key, ok = parseRowInto(w.key[:0], name); !ok {
		return
	}
	w.key = row.Key
	if row.Err = err; err == nil {
		var c causal.Container
		if c, row.Err = w.s.scratchDecode(value[sealSize:]); row.Err == nil {
			row.Container = r.View(c)
		}
	}
	fn(row)
}

// dropDamaged takes a row out of memory whose bytes there changed by themselves, if it is still there. What is in the
// sorted store, the same row or an older one or none, is the row from now on.
func (s *Store) dropDamaged(r *replica, c cell, rec record) {
	s.stats.unreadable.Add(1)
	s.noteDamaged(rec.name())
	i := r.rows.findAt(c.hash, c.slab, c.off)
	s.log.Error("a row in memory is damaged", "partition", partitionOf(rec.name()), "slot", slotOfRow(rec.name()), "current", i >= 0)
	if i < 0 {
		return
	}
	s.complete, s.last.known = false, false
	r.dead.forget()
	rec[12] |= flagGarbage
	r.rows.remove(i)
	s.mem.unlive(c.slab, len(rec))
	if rec.segment() <= s.spilled {
		return
	}
	if bad, err := s.scratchDecode(rec.container()); err == nil {
		r.counts.remove(summarize(r.View(bad)), &s.stats)
	}
	was, now := len(rec.value()), 0
	if older, err := s.load(rec.name()); err == nil && older != nil {
		now = len(older)
		if row, err := s.scratchDecode(older[sealSize:]); err == nil {
			r.counts.add(summarize(r.View(row)), &s.stats)
		}
	}
	s.resize(r, len(rec.name()), was, now)
}

// rewrite writes a row of memory again, because its copy in the sorted store is damaged.
func (s *Store) rewrite(r *replica, p ring.Partition, name []byte) {
	i := r.rows.find(&s.mem, hashOf(name), name)
	if i < 0 {
		return
	}
	rec := s.mem.at(r.rows.cells[i].slab, r.rows.cells[i].off)
	if !rec.present() || rec.segment() > s.spilled { // it will be written anyway
		return
	}
	if c, err := causal.DecodeContainer(rec.container()); err == nil {
		s.log.Warn("a damaged row of the sorted store is written again from memory", "partition", p)
		s.put(r, p, name, c, nil)
		s.pushLarge()
	}
}
