package engine

import (
	"bytes"
	"container/heap"
	"fmt"
	"slices"

	"shoal/causal"
	"shoal/ring"
)

// Range calls fn with the rows of a partition in order of slot and key, those after a position, or with first set from
// the beginning: up to limit rows, fewer when their names and values come to maxBytes, but at least one if there is one.
// done says that there are none behind the last that was shown; else its slot and key are the next position. A row that
// cannot be read is shown with its err and the zero Container. An error, which wraps ErrUnreadable, means that blocks
// could not be read, and that rows before the last one shown may be missing. The rows are those of now, with the
// current tick's; the container is valid until Recycle and fn may keep the key. fn must not write.
//
// A call looks at the name of every row of the partition that is in memory, and sorts no more than it shows.
func (s *Store) Range(p ring.Partition, first bool, after Ref, limit, maxBytes int,
	fn func(slot ring.Slot, key []byte, row causal.Container, err error)) (done bool, err error) {
	r := s.replicas.of(p)
	if r == nil {
		return true, nil
	}
	if err := s.writable(); err != nil {
		return false, err
	}
	limit = max(limit, 1)
	from, end := appendSlot(nil, spaceData, p, 0), endOf(p)
	if !first {
		from = append(appendRow(nil, p, after.Slot, after.Key), 0)
	}
	shown, size, bad := 0, 0, error(nil)
	show := func(name, value []byte, err error) bool {
		s.showRow(r, name, value, err, fn)
		shown++
		size += len(name) + len(value)
		return shown < limit && size < maxBytes
	}
	for {
		memory, to := s.firstBetween(r, from, end, limit+1)
		going := true
		err := s.mergeRange(memory, from, to, func(name, value []byte, err error) bool {
			if !going { // one more: there is something behind
				return false
			}
			going = show(name, value, err)
			return true
		}, &done)
		if err != nil {
			bad = err
		}
		if done = done && bytes.Equal(to, end); done || shown > 0 {
			return done, bad
		}
		from = to // deletions only
	}
}

// endOf is the least name above every row of the partition.
func endOf(p ring.Partition) []byte { return after(appendSpace(nil, spaceData, p)) }

// mergeRange shows rows of memory and the sorted store together; whole says that fn never answered false.
func (s *Store) mergeRange(memory []record, from, to []byte, fn func(name, value []byte, err error) bool, whole *bool) error {
	*whole = true
	show := func(name, value []byte, err error) bool {
		*whole = fn(name, value, err)
		return *whole
	}
	if !s.complete {
		return s.mergeRows(memory, from, to, show)
	}
	for _, rec := range memory {
		if rec.present() && !show(rec.name(), rec.value(), nil) {
			break
		}
	}
	return nil
}

func (s *Store) showRow(r *replica, name, value []byte, err error, fn func(ring.Slot, []byte, causal.Container, error)) {
	_, slot, key, ok := parseRow(name)
	if !ok && err == nil {
		err = fmt.Errorf("engine: %w: row under a malformed name", ErrUnreadable)
	}
	var row causal.Container
	if err == nil {
		if row, err = s.arena.Decode(value[sealSize:]); err == nil {
			row = r.View(row)
		} else {
			err = fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
		}
	}
	fn(slot, key, row, err)
}

// firstBetween returns the first limit records in memory with a name in [from, to), in order, and the name up to which
// they are all there are.
func (s *Store) firstBetween(r *replica, from, to []byte, limit int) (out []record, upTo []byte) {
	h := make(lastFirst, 0, min(limit, r.rows.n))
	cells, most := r.rows.cells, to
	for i, c := range cells {
		if i%walkAhead == 0 {
			s.touchCells(cells[i:min(len(cells), i+walkAhead)])
		}
		if c.slab == 0 {
			continue
		}
		rec := s.mem.at(c.slab, c.off)
		name := rec.name()
		switch {
		case bytes.Compare(name, most) >= 0 || bytes.Compare(name, from) < 0 || s.complete && !rec.present():
			continue
		case len(h) < limit:
			heap.Push(&h, rec)
		default:
			h[0] = rec
			heap.Fix(&h, 0)
		}
		if len(h) == limit {
			most = h[0].name()
		}
	}
	upTo = to
	if len(h) == limit {
		upTo = append(bytes.Clone(h[0].name()), 0)
	}
	slices.SortFunc(h, func(a, b record) int { return bytes.Compare(a.name(), b.name()) })
	return h, upTo
}

// touchCells brings the rows of a few cells towards the processor together, so that the waits for memory overlap.
func (s *Store) touchCells(cells []cell) {
	sink := s.sink
	for _, c := range cells {
		if c.slab != 0 {
			sink += uint32(s.mem.all[c.slab].buf[c.off])
		}
	}
	s.sink = sink
}

// lastFirst is a heap of records whose first has the last name.
type lastFirst []record

func (h lastFirst) Len() int           { return len(h) }
func (h lastFirst) Less(i, j int) bool { return bytes.Compare(h[i].name(), h[j].name()) > 0 }
func (h lastFirst) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *lastFirst) Push(x any)        { *h = append(*h, x.(record)) }
func (h *lastFirst) Pop() any          { panic("not used") }
