package engine

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"slices"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
)

// scratch is memory that is used again and again by the single caller.
type scratch struct {
	name, value []byte
	touches     []touch
	arena       causal.Arena // for containers that nobody keeps
	entry       entry
	entryBytes  []byte
}

// Touch brings the rows of a vector towards the processor, all at once: their cache misses overlap. Call it before
// Row or Put of many keys. It answers nothing and may be left out.
//
// Three passes, because a wait for memory only overlaps with the next one if little is computed between them: where
// each row's cell is, then the cells, then the rows.
func (s *Store) Touch(refs []Ref) {
	list := s.scratch.touches[:0]
	for i := range refs {
		r := s.replicas.of(refs[i].Partition)
		if r == nil || r.rows.n == 0 {
			continue
		}
		s.scratch.name = appendRow(s.scratch.name[:0], refs[i].Partition, refs[i].Slot, refs[i].Key)
		hash := hashOf(s.scratch.name)
		list = append(list, touch{r.rows.cells, int(hash >> r.rows.shift), hash})
	}
	var sink uint32
	for i := range list {
		sink += list[i].cells[list[i].at].slab
	}
	for i := range list {
		t := &list[i]
		for j := range 4 { // nearly all rows are this near
			c := t.cells[(t.at+j)&(len(t.cells)-1)]
			if c.hash != t.hash || c.slab == 0 {
				continue
			}
			b := s.mem.all[c.slab].buf[c.off:]
			sink += uint32(b[0]) + uint32(b[min(64, len(b)-1)]) + uint32(b[min(128, len(b)-1)]) // lines of the cache
			break
		}
	}
	clear(list)
	s.scratch.touches = list
	s.sink = sink
}

// touch is where a row's cell may be.
type touch struct {
	cells []cell
	at    int
	hash  uint32
}

// Row returns the container of a key as it counts, without what a flush dropped, and with the Puts of the current
// tick. The zero container means that nothing is known of the key. The error wraps ErrUnreadable when the stored bytes
// fail their checksum. The returned memory is immutable, and not reused before Recycle.
func (s *Store) Row(p ring.Partition, slot ring.Slot, key []byte) (causal.Container, error) {
	r := s.replicas.of(p)
	if r == nil {
		return causal.Container{}, nil
	}
	s.scratch.name = appendRow(s.scratch.name[:0], p, slot, key)
	rec, err := s.find(r, s.scratch.name)
	if err == nil && rec.present() {
		var c causal.Container
		if c, err = s.arena.Decode(rec.container()); err == nil {
			return r.View(c), nil
		}
		err = fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
		s.noteDamaged(s.scratch.name)
	}
	if err != nil {
		return causal.Container{}, fmt.Errorf("partition %d slot %d key %.64q: %w", p, slot, key, err)
	}
	return causal.Container{}, nil
}

// Get reads a vector: out[i] answers refs[i] and borrows its key.
func (s *Store) Get(refs []Ref, out []Row) {
	if len(refs) > 1 {
		s.Touch(refs)
	}
	for i := range refs {
		c, err := s.Row(refs[i].Partition, refs[i].Slot, refs[i].Key)
		out[i] = Row{Slot: refs[i].Slot, Key: refs[i].Key, Container: c, Err: err}
	}
}

// lastFound remembers where the row of the last look-up is: what was read is mostly written next. It is forgotten when
// any table changes, but not when a record moves, because then its cell stays where it is.
type lastFound struct {
	known bool
	name  []byte
	hash  uint32
	cell  int // -1: its table does not have it

	nowhere bool // nor does the sorted store
}

// look returns the hash of a name and the index of its cell, -1 when the row is not in memory.
func (s *Store) look(r *replica, name []byte) (hash uint32, cell int) {
	l := &s.last
	if l.known && bytes.Equal(l.name, name) {
		return l.hash, l.cell
	}
	hash = hashOf(name)
	cell = r.rows.find(&s.mem, hash, name)
	*l = lastFound{true, append(l.name[:0], name...), hash, cell, false}
	return hash, cell
}

