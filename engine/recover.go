package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// recovery is what Open finds in the log. Pebble has everything up to mark, and the segments up to through are done
// with. What follows is read in order; it ends where the sequence does: at a torn tail, which is cut, or at damage
// (lost.go).
type recovery struct {
	through uint32
	mark    uint64
	needs   uint64 // Pebble counts on the log up to here
	exact   bool   // needs is known
	damaged bool
	aside   []uint32 // segments with something behind the damage
	next    uint64   // the sequence that continues the log; 0: not begun
	found   []*segment
	unused  []uint32 // files that hold nothing, to be used again
	stray   []uint32 // files with records behind the end: to be removed before anything is written
	highest uint32
	cut     bool
}

// recoverLog reads the log into memory. It changes nothing on the disk.
func (s *Store) recoverLog() (*recovery, error) {
	r := &recovery{}
	var err error
	if r.through, r.mark, r.needs, r.exact, err = s.readMark(); err != nil {
		return nil, err
	}
	nums, err := listSegments(s.fs, s.wal.dir)
	if err != nil {
		return nil, err
	}
	r.highest = r.through
	var rest []uint32 // since the last segment that went on with the log
	for _, num := range nums {
		r.highest = max(r.highest, num)
		if num <= r.through {
			r.unused = append(r.unused, num)
			continue
		}
		went, err := s.recoverSegment(r, num)
		if err != nil {
			return nil, err
		}
		if went {
			r.stray = append(r.stray, rest...)
			rest = nil
		} else {
			rest = append(rest, num)
		}
	}
	r.stray = append(r.stray, rest...)
	if r.next == 0 {
		r.next = r.mark + 1
	}
	if r.next <= r.mark {
		return nil, fmt.Errorf("engine: %w: the log ends at %d, and %d was durable", ErrUnreadable, r.next-1, r.mark)
	}
	return r, s.judgeEnd(r, rest)
}

func listSegments(disk vfs.FS, dir string) ([]uint32, error) {
	names, err := disk.List(dir)
	if err != nil {
		return nil, err
	}
	var nums []uint32
	for _, name := range names {
		if num, ok := parseSegmentName(name); ok {
			nums = append(nums, num)
		}
	}
	slices.Sort(nums)
	return nums, nil
}

func (s *Store) readSegmentNumber(num uint32) (vfs.File, []byte, error) {
	f, err := s.fs.Open(s.wal.path(num))
	if err != nil {
		return nil, nil, err
	}
	b, err := readSegment(f)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("engine: read of the log's segment %d: %w", num, err), f.Close())
	}
	return f, b, nil
}

// recoverSegment applies what a segment adds to the log. It answers whether it adds anything.
func (s *Store) recoverSegment(r *recovery, num uint32) (bool, error) {
	f, b, err := s.readSegmentNumber(num)
	if err != nil {
		return false, err
	}
	rec, ok := recordAt(b, 0, num)
	if ok && (r.next != 0 && rec.seq != r.next || r.next == 0 && rec.seq > r.mark+1) {
		ok = false // it went on from records that did not reach the disk
	}
	if !ok {
		return false, f.Close()
	}
	seg := &segment{num: num, read: f}
	s.segment = num
	s.dirty = append(s.dirty, dirtyRows{segment: num})
	for ok {
		if err := s.replay(seg, &rec, rec.seq > r.mark); err != nil {
			return false, errors.Join(fmt.Errorf("engine: segment %d at %d: %w", num, rec.at, err), f.Close())
		}
		r.next = rec.seq + 1
		seg.at, seg.last = int64(rec.end()), rec.seq
		if rec, ok = recordAt(b, rec.end(), num); ok && rec.seq != r.next {
			ok = false
		}
	}
	r.found = append(r.found, seg)
	return true, nil
}

// judgeEnd looks at what lies behind the end of the log: nothing, a torn tail, or proof that more was durable.
func (s *Store) judgeEnd(r *recovery, rest []uint32) error {
	from := 0
	if n := len(r.found); n > 0 {
		rest = append([]uint32{r.found[n-1].num}, rest...)
		from = int(r.found[n-1].at)
	}
	for _, num := range rest {
		f, b, err := s.readSegmentNumber(num)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
		lost, begun := durableBehind(b, from, num, r.next), begunRecord(b, from, num, r.next)
		if lost || begun {
			r.aside = append(r.aside, num)
		}
		// A store that was stopped left no torn record. Less than a header may also be of an earlier life of the file.
		lost = lost || begun && s.afterStop && len(b)-from >= tickHeader
		r.damaged = r.damaged || lost
		r.cut = r.cut || begun
		from = 0
	}
	r.damaged = r.damaged || r.next <= r.needs
	if n := len(r.found); r.damaged && n > 0 && !slices.Contains(r.aside, r.found[n-1].num) {
		r.aside = append(r.aside, r.found[n-1].num)
	}
	return nil
}

