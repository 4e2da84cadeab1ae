package engine

import (
	"encoding/binary"
	"errors"
	"fmt"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
)

// Scan calls fn with the rows of a partition from a slot on, by slot, then key, until fn answers false. It shows the
// rows as they were when it began, the current tick's included; fn may Put. An unreadable row is passed with its Err,
// and the scan goes on; when a whole block cannot be read the rest of the slot is skipped and the error, which wraps
// ErrUnreadable, comes at the end. Rows are the caller's to keep.
func (s *Store) Scan(p ring.Partition, from ring.Slot, fn func(Row) bool) error {
	return s.scan(p, appendSlot(nil, spaceData, p, from), after(appendSpace(nil, spaceData, p)), fn)
}

// ScanSlot is Scan over one slot.
func (s *Store) ScanSlot(p ring.Partition, slot ring.Slot, fn func(Row) bool) error {
	prefix := appendSlot(nil, spaceData, p, slot)
	return s.scan(p, prefix, after(prefix), fn)
}

func (s *Store) scan(p ring.Partition, from, to []byte, fn func(Row) bool) error {
	r := s.replicas[p]
	if r == nil {
		return nil
	}
	if err := s.push(); err != nil {
		return err
	}
	return s.rawScan(from, to, func(name []byte, row stored) bool {
		row.Container = r.View(row.Container)
		return fn(row.Row)
	})
}

// stored is a row as it lies in Pebble.
type stored struct {
	Row
	size int // of the encoded container, bytes
}

// rawScan walks the rows of one partition in [from, to); from begins with a slot. The name is only valid during the
// call. At a block that cannot be read it goes on with the next slot, and takes longer and longer steps while it meets
// nothing else, so that a damaged index costs a few tries and not one per slot.
func (s *Store) rawScan(from, to []byte, fn func(name []byte, row stored) bool) error {
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
	}
}

// scanUntilDamage scans from..to and answers the error it met and the last name before that.
func (s *Store) scanUntilDamage(from, to []byte, fn func([]byte, stored) bool) (last []byte, progress bool, err error) {
	last = append(make([]byte, 0, 64), from...)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: to})
	if err != nil {
		return last, false, unreadable(err)
	}
	for ok := it.First(); ok && err == nil; ok = it.Next() {
		var value []byte
		last, progress = append(last[:0], it.Key()...), true
		if value, err = it.ValueAndErr(); err != nil {
			break
		}
		if !fn(last, s.decodeStored(last, value)) {
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
		err = unreadable(err)
	}
	return last, progress, err
}

// decodeStored verifies and decodes one row; what is wrong with it is in Err.
func (s *Store) decodeStored(name, value []byte) stored {
	_, slot, key, ok := parseRow(name)
	row := stored{Row: Row{Slot: slot, Key: key}, size: len(value) - sealSize}
	payload, err := unseal(name, value)
	if err == nil && !ok {
		err = fmt.Errorf("engine: %w: row under a malformed name", ErrUnreadable)
	}
	if err == nil {
		row.Container, err = causal.DecodeContainer(append([]byte(nil), payload...))
		if err != nil {
			err = fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
		}
	}
	if err != nil {
		row.Container, row.Err = causal.Container{}, err
		s.stats.unreadable.Add(1)
	}
	return row
}

// countAll counts every row at Open, which also verifies every checksum, and finds rows that a flush left behind.
func (s *Store) countAll() error {
	for _, p := range s.Partitions() {
		err := s.countRows(p, s.replicas[p])
		if errors.Is(err, ErrUnreadable) {
			s.log.Error("blocks of rows are unreadable; the counters are too low", "partition", p, "error", err)
		} else if err != nil {
			return err
		}
	}
	s.measure()
	return nil
}

func (s *Store) countRows(p ring.Partition, r *replica) error {
	sweeping := false
	err := s.rawScan(appendSlot(nil, spaceData, p, 0), after(appendSpace(nil, spaceData, p)), func(name []byte, row stored) bool {
		if row.Err != nil {
			s.log.Error("a stored row is unreadable", "partition", p, "slot", row.Slot, "error", row.Err)
			return true
		}
		view := r.View(row.Container)
		sweeping = sweeping || len(view.Versions) != len(row.Container.Versions) || buried(r, view)
		r.counts.rows++
		r.counts.add(summarize(view), &s.stats)
		s.stats.rows.Add(1)
		s.stats.bytes.Add(int64(len(name) + row.size))
		return true
	})
	if sweeping {
		s.sweep(p)
	}
	return err
}

func (s *Store) measure() { s.stats.diskBytes.Store(int64(s.db.Metrics().DiskSpaceUsage())) }

// Empty reports whether the store holds no row and no log entry at all.
func (s *Store) Empty() bool {
	if s.push() != nil {
		return false
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceLog}, UpperBound: []byte{spaceData + 1}})
	if err != nil {
		return false
	}
	found := it.First()
	err = errors.Join(it.Error(), it.Close())
	return !found && err == nil
}
