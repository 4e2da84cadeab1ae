package engine

import (
	"shoal/causal"
	"shoal/ring"
)

// Flush stores a range tombstone under its dot in the current tick: every dot of dropped is dropped, here and whenever
// it arrives. Rows read, scanned and counted from now on are without them; Maintain removes their bytes.
func (s *Store) Flush(p ring.Partition, dot causal.Dot, dropped *causal.Clock) {
	r := s.replicas[p]
	all := dropped.Covers(&r.Clock)
	s.logDot(p, dot, 0, nil, dropped)
	r.Clock.Add(dot)
	r.Replica.Flush(dropped)
	s.snapshot(p)
	s.logged(p, r, 1)
	s.sweep(p)
	r.counts.clear(&s.stats)
	if !all {
		s.recount(p, r)
	}
}

// recount counts the rows that a flush left something of: those of the log entries that it did not drop. What was
// trimmed from the log has no entries, then the rows themselves are read.
func (s *Store) recount(p ring.Partition, r *replica) {
	count := func(c causal.Container) { r.counts.add(summarize(c), &s.stats) }
	var err error
	if len(r.Horizon) > 0 {
		err = s.Scan(p, 0, func(row Row) bool { count(row.Container); return true })
	} else {
		seen := map[string]bool{}
		err = s.Log(p, &r.Flushed, 0, func(e LogEntry) bool {
			if e.Dropped != nil || seen[string(e.Key)] {
				return true
			}
			seen[string(e.Key)] = true
			if c, rerr := s.Row(p, e.Slot, e.Key); rerr == nil {
				count(c)
			}
			return true
		})
	}
	if err != nil {
		s.log.Error("counting after a flush met unreadable rows; the counters are too low", "partition", p, "error", err)
	}
}

// sweep is the removal of what flushes left in a partition, and how far it has come.
type sweep struct {
	partition ring.Partition
	from      []byte
}

func (s *Store) sweep(p ring.Partition) {
	start := sweep{p, appendSlot(nil, spaceData, p, 0)}
	for i := range s.sweeps {
		if s.sweeps[i].partition == p {
			s.sweeps[i] = start
			return
		}
	}
	s.sweeps = append(s.sweeps, start)
}

// buried reports whether a row without versions can go altogether: when every dot that its vector covers is flushed.
// With a dot that is not, the vector must stay, or that dot would come back when it arrives late.
func buried(r *replica, view causal.Container) bool {
	return len(view.Versions) == 0 && r.Flushed.CoversVector(view.Vector)
}

// Maintain does a slice of background work in the current tick: it looks at up to limit rows of flushed partitions and
// removes the bytes of what was dropped. more says that there is something left to do.
func (s *Store) Maintain(limit int) (more bool, err error) {
	if len(s.sweeps) == 0 || limit <= 0 {
		return len(s.sweeps) > 0, s.writable()
	}
	if err := s.push(); err != nil {
		return true, err
	}
	w := &s.sweeps[0]
	r := s.replicas[w.partition]
	seen, done := 0, true
	err = s.rawScan(w.from, after(appendSpace(nil, spaceData, w.partition)), func(name []byte, row stored) bool {
		if seen++; seen > limit {
			w.from, done = append([]byte{}, name...), false
			return false
		}
		if row.Err == nil {
			s.strip(r, name, row.Container)
		}
		return true
	})
	if done { // also with an error: what cannot be read cannot be removed
		s.sweeps = append(s.sweeps[:0], s.sweeps[1:]...)
		s.measure()
	}
	s.pushLarge()
	return len(s.sweeps) > 0, err
}

// strip stores a row without what a flush dropped, or removes it.
func (s *Store) strip(r *replica, name []byte, row causal.Container) {
	view := r.View(row)
	s.name = append(s.name[:0], name...)
	old := &entry{raw: row.Append(nil)}
	switch {
	case buried(r, view):
		_ = s.batch.Delete(name, nil) // fails only on a batch that was committed
		s.pending[string(name)] = &entry{}
		s.resize(r, old, &entry{})
	case len(view.Versions) != len(row.Versions):
		s.resize(r, old, s.setRow(name, view))
	}
}
