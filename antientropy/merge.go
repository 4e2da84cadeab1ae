package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// known is what a source knew when a range of it was read.
type known struct {
	clock   *causal.Clock
	flushed *causal.Clock
	horizon causal.Vector
}

// dead reports whether the source has processed a dot that its row lacks, and what took the dot out of the row left its
// trace there: a vector, a flush, or the horizon. Nothing else takes a dot out of a row, so without a trace the source has
// lost it (see causal.Replica.Lost), and the copy here may be the last one.
func (k *known) dead(theirs causal.Container, d causal.Dot) bool {
	return k.clock.Contains(d) && theirs.Find(d) == nil &&
		(theirs.Vector.Covers(d) || k.flushed.Contains(d) || k.horizon.Covers(d))
}

// strip takes the dead dots out of a row. The vector stays, as the trace of what was here.
func (k *known) strip(row, theirs causal.Container) causal.Container {
	left := slices.DeleteFunc(slices.Clone(row.Versions), func(v causal.Version) bool { return k.dead(theirs, v.Dot) })
	if len(left) == len(row.Versions) {
		return row
	}
	return causal.Container{Versions: left, Vector: row.Vector}
}

// sweep looks, a few rows at a time, for rows here that the range lacks altogether.
type sweep struct {
	known
	keys    []rowName // the range's, sorted
	end     rowName   // its last
	whole   bool      // it goes to the end of the partition
	started bool
	after   wire.Ref
}

// rowName is a row's place in the order of a partition.
type rowName struct {
	slot ring.Slot
	key  string
}

func (a rowName) compare(b rowName) int {
	if a.slot != b.slot {
		return int(a.slot) - int(b.slot)
	}
	switch {
	case a.key < b.key:
		return -1
	case a.key > b.key:
		return 1
	}
	return 0
}

// onFilled takes in a range of the source in the life in which it was begun.
func (m *Refiller) onFilled(now int64, from ring.NodeID, it *wire.Item) {
	f := m.find(it.Partition)
	if f == nil || f.source != from || f.id == 0 || f.id != it.ID || f.number != it.Digest {
		return
	}
	rep := m.replicaOf(it.Partition)
	if rep == nil || !rep.Filling {
		return
	}
	f.id = 0
	switch {
	case it.Has(wire.FlagRefused):
		f.refused = append(f.refused, from)
		f.drop(now)
		return
	case f.number == 0 && !f.settled && !it.Has(wire.FlagWhole):
		f.poor = append(f.poor, from) // a whole one is better: it alone is enough
		f.drop(now)
		return
	case f.number == 0:
		f.clock, f.flushed, f.life, f.sound = it.Clock, it.Repair.Flushed, it.Life, it.Has(wire.FlagWhole)
		m.takeFlushes(rep, it)
	case it.Life != f.life:
		m.Stats.Again++
		f.begin(from)
		return
	}
	s := &sweep{
		known: known{clock: it.Clock, flushed: it.Repair.Flushed, horizon: it.Horizon},
		whole: it.Has(wire.FlagComplete), after: wire.Ref{Partition: it.Partition, Slot: f.after.Slot, Key: f.after.Key}, started: f.number > 0,
	}
	for i := range it.Rows {
		m.takeRow(rep, f, s, &it.Rows[i])
	}
	if n := len(it.Rows); n > 0 {
		last := &it.Rows[n-1]
		f.after = wire.Ref{Partition: it.Partition, Slot: last.Slot, Key: slices.Clone(last.Key)}
		s.end = s.keys[n-1]
	} else if !s.whole { // an empty range that is not the last makes no sense
		f.refused = append(f.refused, from)
		f.drop(now)
		return
	}
	f.number++
	f.sweep = s
	m.budget -= len(it.Rows)
	m.sweepOn(now, f)
}

func (m *Refiller) takeFlushes(rep *causal.Replica, it *wire.Item) {
	for i := range it.Entries {
		if e := &it.Entries[i]; e.Dropped != nil && !rep.Clock.Contains(e.Dot) {
			m.store.Flush(it.Partition, e.Dot, e.Dropped)
		}
	}
}

// takeRow merges a row of the source: first what the source knows to be dead goes here, then the late-message rule
// decides. A row that cannot be read here is replaced if the source has processed all that this replica has.
func (m *Refiller) takeRow(rep *causal.Replica, f *fill, s *sweep, r *wire.KeyRow) {
	p := f.partition
	s.keys = append(s.keys, rowName{r.Slot, string(r.Key)})
	f.rows++
	f.bytes += int64(r.Row.Size() + len(r.Key))
	m.Stats.Rows++
	m.Stats.Bytes += uint64(r.Row.Size() + len(r.Key))
	row, err := m.store.Row(p, r.Slot, r.Key)
	if err != nil {
		m.Stats.Unreadable++
		if !s.clock.Covers(&rep.Clock) {
			f.left = true
			return
		}
		var fresh []causal.Dot
		for i := range r.Row.Versions {
			if d := r.Row.Versions[i].Dot; !rep.Clock.Contains(d) {
				fresh = append(fresh, d)
			}
		}
		m.store.Put(p, r.Slot, r.Key, r.Row, fresh)
		return
	}
	left := s.strip(row, r.Row)
	m.Stats.Dropped += uint64(len(row.Versions) - len(left.Versions))
	a := rep.Admit(left, r.Row)
	if a.TwoValues {
		m.Stats.TwoValues++
	}
	if len(a.Fresh) > 0 || !causal.Same(row, a.Row) {
		m.store.Put(p, r.Slot, r.Key, a.Row, a.Fresh)
	}
}

// sweepOn looks at more rows here, as the budget allows, and ends the range when all have been looked at.
func (m *Refiller) sweepOn(now int64, f *fill) {
	s := f.sweep
	for m.budget > 0 {
		done, ok := m.sweepSome(f, s, m.budget)
		if !ok {
			f.refused = append(f.refused, f.source)
			f.drop(now)
			return
		}
		if !done {
			continue
		}
		f.sweep = nil
		if s.whole {
			m.finish(now, f, s.horizon, s.flushed)
		}
		return
	}
}

// sweepSome looks at up to limit rows. It reports whether that was the last of the range, and whether they could be read.
func (m *Refiller) sweepSome(f *fill, s *sweep, limit int) (done, ok bool) {
	type changed struct {
		name rowName
		row  causal.Container
	}
	var list []changed
	passed := false
	last, err := m.store.Range(f.partition, !s.started, s.after, limit, m.cfg.MaxBytes,
		func(slot ring.Slot, key []byte, row causal.Container, err error) {
			name := rowName{slot, string(key)}
			m.budget--
			passed = passed || !s.whole && name.compare(s.end) > 0
			if passed {
				return
			}
			s.started, s.after.Slot, s.after.Key = true, slot, slices.Clone(key)
			if _, found := slices.BinarySearchFunc(s.keys, name, rowName.compare); found {
				return
			}
			if err != nil {
				m.Stats.Unreadable++
				f.left = f.left || !s.clock.Covers(&m.store.Replica(f.partition).Clock)
				return // the comparison of replicas mends it
			}
			if left := s.strip(row, causal.Container{}); len(left.Versions) < len(row.Versions) {
				m.Stats.Dropped += uint64(len(row.Versions) - len(left.Versions))
				list = append(list, changed{name, cloneRow(left)})
			}
		})
	if err != nil {
		m.Stats.Unreadable++
		return false, false
	}
	for _, c := range list {
		m.store.Put(f.partition, c.name.slot, []byte(c.name.key), c.row, nil)
	}
	return last || passed, true
}
