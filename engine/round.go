package engine

import (
	"fmt"

	"shoal/causal"
	"shoal/ring"

	"encoding/binary"
)

// A round of spilling empties the oldest segments of the log, up to through, whose last sequence is mark. What goes to
// Pebble, in one step, is every row whose last write lies in those segments, every replica's clock as it was at mark
// (ends.go), and mark itself. A row written again since is left out: the log behind mark has it, and is fsynced before
// the step. So at any moment Pebble holds, of each row, a state not newer than mark, and the log behind mark makes up
// exactly the rest; and Pebble never holds what the log could still lose.
//
// The newest full segments stay out of a round: a row that is written often is then nearly always written again before
// its turn comes, and never leaves the log.
//
// The single caller gathers the rows, a few per tick: slices of slabs, no copies. The spiller does the rest.
type round struct {
	through   uint32
	mark      uint64
	segments  []fullSegment // whose dots are to be kept
	states    []pair        // snapshots of replicas, and the mark
	dots      int64         // kept, with the bytes of their rows
	dotBytes  int64
	horizons  []causal.Vector // by partition: dots up to them are not kept
	droppedAt []uint64        // by partition: nor are those of records before it
	erase     []span          // dots that were forgotten
	hints     []spilledHint
	lists     []dirtyRows
	list, at  int // how far gathering has come
	rows      []record
	asks      bool   // the spiller gave it back: a segment is damaged, and tell has not seen it
	told      []pair // the dots of what the spiller could not read
}

// fullSegment is one as a round found it.
type fullSegment struct {
	num     uint32
	end     int64 // of its records
	damaged bool
	from    int64 // where the first record is that cannot be read
	told    bool
}

type pair struct{ name, value []byte }

// span is the names from from up to, and without, to.
type span struct{ from, to []byte }

// dirtyRows are the rows that a segment was the first to be written in since they were clean or last in another.
type dirtyRows struct {
	segment uint32
	rows    []rowID
}

// rowID finds a row in memory, or a few others with the same hash.
type rowID struct {
	hash uint32
	p    ring.Partition
}

// turn goes on to the next segment when this one is full, and begins a round when much of the log is used.
func (s *Store) turn() {
	if s.wal.current().at < s.wal.size {
		return
	}
	if !s.wal.rotate() {
		s.waitForRoom()
		return
	}
	s.noteEnd(s.segment)
	s.segment = s.wal.current().num
	s.dirty = append(s.dirty, dirtyRows{segment: s.segment})
	s.beginRound()
	s.spiller.hurry.Store(s.wal.sealed() >= s.wal.limit*3/4)
}

// beginRound begins one if it is time. No tick may be under way.
func (s *Store) beginRound() {
	if s.round != nil || s.wal.sealed() < s.wal.limit*5/8 {
		return
	}
	if through, ok := s.endFor(s.wal.limit / 4); ok {
		s.round = s.newRound(through)
		s.wal.spilling.Store(true)
	}
}

// newRound prepares a round up to a segment that has an end, when no tick is under way.
func (s *Store) newRound(through uint32) *round {
	r := &round{through: through}
	r.mark, r.states = s.takeEnds(through)
	for _, seg := range s.wal.live {
		if seg.num <= through {
			r.segments = append(r.segments, fullSegment{num: seg.num, end: seg.at})
		}
	}
	for _, d := range s.dirty {
		if d.segment <= through {
			r.lists = append(r.lists, d)
		}
	}
	r.horizons, r.droppedAt = make([]causal.Vector, len(s.replicas)), make([]uint64, len(s.replicas))
	for p, rep := range s.replicas.all() {
		r.horizons[p] = rep.Horizon // never changed in place
		r.droppedAt[p] = rep.droppedAt
		for _, d := range rep.erase {
			r.erase = append(r.erase, span{appendDot(nil, p, causal.Dot{Actor: d.Actor}), append(appendDot(nil, p, d), 0)})
		}
		rep.erase = nil
	}
	s.spillHints(r)
	return r
}

// gather collects up to limit rows; done says that all are.
func (s *Store) gather(r *round, limit int) (done bool) {
	for ; r.list < len(r.lists); r.list, r.at = r.list+1, 0 {
		l := &r.lists[r.list]
		for ; r.at < len(l.rows); r.at++ {
			if limit--; limit < 0 {
				return false
			}
			s.gatherRow(r, l.segment, l.rows[r.at])
		}
		l.rows = nil
	}
	r.states = append(r.states, markRow(r.through, r.mark, s.wal.seq))
	return true
}

func (s *Store) gatherRow(r *round, segment uint32, id rowID) {
	rep := s.replicas.of(id.p)
	t := &rep.rows
	if t.n == 0 {
		return
	}
	mask := len(t.cells) - 1
	for i := int(id.hash >> t.shift); t.cells[i].slab != 0; i = (i + 1) & mask {
		if c := t.cells[i]; c.hash == id.hash {
			if rec := s.mem.at(c.slab, c.off); rec.segment() == segment {
				r.rows = append(r.rows, rec)
			}
		}
	}
}

const (
	gatherPerWork = 4 // rows gathered per row written
	gatherLeast   = 64
)

// background does a slice of what is due, in proportion to the work of the tick.
func (s *Store) background(work int) {
	if s.round != nil {
		s.advance(gatherPerWork*work + gatherLeast)
	}
	if len(s.forgetting) > 0 {
		s.replicas.of(s.forgetting[0]).dots.forget(s.spilled)
		if s.forgetting = s.forgetting[1:]; len(s.forgetting) == 0 {
			s.capLog()
		}
	}
	s.reclaim(reclaimPerWork * work)
}

