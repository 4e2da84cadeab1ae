package engine

import (
	"fmt"

	"shoal/causal"
	"shoal/ring"
)

// Row returns the container of a key as it counts, without what a flush dropped, and with the Puts of the current
// tick. The zero container means that nothing is known of the key. The error wraps ErrUnreadable when the stored bytes
// fail their checksum. The returned memory is immutable and not reused.
func (s *Store) Row(p ring.Partition, slot ring.Slot, key []byte) (causal.Container, error) {
	r := s.replicas[p]
	if r == nil {
		return causal.Container{}, nil
	}
	s.name = appendRow(s.name[:0], p, slot, key)
	_, c, err := s.find(s.name)
	if err != nil {
		return causal.Container{}, fmt.Errorf("partition %d slot %d key %.64q: %w", p, slot, key, err)
	}
	return r.View(c), nil
}

// Get reads a vector: out[i] answers refs[i] and borrows its key.
func (s *Store) Get(refs []Ref, out []Row) {
	for i := range refs {
		c, err := s.Row(refs[i].Partition, refs[i].Slot, refs[i].Key)
		out[i] = Row{Slot: refs[i].Slot, Key: refs[i].Key, Container: c, Err: err}
	}
}

// find returns the row under a name: the tick's, the cache's or Pebble's.
func (s *Store) find(name []byte) (*entry, causal.Container, error) {
	e := s.pending[string(name)]
	if e == nil {
		e = s.cache.get(name)
	}
	if e == nil {
		raw, err := s.load(name)
		if err != nil {
			return nil, causal.Container{}, err
		}
		e = &entry{raw: raw}
		s.cache.put(string(name), e)
	}
	c, err := e.container()
	if err != nil {
		s.cache.drop(name)
		return nil, causal.Container{}, fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
	}
	return e, c, nil
}

// Put stores a row and logs the dots that it processed, in the current tick, and marks them in the replica's clock.
// A row without versions still keeps its vector. The partition must have a replica here, and every version of the row
// a dot that its clock has or dots adds. Nothing of the arguments is kept.
func (s *Store) Put(p ring.Partition, slot ring.Slot, key []byte, row causal.Container, dots []causal.Dot) {
	r := s.replicas[p]
	s.name = appendRow(s.name[:0], p, slot, key)
	old, was, err := s.find(s.name)
	if err != nil { // unreadable: replaced now, and its part in the counters is unknown
		s.log.Error("replacing an unreadable row", "partition", p, "slot", slot, "error", err)
		old, was = &entry{}, causal.Container{}
	}
	if old.raw != nil {
		r.counts.remove(summarize(r.View(was)), &s.stats)
	}
	e := s.setRow(s.name, row)
	r.counts.add(summarize(r.View(row)), &s.stats)
	s.resize(r, old, e)
	s.Mark(p, slot, key, dots)
}

// setRow writes the row under its name into the tick.
func (s *Store) setRow(name []byte, row causal.Container) *entry {
	value := row.Append(make([]byte, sealSize, sealSize+row.Size()))
	seal(name, value)
	_ = s.batch.Set(name, value, nil) // fails only on a batch that was committed
	e := &entry{raw: value[sealSize:]}
	s.pending[string(name)] = e
	s.stats.tickRows.Add(1)
	return e
}

// resize counts a row that changed its stored form.
func (s *Store) resize(r *replica, old, now *entry) {
	rows, size := int64(0), int64(len(now.raw)-len(old.raw))
	switch {
	case old.raw == nil && now.raw != nil:
		rows, size = 1, size+int64(len(s.name))
	case old.raw != nil && now.raw == nil:
		rows, size = -1, size-int64(len(s.name))
	}
	r.counts.rows += rows
	s.stats.rows.Add(rows)
	s.stats.bytes.Add(size)
}

// Mark logs processed dots of a key without touching its row, in the current tick, and marks them in the clock.
func (s *Store) Mark(p ring.Partition, slot ring.Slot, key []byte, dots []causal.Dot) {
	r := s.replicas[p]
	for _, d := range dots {
		s.logDot(p, d, slot, key, nil)
	}
	r.Replica.Mark(dots)
	s.logged(p, r, len(dots))
}

// logged notes entries of the log and takes a snapshot of the clock now and then, in the same batch as the last of
// them: a snapshot never covers a dot whose entry and row are not durable before or with it.
func (s *Store) logged(p ring.Partition, r *replica, n int) {
	r.unsnap += n
	s.stats.tickDots.Add(int64(n))
	if r.unsnap >= snapshotEvery {
		s.snapshot(p)
	}
	s.pushLarge()
}
