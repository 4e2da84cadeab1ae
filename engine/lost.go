package engine

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// What Open does when the disk lost what it had promised to keep.
//
// A damaged log: the store begins with what stands before the damage, a consistent state of the past, says that a tail
// may be lost, and keeps the damaged segments aside. What was lost the others have, or they find that this replica is
// behind. There is one thing more: a row that was written again before a round was put together, in a newer segment than the
// round takes, is not in Pebble, which counts on the log for it, up to the sequence that the mark calls needed. When the
// log ends before that, the clocks say more than the rows hold.
//
// Where a clock says too much, or is unreadable, neither the clock nor the rows are of use: the replica begins empty, as
// one that is to be filled.

const (
	asideSuffix = ".damaged"
	mostAside   = 16 // files; older ones go
)

// setAside copies or renames the segments that hold something behind the damage. What is lost is durably noted before.
func (s *Store) setAside(r *recovery) error {
	s.log.Error("the log is damaged where it was durable: the store goes on with what stands before; a tail is lost, and the damaged segments are kept aside",
		"last", r.next-1, "needed", r.needs, "segments", r.aside)
	s.stats.unreadable.Add(1)
	s.run.tailLost = true
	if err := writeRun(s.fs, s.opt.Dir, s.run); err != nil {
		return err
	}
	for _, num := range r.aside {
		if n := len(r.found); n > 0 && r.found[n-1].num == num {
			if err := s.copyAside(r.found[n-1]); err != nil {
				return err
			}
			continue
		}
		if err := s.fs.Rename(s.wal.path(num), s.wal.path(num)+asideSuffix); err != nil {
			return err
		}
		r.stray = slices.DeleteFunc(r.stray, func(n uint32) bool { return n == num })
	}
	return s.boundAside()
}

// copyAside copies a segment whose front is good, and ends the original there.
func (s *Store) copyAside(seg *segment) error {
	in, b, err := s.readSegmentNumber(seg.num)
	if err != nil {
		return err
	}
	err = in.Close()
	if err == nil {
		err = replaceFile(s.fs, s.wal.dir, segmentName(seg.num)+asideSuffix, b)
	}
	if err != nil {
		return err
	}
	return s.endSegment(seg)
}

// endSegment makes the end of the log in a segment plain: what lies behind is not found again.
func (s *Store) endSegment(seg *segment) error {
	out, err := s.fs.OpenReadWrite(s.wal.path(seg.num), vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	if _, err = out.WriteAt(make([]byte, tickHeader), seg.at); err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

func (s *Store) boundAside() error {
	names, err := s.fs.List(s.wal.dir)
	if err != nil {
		return err
	}
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, asideSuffix) })
	slices.Sort(names)
	for ; len(names) > mostAside; names = names[1:] {
		if err := s.fs.Remove(s.fs.PathJoin(s.wal.dir, names[0])); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// dropRows forgets all rows and log entries of a replica, those in memory; drops says that those in Pebble are to go,
// and droppedAt, a sequence, that those of earlier records are not to come there.
func (s *Store) dropRows(r *replica, seq uint64) {
	s.indexDots()
	for _, c := range r.rows.cells {
		if c.slab != 0 {
			s.mem.release(c.slab, c.off)
		}
	}
	s.cellBytes -= int64(len(r.rows.cells)) * cellSize
	r.rows, r.dots, r.logged, r.loggedKnown = table{}, nil, dotSet{}, true
	r.lost, r.drops, r.droppedAt, r.changed = false, true, seq, true
	s.last.known = false
}

// replayDrop applies the entry that dropLost made.
func (s *Store) replayDrop(e *entry, seq uint64) error {
	in, err := decodeReplica(e.block)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreadable, err)
	}
	r := s.replicas.of(e.p)
	if r == nil {
		r = newReplica(causal.Replica{})
		s.replicas.set(e.p, r)
	}
	s.dropRows(r, seq)
	r.Replica = in.Replica
	return nil
}

// dropLost empties replicas that have lost their clock, and makes it durable: first in the log, so that nothing before that is
// replayed again, then in Pebble, where all that there is is older. When all are emptied for what the log lost, Pebble
// counts on the log up to here and no further: else the next Open would empty them again, with what came since.
func (s *Store) dropLost(rec *recovery) error {
	var lost []ring.Partition
	for p, r := range s.replicas.all() {
		if r.lost {
			lost = append(lost, p)
			s.dropRows(r, s.wal.seq+1)
			r.Replica = causal.Replica{Filling: true}
			s.tick.b = appendBlocked(s.tick.b, entryDrop, p, nil, appendReplica(nil, &r.Replica, nil))
		}
	}
	if len(lost) > 0 {
		s.log.Error("replicas have lost their clocks: they begin empty and are to be filled", "replicas", len(lost), "partitions", lost)
	}
	if s.tick.Len() > 0 {
		if err := s.push(); err != nil {
			return err
		}
		s.tick.pushed = false
		if err := s.wal.sync(); err != nil {
			return err
		}
	}
	t := tables{w: s.newSpiller()}
	if rec.unsound() {
		m := markRow(rec.through, rec.mark, s.wal.seq)
		t.set(m.name, m.value)
	}
	for _, space := range []byte{spaceLog, spaceData} {
		for p, r := range s.replicas.all() {
			if r.drops {
				prefix := appendSpace(nil, space, p)
				t.erase(prefix, after(prefix))
				s.afterStop = false // the counters of the last run are not those of this store
			}
		}
	}
	return t.ingest()
}

// dropUnprocessed deletes the entries of dots that no clock has any more: their segments were about to be recycled when
// the log lost them. A peer that was told such a dot would take it as processed, without its row.
// Entries that cannot be read are an error behind proven damage alone.
func (s *Store) dropUnprocessed(proven bool) error {
	t := tables{w: s.newSpiller()}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{spaceLog}, UpperBound: []byte{spaceLog + 1}})
	if err != nil {
		return unreadable(err)
	}
	for ok := it.First(); ok; ok = it.Next() {
		d, wellFormed := parseDot(it.Key())
		if r := s.replicas.of(partitionOf(it.Key())); r == nil || !wellFormed || !r.Clock.Contains(d) {
			t.set(slices.Clone(it.Key()), nil)
		}
	}
	if err := errors.Join(it.Error(), it.Close()); corrupt(err) && !proven {
		s.stats.unreadable.Add(1)
		s.log.Error("log entries in the sorted store are unreadable", "error", err)
	} else if err != nil {
		t.end()
		return unreadable(err)
	}
	return t.ingest()
}
