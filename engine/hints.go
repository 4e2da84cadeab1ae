package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"

	"github.com/cockroachdb/pebble/v2"
)

// Hints are containers kept for owners that could not be reached, under partition, slot and key, in a keyspace of their
// own: no rows, no keys, no part of a replica, which need not be here. They go through the log and into Pebble as rows
// do. The names of all are in memory, in order, and the values of those that only the log holds; the caller bounds
// their number (HintStats).
type hints struct {
	parts []*partHints // by partition, nil: none
	count int
	bytes int64
	dirty []*hint // whose value only the log holds
}

type partHints struct {
	list []*hint // by name; also those that stand for a deletion that Pebble does not have yet
	n    int     // without those
}

// hint is one. Its value is nil when Pebble has it, or when it is deleted.
type hint struct {
	name    []byte
	value   []byte // sealed
	size    int    // of the value, bytes; 0: deleted
	segment uint32 // of the log that holds its last write; 0: Pebble has it
	listed  bool   // in dirty
}

func appendHint(b []byte, p ring.Partition, slot ring.Slot, key []byte) []byte {
	at := len(b)
	b = appendRow(b, p, slot, key)
	b[at] = spaceHint
	return b
}

// parseHint takes a hint's name apart. The key is a copy.
func parseHint(name []byte) (p ring.Partition, slot ring.Slot, key []byte, ok bool) {
	if len(name) == 0 || name[0] != spaceHint {
		return 0, 0, nil, false
	}
	return parseEscaped(make([]byte, 0, len(name)), name)
}

func (x *hints) of(p ring.Partition) *partHints {
	if int(p) < len(x.parts) {
		return x.parts[p]
	}
	return nil
}

func (x *hints) make(p ring.Partition) *partHints {
	if n := int(p) + 1 - len(x.parts); n > 0 {
		x.parts = append(x.parts, make([]*partHints, n)...)
	}
	if x.parts[p] == nil {
		x.parts[p] = &partHints{}
	}
	return x.parts[p]
}

func (ph *partHints) find(name []byte) (int, bool) {
	if ph == nil {
		return 0, false
	}
	return slices.BinarySearchFunc(ph.list, name, func(h *hint, name []byte) int { return bytes.Compare(h.name, name) })
}

// set notes a value, of no bytes for a deletion, that is in a segment of the log, or with segment 0 in Pebble.
func (x *hints) set(name, value []byte, size int, segment uint32) {
	ph := x.make(partitionOf(name))
	i, found := ph.find(name)
	if !found {
		if size == 0 && segment == 0 {
			return
		}
		ph.list = slices.Insert(ph.list, i, &hint{name: bytes.Clone(name)})
	}
	h := ph.list[i]
	x.account(ph, h, -1)
	h.value, h.size, h.segment = bytes.Clone(value), size, segment
	x.account(ph, h, 1)
	if segment > 0 && !h.listed {
		h.listed = true
		x.dirty = append(x.dirty, h)
	}
}

func (x *hints) account(ph *partHints, h *hint, by int) {
	if h.size > 0 {
		x.count += by
		ph.n += by
		x.bytes += int64(by * (len(h.name) + h.size))
	}
}

// PutHint stores a hint in the current tick, in the place of one of the same key if there is one; the zero Container
// deletes it. The partition need not have a replica here. Nothing of the arguments is kept.
func (s *Store) PutHint(p ring.Partition, slot ring.Slot, key []byte, row causal.Container) {
	name := appendHint(s.scratch.name[:0], p, slot, key)
	s.scratch.name = name
	if i, found := s.hints.of(p).find(name); row.Empty() && (!found || s.hints.of(p).list[i].size == 0) {
		return
	}
	at := len(s.tick.b)
	b := appendBlock(beginEntry(s.tick.b, entryHint), name)
	endEntry(b, at)
	var value []byte
	if row.Empty() {
		s.tick.b = append(b, 0)
	} else {
		s.tick.b, value = appendRowValue(b, name, row, uvarintSize(uint64(row.Size()+sealSize)))
	}
	s.hints.set(name, value, len(value), s.segment)
	s.countHints()
	s.tick.work++
	s.pushLarge()
}

func (s *Store) countHints() {
	s.stats.hints.Store(int64(s.hints.count))
	s.stats.hintBytes.Store(s.hints.bytes)
}

// Hint returns the hint of a key, with those of the current tick; the zero Container: there is none. An error wraps
// ErrUnreadable. The memory is valid until Recycle.
func (s *Store) Hint(p ring.Partition, slot ring.Slot, key []byte) (causal.Container, error) {
	s.scratch.name = appendHint(s.scratch.name[:0], p, slot, key)
	i, found := s.hints.of(p).find(s.scratch.name)
	if !found {
		return causal.Container{}, nil
	}
	return s.readHint(s.hints.of(p).list[i])
}