// unsound reports whether the rows of Pebble lack what only a lost part of the log has.
func (r *recovery) unsound() bool { return r.next <= r.needs || r.damaged && !r.exact }

// begunRecord reports whether there is a record behind the end of the log, or the beginning of the next one. What an
// earlier life of the file left is neither.
func begunRecord(b []byte, at int, num uint32, next uint64) bool {
	if len(b)-at < tickHeader {
		return len(b) > at
	}
	_, whole := recordAt(b, at, num)
	return whole || binary.LittleEndian.Uint64(b[at+8:]) == next
}

// replay applies a record: its dots to the index, and, if Pebble does not have it, its rows and clocks.
func (s *Store) replay(seg *segment, rec *logRecord, apply bool) error {
	e := &s.scratch.entry
	for body := rec.body; len(body) > 0; {
		off := rec.at + tickHeader + len(rec.body) - len(body)
		var err error
		if body, err = e.decode(body, true); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		if e.kind == entryReplica && apply {
			if err := s.replayReplica(e); err != nil {
				return err
			}
			continue
		}
		if e.kind == entryDrop && apply {
			if err := s.replayDrop(e, rec.seq); err != nil {
				return err
			}
			continue
		}
		if e.kind == entryHint {
			if apply {
				s.hints.set(e.name, e.block, len(e.block), seg.num)
			}
			continue
		}
		r := s.replicas.of(e.p)
		if r == nil {
			return fmt.Errorf("%w: entry of a replica that was not created", ErrUnreadable)
		}
		for _, d := range e.dots {
			s.logDot(e.p, d, seg.num, uint32(off))
			r.logged.add(d)
		}
		if apply {
			if err := s.replayEntry(r, e); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *Store) replayReplica(e *entry) error {
	in, err := decodeReplica(e.block)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	r := s.replicas.of(e.p)
	if r == nil {
		r = newReplica(causal.Replica{})
		s.replicas.set(e.p, r)
	}
	r.Replica = in.Replica
	r.lost = false // all of the clock is here again
	r.changed = true
	return nil
}

func (s *Store) replayEntry(r *replica, e *entry) error {
	r.changed = true
	r.Replica.Mark(e.dots)
	switch e.kind {
	case entryPut, entryReap:
		r.Horizon = r.Horizon.Join(e.over)
		flags := byte(0)
		if len(e.block) > 0 {
			if len(e.block) < sealSize {
				return fmt.Errorf("%w: row too short", ErrUnreadable)
			}
			c, err := s.scratchDecode(e.block[sealSize:])
			if err != nil {
				return fmt.Errorf("%w: %w", ErrUnreadable, err)
			}
			flags = plainFlag(c)
		}
		s.write(r, e.p, e.name, e.block, flags)
	case entryFlush, entryAdopt:
		c, err := causal.DecodeClock(e.block)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
		if e.kind == entryFlush {
			r.Replica.Flush(&c)
		} else {
			r.Clock.Union(&c)
		}
	case entryTrim, entryJoin:
		if err := r.take(e); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreadable, err)
		}
	}
	return nil
}

// settleLog makes what was recovered durable and the log ready for this run.
func (s *Store) settleLog(r *recovery) error {
	for _, seg := range r.found {
		if err := seg.read.Sync(); err != nil {
			return err
		}
		s.wal.used.Add(seg.at)
	}
	for _, num := range r.stray {
		if err := s.fs.Remove(s.wal.path(num)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if err := syncDir(s.fs, s.wal.dir); err != nil {
		return err
	}
	s.spilled = r.through
	s.wal.live = r.found
	s.wal.seq = r.next - 1
	s.wal.durable.Store(s.wal.seq)
	s.wal.spares.pool = r.unused
	if most := int(s.wal.limit/s.wal.size) + 1; len(r.unused) > most {
		for _, num := range r.unused[most:] {
			_ = s.fs.Remove(s.wal.path(num))
		}
		s.wal.spares.pool = r.unused[:most]
	}
	return s.beginLog(r.highest + 1)
}

// beginLog waits for the first segment of this run.
func (s *Store) beginLog(next uint32) error {
	s.wal.prepare(next)
	select {
	case seg := <-s.wal.spares.ready:
		s.wal.mu.Lock()
		s.wal.live = append(s.wal.live, seg)
		s.wal.mu.Unlock()
		s.segment = seg.num
		s.dirty = append(s.dirty, dirtyRows{segment: seg.num})
		return nil
	case <-s.wal.spares.upset:
		return s.wal.spares.problem()
	}
}
