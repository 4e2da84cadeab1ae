package engine

import (
	"shoal/causal"
	"shoal/ring"
)

// Flush stores a range tombstone under its dot in the current tick: every dot of dropped is dropped, here and whenever
// it arrives. The tick is fsynced before it ends, whatever the durability: what a flush dropped leaves no trace in the
// rows that others are sent, so a flush that is forgotten could not be told from one that never was. Rows read, scanned and counted from now on are without them; Maintain removes their bytes.
func (s *Store) Flush(p ring.Partition, dot causal.Dot, dropped *causal.Clock) {
	r := s.replicas.of(p)
	all := dropped.Covers(&r.Clock)
	dots := []causal.Dot{dot}
	s.noteDots(r, p, dots, len(s.tick.b))
	s.tick.b = appendBlocked(s.tick.b, entryFlush, p, dots, dropped.Append(nil))
	r.Clock.Add(dot)
	s.noteLogged(r, 1)
	s.flushed(p, r, dropped, all)
}

// flushed takes in a clock of what a flush dropped, which is logged. all: it leaves nothing of any row.
func (s *Store) flushed(p ring.Partition, r *replica, dropped *causal.Clock, all bool) {
	r.Replica.Flush(dropped)
	s.tick.durably = true
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
	if err != nil && len(r.Horizon) == 0 { // a log that is damaged, or full
		r.counts.clear(&s.stats)
		err = s.Scan(p, 0, func(row Row) bool { count(row.Container); return true })
	}
	if err != nil {
		s.log.Error("counting after a flush met unreadable rows; the counters are too low", "partition", p, "error", err)
	}
}

// sweep is the removal of what flushes left in a partition, and how far it has come: first the rows in memory, then
// those in Pebble alone.
type sweep struct {
	partition ring.Partition
	begun     bool
	memory    []record
	from      []byte
}

func (s *Store) sweep(p ring.Partition) {
	start := sweep{partition: p, from: appendSlot(nil, spaceData, p, 0)}
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
// removes the bytes of what was dropped, and goes on with a round of spilling. more says that there is something left
// to do for it; spilling goes on by itself as long as there are ticks.
func (s *Store) Maintain(limit int) (more bool, err error) {
	if err := s.writable(); err != nil {
		return len(s.sweeps) > 0, err
	}
	if s.tick.Len() == 0 {
		s.background(max(limit, 0))
	}
	s.stats.memory.Store(s.memoryUsed())
	if len(s.sweeps) == 0 || limit <= 0 || s.Full() != nil {
		return len(s.sweeps) > 0, s.failure()
	}
	w := &s.sweeps[0]
	done, err := s.sweepSome(w, s.replicas.of(w.partition), limit)
	if done { // also with an error: what cannot be read cannot be removed
		s.sweeps = append(s.sweeps[:0], s.sweeps[1:]...)
		s.measure()
	}
	s.pushLarge()
	return len(s.sweeps) > 0, err
}

func (s *Store) sweepSome(w *sweep, r *replica, limit int) (done bool, err error) {
	if !w.begun {
		w.begun = true
		w.memory = s.rowsBetween(r, w.from, after(appendSpace(nil, spaceData, w.partition)))
	}
	for ; limit > 0 && len(w.memory) > 0; limit-- {
		s.strip(r, w.partition, w.memory[0].name())
		w.memory = w.memory[1:]
	}
	if limit == 0 {
		return false, nil
	}
	if s.complete {
		return true, nil
	}
	done = true
	var names [][]byte
	err = s.pebbleScan(w.from, after(appendSpace(nil, spaceData, w.partition)), func(name, _ []byte, err error) bool {
		if len(names) == limit {
			w.from, done = append([]byte{}, name...), false
			return false
		}
		if err == nil {
			names = append(names, append([]byte{}, name...))
		}
		return true
	})
	for _, name := range names {
		s.strip(r, w.partition, name)
	}
	return done || err != nil, err
}

// strip stores a row without what a flush dropped, or removes it.
func (s *Store) strip(r *replica, p ring.Partition, name []byte) {
	rec, err := s.find(r, name)
	if err != nil || !rec.present() {
		return
	}
	row, err := causal.DecodeContainer(rec.container())
	if err != nil {
		return
	}
	view := r.View(row)
	switch {
	case buried(r, view):
		s.remove(r, p, name, len(rec.value()))
	case len(view.Versions) != len(row.Versions):
		s.put(r, p, name, view, nil)
	}
	s.pushLarge()
}