func (s *Store) advance(limit int) {
	if !s.handed {
		if s.gather(s.round, limit) {
			s.spiller.in <- s.round // room for one, and there is one
			s.handed = true
		}
		return
	}
	select {
	case <-s.spiller.done:
		s.spiltOrAsked()
	default:
	}
}

func (s *Store) spiltOrAsked() {
	if !s.round.asks {
		s.finish()
		return
	}
	s.tell(s.round)
	s.spiller.in <- s.round
}

// tell finds the dots in what the spiller could not read: the index knows them all, and most entries can be read one by
// one. Those that cannot stay in the log as unreadable. Left out they would look like dots that nobody needs, and whoever pulls
// would take over our clock without their rows.
func (s *Store) tell(r *round) {
	r.asks = false
	s.indexDots()
	for i := range r.segments {
		seg := &r.segments[i]
		if !seg.damaged || seg.told {
			continue
		}
		seg.told = true
		s.stats.unreadable.Add(1)
		lost := 0
		for p, rep := range s.replicas.all() {
			for _, e := range rep.dots {
				for _, at := range e.dots {
					d := causal.Dot{Actor: e.actor, Seq: at.seq}
					if at.segment != seg.num || int64(at.off) < seg.from || r.horizons[p].Covers(d) {
						continue
					}
					name := appendDot(nil, p, d)
					row := pair{name, []byte{0}} // no seal: unreadable
					if _, err := s.liveEntry(d, at); err == nil {
						row.value = appendDotRow(nil, name, &s.scratch.entry)
					} else {
						lost++
					}
					r.told = append(r.told, row)
				}
			}
		}
		s.log.Error("a segment of the log is damaged; its rows are in memory", "segment", seg.num, "at", seg.from, "unreadable log entries", lost)
	}
}

// finish notes that the round is in Pebble.
func (s *Store) finish() {
	r := s.round
	s.round, s.handed = nil, false
	s.spilled = r.through
	s.hintsSpilled(r)
	s.cap.note(r)
	for len(s.dirty) > 0 && s.dirty[0].segment <= r.through {
		s.dirty = s.dirty[1:]
	}
	s.wal.spilling.Store(false)
	s.wal.recycle(r.through)
	s.wal.spares.wake()
	s.indexDots() // those of the segments given back among them
	s.forgetting = s.Partitions()
	s.barren = 0
	s.stats.spills.Add(1)
	s.stats.spilledRows.Add(int64(len(r.rows)))
	s.measure()
	s.beginRound()
}

// waitForRoom holds up the caller while the log is at its limit, until rounds have made room. When they cannot go on it
// returns at once, and Full says why.
func (s *Store) waitForRoom() {
	if s.round == nil || s.wal.sealed()+s.wal.size <= s.wal.limit {
		return // the next segment is only not ready yet
	}
	s.stats.stalls.Add(1)
	s.spiller.hurry.Store(true)
	for s.round != nil && s.wal.sealed()+s.wal.size > s.wal.limit && s.spiller.trouble() == nil && s.failure() == nil {
		for !s.handed {
			s.advance(1 << 20)
		}
		select {
		case <-s.spiller.done:
			s.spiltOrAsked()
		case <-s.spiller.upset:
		}
	}
}

const markName = "spilled"

// markRow says how far Pebble has come: the last segment, its last sequence, and the sequence up to which the log is
// needed for rows that were left out.
func markRow(through uint32, mark, needs uint64) pair {
	name := appendMeta(nil, markName)
	b := make([]byte, sealSize, sealSize+20)
	b = binary.BigEndian.AppendUint32(b, through)
	b = binary.BigEndian.AppendUint64(b, mark)
	b = binary.BigEndian.AppendUint64(b, needs)
	seal(name, b)
	return pair{name, b}
}

// readMark reads it. exact is false when needs is not known, as in stores of old.
func (s *Store) readMark() (through uint32, mark, needs uint64, exact bool, err error) {
	v, err := s.load(appendMeta(nil, markName))
	if err != nil || v == nil {
		return 0, 0, 0, true, err
	}
	v = v[sealSize:]
	if len(v) != 12 && len(v) != 20 {
		return 0, 0, 0, false, fmt.Errorf("engine: %w: mark of the sorted store", ErrUnreadable)
	}
	through, mark = binary.BigEndian.Uint32(v), binary.BigEndian.Uint64(v[4:])
	if exact = len(v) == 20; exact {
		needs = binary.BigEndian.Uint64(v[12:])
	}
	return through, mark, needs, exact, nil
}

// snapshotRow is the replica's state as kept in Pebble and, without its name, in entries of the log.
func snapshotRow(p ring.Partition, r *replica) pair {
	name := appendSpace(nil, spaceReplica, p)
	b := appendReplica(make([]byte, sealSize, 256), &r.Replica, &r.logged)
	seal(name, b)
	return pair{name, b}
}

// What follows the horizon in a snapshot: one byte of flags, missing in snapshots of old, then, in Pebble, the dots that
// the log has entries of.
const (
	snapshotFilling = 1 << iota
	snapshotLogged
)

// appendReplica appends a snapshot. logged is nil in entries of the log.
func appendReplica(b []byte, r *causal.Replica, logged *dotSet) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(r.Life)) // for a reader of the file: each boot begins another
	b = appendBlock(b, r.Clock.Append(nil))
	b = appendBlock(b, r.Flushed.Append(nil))
	b = r.Horizon.Append(b)
	var flags byte
	if r.Filling {
		flags |= snapshotFilling
	}
	if logged == nil {
		return append(b, flags)
	}
	return logged.append(append(b, flags|snapshotLogged))
}
