package engine

import (
	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
)

// The horizon of a replica is below what it has forgotten. Whatever raises it forgets the log entries at or below it,
// in the same step: at once for everybody who asks, in Pebble with the next round.

// Logged is how many dots of the partition the log has entries of, each counted once.
func (s *Store) Logged(p ring.Partition) int {
	if r := s.replicas.of(p); r != nil {
		return r.logged.n
	}
	return 0
}

// Trim raises the replica's horizon over a vector and forgets the log entries at or below it, in the current tick.
// Nothing happens when the horizon is there already.
func (s *Store) Trim(p ring.Partition, to causal.Vector) {
	r := s.replicas.of(p)
	if r.Horizon.CoversAll(to) {
		return
	}
	s.raise(r, to)
	s.tick.b = appendBlocked(s.tick.b, entryTrim, p, nil, to.Append(nil))
	s.noteLogged(r, 0)
}

// Reap replaces a row by what is left of it, the zero Container when the row goes, and raises the replica's horizon
// over a vector, in one step of the current tick. No dot is logged. Nothing of the arguments is kept.
func (s *Store) Reap(p ring.Partition, slot ring.Slot, key []byte, left causal.Container, over causal.Vector) {
	s.scratch.name = appendRow(s.scratch.name[:0], p, slot, key)
	r, name := s.replicas.of(p), s.scratch.name
	s.raise(r, over)
	was, wasDue := s.forgetRow(r, p, name)
	var value []byte
	if b := appendReaped(s.tick.b, name, over); left.Empty() {
		s.tick.b = append(b, 0)
	} else {
		s.tick.b, value = appendRowValue(b, name, left, uvarintSize(uint64(left.Size()+sealSize)))
		r.counts.add(summarize(r.View(left)), &s.stats)
		if at := due(left); at < wasDue {
			s.noteDead(r, name, at)
		}
	}
	if was > 0 {
		s.stats.reaped.Add(1)
	}
	s.resize(r, len(name), was, len(value))
	s.write(r, p, name, value, plainFlag(left))
	s.stats.tickRows.Add(1)
	s.tick.work++
	s.noteLogged(r, 0)
}

// forgetRow takes a row that is about to be replaced out of the counters and returns the length of its sealed value, 0
// when there is none, and when it was due.
func (s *Store) forgetRow(r *replica, p ring.Partition, name []byte) (was int, wasDue int64) {
	old, err := s.find(r, name)
	if err != nil { // unreadable: replaced now, and its part in the counters is unknown
		s.log.Error("replacing an unreadable row", "partition", p, "error", err)
		return 0, forever
	}
	if !old.present() {
		return 0, forever
	}
	sum := s.summaryOf(r, old)
	r.counts.remove(sum, &s.stats)
	return len(old.value()), sum.due
}

// raise raises the horizon and forgets.
func (s *Store) raise(r *replica, to causal.Vector) {
	if r.Horizon.CoversAll(to) {
		return
	}
	r.Horizon = r.Horizon.Join(to) // a new slice: the spiller reads the old one
	for _, d := range to {
		s.cutLog(r, d)
	}
}

func (s *Store) cutLog(r *replica, d causal.Dot) {
	if n := r.logged.cut(d.Actor, d.Seq); n > 0 {
		s.stats.logEntries.Add(-int64(n))
		r.dots.cut(d.Actor, d.Seq)
		r.erase = r.erase.With(d)
	}
}

// Adopt joins what another replica has, its clock, what flushes dropped there and its horizon (each may be nil), in one
// step of the current tick. The caller answers for having stored everything that the clock covers. A tick that took
// over a flush is fsynced before it ends, as one that flushes.
func (s *Store) Adopt(p ring.Partition, clock, flushed *causal.Clock, horizon causal.Vector) {
	r := s.replicas.of(p)
	if clock == nil {
		clock = &causal.Clock{}
	}
	if flushed == nil {
		flushed = &causal.Clock{}
	}
	flushes := !r.Flushed.Covers(flushed)
	if !flushes && r.Clock.Covers(clock) && r.Horizon.CoversAll(horizon) {
		return
	}
	all := flushed.Covers(&r.Clock)
	r.Clock.Union(clock)
	s.raise(r, horizon)
	block := appendBlock(appendBlock(nil, clock.Append(nil)), flushed.Append(nil))
	s.tick.b = appendBlocked(s.tick.b, entryJoin, p, nil, horizon.Append(block))
	s.noteLogged(r, 0)
	if flushes {
		s.flushed(p, r, flushed, all)
	}
}

// take applies a trim or a join of the log.
func (r *replica) take(e *entry) error {
	b := e.block
	if e.kind == entryJoin {
		for _, mine := range []*causal.Clock{&r.Clock, &r.Flushed} {
			var block []byte
			var err error
			if block, b, err = takeBlock(b); err != nil {
				return err
			}
			c, err := causal.DecodeClock(block)
			if err != nil {
				return err
			}
			mine.Union(&c)
		}
	}
	v, rest, err := causal.DecodeVector(b)
	if err == nil && len(rest) > 0 {
		err = errEntry
	}
	if err == nil {
		r.Horizon = r.Horizon.Join(v)
	}
	return err
}

// settleHorizons makes the sets of logged dots right after the log was replayed.
func (s *Store) settleHorizons() error {
	for p, r := range s.replicas.all() {
		if !r.loggedKnown {
			if err := s.findLogged(p, r); err != nil {
				return err
			}
		}
		s.stats.logEntries.Add(int64(r.logged.n))
		for _, d := range r.Horizon {
			s.cutLog(r, d)
		}
	}
	return nil
}

// findLogged reads which dots have entries in Pebble, where no snapshot says it.
func (s *Store) findLogged(p ring.Partition, r *replica) error {
	r.loggedKnown = true
	prefix := appendSpace(nil, spaceLog, p)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	if err != nil {
		return unreadable(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		if d, ok := parseDot(it.Key()); ok {
			r.logged.add(d)
		}
	}
	err = it.Error()
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if corrupt(err) {
		s.stats.unreadable.Add(1)
		s.log.Error("log entries in the sorted store are unreadable", "partition", p, "error", err)
		return nil
	}
	if err != nil {
		return unreadable(err)
	}
	return nil
}

// bases is the vector of a clock: up to it, it has no hole.
func bases(c *causal.Clock) causal.Vector {
	v := make(causal.Vector, 0, len(c.Entries()))
	for _, e := range c.Entries() {
		if e.Base > 0 {
			v = append(v, causal.Dot{Actor: e.Actor, Seq: e.Base})
		}
	}
	return v
}