// present reports whether there is a row; a nil record is none.
func (r record) present() bool { return r != nil && binary.LittleEndian.Uint32(r[4:]) > 0 }

// find returns the record of a row, from memory or from Pebble, which then enters memory. nil: nothing is known.
func (s *Store) find(r *replica, name []byte) (record, error) {
	hash, i := s.look(r, name)
	if i >= 0 {
		rec := s.mem.at(r.rows.cells[i].slab, r.rows.cells[i].off)
		rec.use()
		return rec, nil
	}
	if s.complete || s.last.nowhere {
		return nil, nil
	}
	value, err := s.load(name)
	if value == nil || err != nil {
		s.last.nowhere = err == nil
		return nil, err
	}
	c, err := s.scratchDecode(value[sealSize:])
	if err != nil {
		s.noteDamaged(name)
		return nil, fmt.Errorf("engine: %w: %w", ErrUnreadable, err)
	}
	s.reclaim(reclaimPerRead)
	return s.admit(r, hash, name, value, plainFlag(c)), nil
}

// scratchDecode decodes a container that is forgotten before the next call.
func (s *Store) scratchDecode(b []byte) (causal.Container, error) {
	s.scratch.arena.Reset()
	return s.scratch.arena.Decode(b)
}

// load returns the sealed value of a row in Pebble, verified, nil when there is none. It is valid until the next load.
func (s *Store) load(name []byte) ([]byte, error) {
	if s.closed {
		return nil, errClosed
	}
	v, closer, err := s.db.Get(name)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		if corrupt(err) {
			s.noteDamaged(name)
		}
		return nil, unreadable(err)
	}
	s.scratch.value = append(s.scratch.value[:0], v...)
	if err := closer.Close(); err != nil {
		return nil, err
	}
	if _, err := unseal(name, s.scratch.value); err != nil {
		s.stats.unreadable.Add(1)
		s.noteDamaged(name)
		return nil, err
	}
	return s.scratch.value, nil
}

// admit puts a row that is in Pebble into memory.
func (s *Store) admit(r *replica, hash uint32, name, value []byte, flags byte) record {
	id, off := s.mem.add(name, value, 0, flags|flagUsed)
	s.insert(&r.rows, cell{hash, id, off})
	return s.mem.at(id, off)
}

// insert adds a cell and keeps account of the tables' size.
func (s *Store) insert(t *table, c cell) {
	s.last.known = false
	before := len(t.cells)
	t.insert(c)
	s.cellBytes += int64(len(t.cells)-before) * cellSize
}

// write puts a row of the current tick into memory, in the place of the old record if there is one. The value may be
// empty.
func (s *Store) write(r *replica, p ring.Partition, name, value []byte, flags byte) {
	seg := s.segment
	hash, i := s.look(r, name)
	id, off := s.mem.add(name, value, seg, flags|flagUsed)
	if i < 0 {
		s.insert(&r.rows, cell{hash, id, off})
	} else {
		c := &r.rows.cells[i]
		old := s.mem.at(c.slab, c.off).segment()
		s.mem.release(c.slab, c.off)
		*c = cell{hash, id, off}
		if old == seg {
			return // it is in the segment's list
		}
	}
	d := &s.dirty[len(s.dirty)-1]
	d.rows = append(d.rows, rowID{hash, p})
}

// Put stores a row and logs the dots that it processed, in the current tick, and marks them in the replica's clock.
// A row without versions still keeps its vector. The partition must have a replica here, and every version of the row
// a dot that its clock has or dots adds. Nothing of the arguments is kept.
func (s *Store) Put(p ring.Partition, slot ring.Slot, key []byte, row causal.Container, dots []causal.Dot) {
	s.scratch.name = appendRow(s.scratch.name[:0], p, slot, key)
	r := s.replicas.of(p)
	s.put(r, p, s.scratch.name, row, dots)
	s.noteOwn(r, dots)
	r.Replica.Mark(dots)
	s.noteLogged(r, len(dots))
}

