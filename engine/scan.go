package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
)

// Scan calls fn with the rows of a partition from a slot on, by slot, then key, until fn answers false. It shows the
// rows as they were when it began, the current tick's included; fn may Put. An unreadable row is passed with its Err,
// and the scan goes on; when a whole block cannot be read the rest of the slot is skipped and the error, which wraps
// ErrUnreadable, comes at the end. Rows are the caller's to keep. It looks at every row of the partition in memory.
func (s *Store) Scan(p ring.Partition, from ring.Slot, fn func(Row) bool) error {
	return s.scan(p, appendSlot(nil, spaceData, p, from), after(appendSpace(nil, spaceData, p)), fn)
}

// ScanSlot is Scan over one slot.
func (s *Store) ScanSlot(p ring.Partition, slot ring.Slot, fn func(Row) bool) error {
	prefix := appendSlot(nil, spaceData, p, slot)
	return s.scan(p, prefix, after(prefix), fn)
}

func (s *Store) scan(p ring.Partition, from, to []byte, fn func(Row) bool) error {
	r := s.replicas.of(p)
	if r == nil {
		return nil
	}
	if err := s.writable(); err != nil {
		return err
	}
	memory := s.rowsBetween(r, from, to)
	show := func(name, value []byte, err error) bool {
		row := decodeRow(name, value, err)
		if row.Err == nil {
			row.Container = r.View(row.Container)
		}
		return fn(row)
	}
	if s.complete {
		for _, rec := range memory {
			if rec.present() && !show(rec.name(), rec.value(), nil) {
				return nil
			}
		}
		return nil
	}
	return s.mergeRows(memory, from, to, show)
}

// rowsBetween returns the records in memory with a name in [from, to), in order, also those that stand for a deletion.
func (s *Store) rowsBetween(r *replica, from, to []byte) []record {
	var out []record
	for _, c := range r.rows.cells {
		if c.slab == 0 {
			continue
		}
		rec := s.mem.at(c.slab, c.off)
		if name := rec.name(); bytes.Compare(name, from) >= 0 && bytes.Compare(name, to) < 0 {
			out = append(out, rec)
		}
	}
	slices.SortFunc(out, func(a, b record) int { return bytes.Compare(a.name(), b.name()) })
	return out
}

// mergeRows walks memory and Pebble together. A row in memory stands for the one in Pebble.
func (s *Store) mergeRows(memory []record, from, to []byte, show func(name, value []byte, err error) bool) error {
	going := true
	upTo := func(name []byte) (same bool) { // name nil: to the end
		for going && len(memory) > 0 {
			c := -1
			if name != nil {
				c = bytes.Compare(memory[0].name(), name)
			}
			if c > 0 {
				return false
			}
			if memory[0].present() {
				going = show(memory[0].name(), memory[0].value(), nil)
			}
			memory = memory[1:]
			if c == 0 {
				return true
			}
		}
		return false
	}
	err := s.pebbleScan(from, to, func(name, value []byte, err error) bool {
		if !upTo(name) && going {
			going = show(name, bytes.Clone(value), err)
		}
		return going
	})
	upTo(nil)
	return err
}

// pebbleScan walks the rows of one partition in Pebble in [from, to); from begins with a slot. Values are sealed and
// verified, and valid during the call only. At a block that cannot be read it goes on with the next slot, and takes
// longer and longer steps while it meets nothing else, so that a damaged index costs a few tries and not one per slot.
func (s *Store) pebbleScan(from, to []byte, fn func(name, value []byte, err error) bool) error {
	var skipped error
	for step := 1; ; step *= 2 {
		last, progress, err := s.scanUntilDamage(from, to, fn)
		if err == nil {
			return skipped
		}
		skipped = err // the last stands for all
		if progress {
			step = 1
		}
		slot := int(binary.BigEndian.Uint16(last[3:])) + step
		if !corrupt(err) || slot >= ring.Slots {
			return skipped
		}
		from = binary.BigEndian.AppendUint16(last[:3:3], uint16(slot))
		if bytes.Compare(from, to) >= 0 {
			return skipped
		}
	}
}

