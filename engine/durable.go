package engine

import (
	"shoal/causal"
	"shoal/ring"
)

// durableClock is what is known to be on the disk of a replica's clock. Writes do nothing for it but note in which
// record of the log the last change goes; whoever asks has a copy made, which is promoted when the log is durable up to
// that record.
type durableClock struct {
	clock     *causal.Clock // as of record at; never changed
	at        uint64
	pending   *causal.Clock // nil: none
	pendingAt uint64
}

// Durable is the clock of a replica as of the last fsync, or a little older: never ahead of what a power cut leaves.
// It only grows while the store is open, and reaches the replica's clock when everything is fsynced. It is valid until
// the next call for the partition; the caller must not change it. nil: no replica here.
func (s *Store) Durable(p ring.Partition) *causal.Clock {
	r := s.replicas.of(p)
	if r == nil {
		return nil
	}
	d, synced := &r.durable, s.wal.durable.Load()
	d.promote(synced)
	if d.pending == nil && (d.clock == nil || d.at != r.touched) {
		c := r.Clock.Clone()
		d.pending, d.pendingAt = &c, r.touched
		d.promote(synced)
	}
	if d.clock == nil { // created and not yet fsynced
		d.clock = &causal.Clock{}
	}
	return d.clock
}

func (d *durableClock) promote(synced uint64) {
	if d.pending != nil && d.pendingAt <= synced {
		d.clock, d.at, d.pending = d.pending, d.pendingAt, nil
	}
}

// settleDurable notes that everything recovered is on the disk.
func (s *Store) settleDurable() {
	for p, r := range s.replicas.all() {
		r.touched = s.wal.seq
		s.Durable(p)
	}
}