func (s *Store) put(r *replica, p ring.Partition, name []byte, row causal.Container, dots []causal.Dot) {
	was, wasDue := s.forgetRow(r, p, name)
	if at := due(row); at < wasDue {
		s.noteDead(r, name, at)
	}
	value := s.logPut(r, p, name, row, dots)
	r.counts.add(summarize(r.View(row)), &s.stats)
	s.resize(r, len(name), was, len(value))
	s.write(r, p, name, value, plainFlag(row))
	s.stats.tickRows.Add(1)
	s.tick.work++
}

// logPut appends the put to the tick and returns the sealed value, which lies in the tick.
func (s *Store) logPut(r *replica, p ring.Partition, name []byte, row causal.Container, dots []causal.Dot) []byte {
	at := len(s.tick.b)
	most := row.Size() + sealSize
	width := uvarintSize(uint64(most)) // of the length, which stands before the value and is known after it
	b := slices.Grow(s.tick.b, entryHeader+2*binary.MaxVarintLen64+len(name)+len(dots)*(8+binary.MaxVarintLen64)+width+most)
	b, value := appendRowValue(appendNamed(b, entryPut, name, dots), name, row, width)
	s.tick.b = b
	s.noteDots(r, p, dots, at)
	return value
}

// appendRowValue appends a sealed row behind its length, which takes width bytes.
func appendRowValue(b, name []byte, row causal.Container, width int) (out, value []byte) {
	head := len(b) + width
	b = slices.Grow(b, width+sealSize)
	b = row.Append(b[:head+sealSize])
	value = b[head:]
	seal(name, value)
	putUvarint(b[head-width:head], uint64(len(value)))
	return b, value
}

func uvarintSize(x uint64) int { return (bits.Len64(x|1) + 6) / 7 }

// putUvarint fills all of b with x, which must fit, as an unsigned varint. It may be longer than it need be.
func putUvarint(b []byte, x uint64) {
	last := len(b) - 1
	for i := range last {
		b[i] = byte(x) | 0x80
		x >>= 7
	}
	b[last] = byte(x)
}

func (s *Store) noteDots(r *replica, p ring.Partition, dots []causal.Dot, at int) {
	for _, d := range dots {
		if r.Horizon.Covers(d) {
			continue
		}
		s.tick.dots = append(s.tick.dots, tickDot{p, d, uint32(at)})
		if r.logged.add(d) {
			s.stats.logEntries.Add(1)
		}
	}
}

// remove deletes a row in the current tick.
func (s *Store) remove(r *replica, p ring.Partition, name []byte, was int) {
	s.tick.b = append(appendNamed(s.tick.b, entryPut, name, nil), 0)
	s.write(r, p, name, nil, 0)
	s.resize(r, len(name), was, 0)
	s.tick.work++
}

// resize counts a row whose sealed value changed its length; 0 is no row.
func (s *Store) resize(r *replica, name, was, now int) {
	rows, size := int64(0), int64(now-was)
	switch {
	case was == 0 && now > 0:
		rows, size = 1, size+int64(name-sealSize)
	case was > 0 && now == 0:
		rows, size = -1, size-int64(name-sealSize)
	}
	r.counts.rows += rows
	s.stats.rows.Add(rows)
	s.stats.bytes.Add(size)
}

// Mark logs processed dots of a key without touching its row, in the current tick, and marks them in the clock.
func (s *Store) Mark(p ring.Partition, slot ring.Slot, key []byte, dots []causal.Dot) {
	if len(dots) == 0 {
		return
	}
	r := s.replicas.of(p)
	s.scratch.name = appendRow(s.scratch.name[:0], p, slot, key)
	s.noteDots(r, p, dots, len(s.tick.b))
	s.tick.b = appendNamed(s.tick.b, entryMark, s.scratch.name, dots)
	s.noteOwn(r, dots)
	r.Replica.Mark(dots)
	s.noteLogged(r, len(dots))
}

func (s *Store) noteLogged(r *replica, n int) {
	r.changed = true
	r.touched = s.wal.seq + 1
	s.stats.tickDots.Add(int64(n))
	s.tick.work += n
	s.pushLarge()
}
