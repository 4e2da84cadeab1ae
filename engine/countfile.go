package engine

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"shoal/ring"
)

// The counters of a store that was closed cleanly are in a file, so that the next Open need not look at every row.
// The file says after which record of the log they are right: they are used when the log ends there and in no other
// case, so a file that is old, or missing, or damaged costs a scan and is otherwise harmless. It is not written when a
// row was found unreadable in the run: then the counters are not exact, and the scan makes them so again.
//
// The file is a sealed value:
//
//	sequence of the last record of the log, bytes of all rows, number of partitions
//	per partition: number, 1 when a sweep goes on, rows, tombstones, lasting, settled,
//	  number of counts of values, per count: values, rows
//	  number of expiries, per expiry: its distance from settled (ms), rows
//
// all of it unsigned varints.
const countsFile = "counts"

// scanAtMost is how many rows Open reads for want of counters even if it has them: fewer are in memory at once that
// way, and the store then knows of every row that there is.
const scanAtMost = 500_000

var errCounts = errors.New("malformed counters")

// saveCounts writes the file, when nothing is written to the log any more. Without it the next Open takes longer.
func (s *Store) saveCounts() error {
	// An old one must not stay: when the log has lost records, other ones have their sequences.
	if err := s.fs.Remove(s.fs.PathJoin(s.opt.Dir, countsFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if s.stats.unreadable.Load() > 0 {
		return nil
	}
	b := make([]byte, sealSize, 4096)
	b = binary.AppendUvarint(b, s.wal.seq)
	b = binary.AppendUvarint(b, uint64(s.stats.bytes.Load()))
	b = binary.AppendUvarint(b, uint64(len(s.Partitions())))
	for p, r := range s.replicas.all() {
		b = binary.AppendUvarint(b, uint64(p))
		b = binary.AppendUvarint(b, s.sweepsPartition(p))
		b = r.counts.append(b)
	}
	seal([]byte(countsFile), b)
	return replaceFile(s.fs, s.opt.Dir, countsFile, b)
}

func (s *Store) sweepsPartition(p ring.Partition) uint64 {
	for i := range s.sweeps {
		if s.sweeps[i].partition == p {
			return 1
		}
	}
	return 0
}

func (c *counts) append(b []byte) []byte {
	for _, n := range []int64{c.rows, c.tombstones, c.lasting, c.settled} {
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendUvarint(b, uint64(len(c.values)))
	for values, n := range c.values {
		b = binary.AppendUvarint(b, uint64(values))
		b = binary.AppendUvarint(b, uint64(n))
	}
	b = binary.AppendUvarint(b, uint64(len(c.at)))
	for at, n := range c.at {
		b = binary.AppendUvarint(b, uint64(at-c.settled))
		b = binary.AppendUvarint(b, uint64(n))
	}
	return b
}

// savedCounts are the counters of the file.
type savedCounts struct {
	seq        uint64
	bytes      int64
	partitions []savedPartition
}

type savedPartition struct {
	p      ring.Partition
	sweeps bool
	counts counts
}

// readCounts returns the counters of the file, nil when there are none that can be used for a log that ends at seq.
func (s *Store) readCounts(seq uint64) (*savedCounts, error) {
	f, err := s.fs.Open(s.fs.PathJoin(s.opt.Dir, countsFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return nil, err
	}
	if b, err = unseal([]byte(countsFile), b); err != nil {
		return nil, err
	}
	if at, n := binary.Uvarint(b); n <= 0 || at != seq {
		return nil, nil
	}
	return decodeCounts(b)
}

// countReader reads varints. After the first error every read returns zero.
type countReader struct {
	r   *bytes.Reader
	err error
}

func (r *countReader) next() int64 {
	if r.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(r.r)
	if err != nil || int64(n) < 0 {
		r.err = errCounts
		return 0
	}
	return int64(n)
}

// many reads a number of items that take at least two bytes each.
func (r *countReader) many() int64 {
	n := r.next()
	if n > int64(r.r.Len()/2) {
		r.err = errCounts
		return 0
	}
	return n
}

func decodeCounts(b []byte) (*savedCounts, error) {
	r := &countReader{r: bytes.NewReader(b)}
	out := &savedCounts{seq: uint64(r.next()), bytes: r.next()}
	for range r.many() {
		p := savedPartition{p: ring.Partition(r.next()), sweeps: r.next() == 1}
		p.counts.read(r)
		out.partitions = append(out.partitions, p)
	}
	if r.err == nil && r.r.Len() > 0 {
		r.err = errCounts
	}
	if r.err != nil {
		return nil, fmt.Errorf("engine: %w: %w", ErrUnreadable, r.err)
	}
	return out, nil
}

func (c *counts) read(r *countReader) {
	c.rows, c.tombstones, c.lasting, c.settled = r.next(), r.next(), r.next(), r.next()
	if n := r.many(); n > 0 {
		c.values = make(map[int]int64, n)
		for range n {
			values := int(r.next())
			c.values[values] = r.next()
		}
	}
	n := r.many()
	if n == 0 {
		return
	}
	c.at, c.times = make(map[int64]int32, n), make(timeHeap, 0, n)
	for range n {
		at, rows := c.settled+r.next(), r.next()
		c.at[at] = int32(rows)
		c.times = append(c.times, at)
		c.expiring += rows
	}
	heap.Init(&c.times)
}

// takeCounts takes the counters of the file in the place of a scan, if they are those of this log and spare enough.
// Rows that the log did not bring then enter memory when they are asked for.
func (s *Store) takeCounts() bool {
	saved, err := s.readCounts(s.wal.seq)
	if err != nil {
		s.log.Warn("the counters of the last run cannot be used: the rows are counted", "error", err)
	}
	if saved == nil || err != nil {
		return false
	}
	rows, here, inMemory := int64(0), 0, int64(0)
	for _, r := range s.replicas.all() {
		inMemory += int64(r.rows.n)
		here++
	}
	for i := range saved.partitions {
		p := &saved.partitions[i]
		rows += p.counts.rows
		if s.replicas.of(p.p) == nil {
			return false
		}
	}
	if here != len(saved.partitions) || s.opt.scanAtMost >= 0 && rows-inMemory <= s.opt.scanAtMost {
		return false
	}
	for i := range saved.partitions {
		p := &saved.partitions[i]
		s.replicas.of(p.p).counts = p.counts
		s.replicas.of(p.p).dead.forget()
		s.stats.rows.Add(p.counts.rows)
		s.stats.tombstones.Add(p.counts.tombstones)
		for values, n := range p.counts.values {
			s.stats.siblings(values, n)
		}
		if p.sweeps {
			s.sweep(p.p)
		}
	}
	s.stats.bytes.Store(saved.bytes)
	s.complete = false
	s.measure()
	return true
}