// scanUntilDamage scans from..to and answers the error it met and the last name before that.
func (s *Store) scanUntilDamage(from, to []byte, fn func(name, value []byte, err error) bool) (last []byte, progress bool, err error) {
	last = append(make([]byte, 0, 64), from...)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		s.noteDamaged(last)
		return last, false, unreadable(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		last, progress = append(last[:0], it.Key()...), true
		if value, err = it.ValueAndErr(); err != nil {
			break
		}
		_, bad := unseal(last, value)
		if bad != nil {
			s.stats.unreadable.Add(1)
			s.noteDamaged(last)
		}
		if !fn(last, value, bad) {
			break
		}
	}
	if err == nil {
		err = it.Error()
	}
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		if corrupt(err) {
			s.noteDamaged(last)
		}
		err = unreadable(err)
	}
	return last, progress, err
}

// decodeRow decodes a row whose seal was verified, with err as the outcome; what is wrong with it is in Err.
func decodeRow(name, value []byte, err error) Row {
	_, slot, key, ok := parseRow(name)
	row := Row{Slot: slot, Key: key, Err: err}
	if err == nil && !ok {
		row.Err = fmt.Errorf("engine: %w: row under a malformed name", ErrUnreadable)
	}
	if row.Err == nil {
		if row.Container, err = causal.DecodeContainer(value[sealSize:]); err != nil {
			row.Err = fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
		}
	}
	return row
}

// loadRows counts every row at Open if there are no counters to be had, which also verifies every checksum, takes as many into memory as the budget
// allows, and finds rows that a flush left behind.
func (s *Store) loadRows() error {
	s.complete = true
	for _, p := range s.Partitions() {
		err := s.loadPartition(p, s.replicas.of(p))
		if errors.Is(err, ErrUnreadable) {
			s.complete = false
			s.log.Error("blocks of rows are unreadable; the counters are too low", "partition", p, "error", err)
		} else if err != nil {
			return err
		}
	}
	s.measure()
	return nil
}

func (s *Store) loadPartition(p ring.Partition, r *replica) error {
	sweeping := false
	count := func(name, value []byte, c causal.Container) {
		view := r.View(c)
		sweeping = sweeping || len(view.Versions) != len(c.Versions) || buried(r, view)
		r.counts.rows++
		r.counts.add(summarize(view), &s.stats)
		s.noteDead(r, name, due(c))
		s.stats.rows.Add(1)
		s.stats.bytes.Add(int64(len(name) + len(value) - sealSize))
	}
	for _, cl := range r.rows.cells { // from the log
		if cl.slab == 0 {
			continue
		}
		if rec := s.mem.at(cl.slab, cl.off); rec.present() {
			if c, err := s.scratchDecode(rec.container()); err == nil {
				count(rec.name(), rec.value(), c)
			}
		}
	}
	err := s.pebbleScan(appendSlot(nil, spaceData, p, 0), after(appendSpace(nil, spaceData, p)), func(name, value []byte, err error) bool {
		hash := hashOf(name)
		if r.rows.find(&s.mem, hash, name) >= 0 {
			return true
		}
		var c causal.Container
		if err == nil {
			c, err = s.scratchDecode(value[sealSize:])
		}
		if err != nil {
			s.complete = false
			s.log.Error("a stored row is unreadable", "partition", p, "slot", slotOfRow(name), "error", err)
			return true
		}
		count(name, value, c)
		if s.overBudget() {
			s.complete = false
		} else {
			s.admit(r, hash, name, value, plainFlag(c))
		}
		return true
	})
	if sweeping {
		s.sweep(p)
	}
	return err
}

func (s *Store) measure() {
	s.stats.diskBytes.Store(int64(s.db.Metrics().DiskSpaceUsage()))
	s.stats.memory.Store(s.memoryUsed())
}

// Empty reports whether the store holds no row, no log entry and no hint at all.
func (s *Store) Empty() bool {
	for _, r := range s.replicas.all() {
		if r.rows.n > 0 || r.logged.n > 0 {
			return false
		}
	}
	if s.writable() != nil || s.tick.Len() > 0 || s.hints.count > 0 {
		return false
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceData}, UpperBound: []byte{spaceData + 1}})
	if err != nil {
		return false
	}
	found := it.First()
	err = errors.Join(it.Error(), it.Close())
	return !found && err == nil
}