func (s *Store) readHint(h *hint) (causal.Container, error) {
	value := h.value
	if h.size == 0 {
		return causal.Container{}, nil
	}
	if value == nil {
		stored, err := s.load(h.name)
		if err == nil && stored == nil {
			err = fmt.Errorf("engine: %w: its value is missing", ErrUnreadable)
		}
		if err != nil {
			return causal.Container{}, fmt.Errorf("hint of partition %d: %w", partitionOf(h.name), err)
		}
		value = bytes.Clone(stored) // payloads alias it
	}
	row, err := s.arena.Decode(value[sealSize:])
	if err != nil {
		return causal.Container{}, fmt.Errorf("hint of partition %d: %w: %w", partitionOf(h.name), ErrUnreadable, err)
	}
	return row, nil
}

// Hints calls fn with up to limit hints of a partition in order of slot and key, those after a position, or with first
// set from the beginning; done says that there are none behind them. An unreadable hint is logged and left out. The
// container is valid until Recycle and fn may keep the key. fn must not write.
func (s *Store) Hints(p ring.Partition, first bool, after wire.Ref, limit int, fn func(slot ring.Slot, key []byte, row causal.Container)) (done bool) {
	ph := s.hints.of(p)
	if ph == nil || s.closed {
		return true
	}
	i := 0
	if !first {
		var found bool
		if i, found = ph.find(appendHint(nil, p, after.Slot, after.Key)); found {
			i++
		}
	}
	for ; i < len(ph.list); i++ {
		h := ph.list[i]
		if h.size == 0 {
			continue
		}
		row, err := s.readHint(h)
		_, slot, key, ok := parseHint(h.name)
		if err != nil || !ok {
			s.log.Error("a hint is unreadable", "partition", p, "error", err)
			continue
		}
		if limit--; limit < 0 {
			return false
		}
		fn(slot, key, row)
	}
	return true
}

// HintStats is the number of hints of all partitions, and the bytes of their names and values.
func (s *Store) HintStats() (count int, bytes int64) { return s.hints.count, s.hints.bytes }

// HintCount is the number of hints of a partition.
func (s *Store) HintCount(p ring.Partition) int {
	if ph := s.hints.of(p); ph != nil {
		return ph.n
	}
	return 0
}

// HintParts are the partitions that have hints, in order.
func (s *Store) HintParts() []ring.Partition {
	var ps []ring.Partition
	for p, ph := range s.hints.parts {
		if ph != nil && ph.n > 0 {
			ps = append(ps, ring.Partition(p))
		}
	}
	return ps
}

// spillHints hands the hints that only the segments up to through hold to a round.
func (s *Store) spillHints(r *round) {
	for _, h := range s.hints.dirty {
		if h.segment <= r.through {
			r.hints = append(r.hints, spilledHint{h, h.value})
		}
	}
}

// spilledHint is a hint as a round found it.
type spilledHint struct {
	hint  *hint
	value []byte
}

// hintsSpilled notes that a round's hints are in Pebble.
func (s *Store) hintsSpilled(r *round) {
	gone := map[ring.Partition]bool{}
	for _, x := range r.hints {
		h := x.hint
		if h.segment > r.through { // written again since
			continue
		}
		h.segment, h.value, h.listed = 0, nil, false
		if h.size == 0 {
			gone[partitionOf(h.name)] = true
		}
	}
	s.hints.dirty = slices.DeleteFunc(s.hints.dirty, func(h *hint) bool { return !h.listed })
	for p := range gone {
		ph := s.hints.of(p)
		ph.list = slices.DeleteFunc(ph.list, func(h *hint) bool { return h.size == 0 && h.segment == 0 })
		if len(ph.list) == 0 {
			s.hints.parts[p] = nil
		}
	}
}

// loadHints reads the names of those in Pebble. What cannot be read is left out, and said.
func (s *Store) loadHints() error {
	for from := []byte{spaceHint}; ; {
		p, ok, err := s.nextHints(from)
		if corrupt(err) {
			s.stats.unreadable.Add(1)
			s.log.Error("blocks of hints are unreadable; hints are lost", "error", err)
			return nil
		}
		if err != nil || !ok {
			return err
		}
		end := after(appendSpace(nil, spaceHint, p))
		if err := s.pebbleScan(appendSlot(nil, spaceHint, p, 0), end, func(name, value []byte, err error) bool {
			if err != nil {
				s.log.Error("a hint is unreadable; it is lost", "partition", p, "error", err)
				return true
			}
			s.hints.set(name, nil, len(value), 0)
			return true
		}); err != nil {
			s.log.Error("blocks of hints are unreadable; hints are lost", "partition", p, "error", err)
		}
		from = end
	}
}

// nextHints is the first partition from a name on that has hints in Pebble.
func (s *Store) nextHints(from []byte) (p ring.Partition, ok bool, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from, UpperBound: []byte{spaceHint + 1}})
	if err != nil {
		return 0, false, err
	}
	if ok = it.First() && len(it.Key()) >= 3; ok {
		p = ring.Partition(binary.BigEndian.Uint16(it.Key()[1:]))
	}
	err = it.Error()
	if cerr := it.Close(); err == nil {
		err = cerr
	}
	return p, ok, err
}
