package engine

import (
	"bytes"

	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
)

// What tests of repair do to a store. Nothing else calls these.

// Lose deletes a row behind the back of clock and log, for tests of repair: everything else says that it is there.
func (s *Store) Lose(p ring.Partition, slot ring.Slot, key []byte) {
	name := appendRow(nil, p, slot, key)
	r := s.replicas.of(p)
	if rec, err := s.find(r, name); err == nil && rec.present() {
		r.counts.remove(s.summaryOf(r, rec), &s.stats)
		s.remove(r, p, name, len(rec.value()))
		s.pushLarge()
	}
}

// Corrupt flips a bit of a row, for tests of repair: in memory, and in the sorted store if it is there.
func (s *Store) Corrupt(p ring.Partition, slot ring.Slot, key []byte) error {
	name := appendRow(nil, p, slot, key)
	r := s.replicas.of(p)
	if value, closer, err := s.db.Get(name); err == nil {
		bad := bytes.Clone(value)
		bad[len(bad)-1] ^= 4
		if err := closer.Close(); err != nil {
			return err
		}
		if err := s.db.Set(name, bad, pebble.NoSync); err != nil {
			return err
		}
	}
	if i := r.rows.find(&s.mem, hashOf(name), name); i >= 0 {
		rec := s.mem.at(r.rows.cells[i].slab, r.rows.cells[i].off)
		rec[len(rec)-1] ^= 4
	}
	return nil
}
