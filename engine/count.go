package engine

import (
	"container/heap"
	"sync/atomic"

	"shoal/ring"
)

// counts are the exact numbers of one partition. Rows are counted as stored, the rest as they count.
type counts struct {
	rows       int64
	tombstones int64 // rows with tombstones and no value
	lasting    int64 // rows with a value that does not expire
	values     map[int]int64

	// Rows whose last value expires: how many at each instant later than settled. Times whose count fell to zero may
	// stay in the heap for a while.
	expiring int64
	at       map[int64]int32
	times    timeHeap
	settled  int64
}

func (c *counts) add(s summary, all *counters)    { c.change(s, 1, all) }
func (c *counts) remove(s summary, all *counters) { c.change(s, -1, all) }

func (c *counts) change(s summary, by int64, all *counters) {
	if s.values == 0 && s.tombstones > 0 {
		c.tombstones += by
		all.tombstones.Add(by)
	}
	if s.values > 1 {
		if c.values == nil {
			c.values = map[int]int64{}
		}
		c.values[s.values] += by
		all.siblings(s.values, by)
	}
	switch {
	case s.until == forever:
		c.lasting += by
	case s.until > c.settled:
		c.expire(s.until, by)
	}
}

func (c *counts) expire(at, by int64) {
	if c.at == nil {
		c.at = map[int64]int32{}
	}
	n, known := c.at[at]
	c.expiring += by
	if n += int32(by); n == 0 {
		delete(c.at, at)
		return
	}
	c.at[at] = n
	if known {
		return
	}
	if len(c.times) > 2*len(c.at)+64 { // keys whose expiry moves on leave their old times behind
		c.times = c.times[:0]
		for t := range c.at {
			c.times = append(c.times, t)
		}
		heap.Init(&c.times)
		return
	}
	heap.Push(&c.times, at)
}

// live is how many rows show a value at now. A now before an earlier one answers as that did.
func (c *counts) live(now int64) int64 {
	for len(c.times) > 0 && c.times[0] <= now {
		at := heap.Pop(&c.times).(int64)
		c.expiring -= int64(c.at[at])
		delete(c.at, at)
	}
	c.settled = max(c.settled, now)
	return c.lasting + c.expiring
}

// clear forgets everything but the stored rows.
func (c *counts) clear(all *counters) {
	all.tombstones.Add(-c.tombstones)
	for n, keys := range c.values {
		all.siblings(n, -keys)
	}
	*c = counts{rows: c.rows, settled: c.settled}
}

type timeHeap []int64

func (h timeHeap) Len() int           { return len(h) }
func (h timeHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h timeHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *timeHeap) Push(x any)        { *h = append(*h, x.(int64)) }
func (h *timeHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// Count is the exact number of keys of a partition that show a value at now (unix ms). It costs nothing per key;
// expired versions leave it by themselves. now should not go back: an earlier one is answered as the latest was.
func (s *Store) Count(p ring.Partition, now int64) int64 {
	if r := s.replicas.of(p); r != nil {
		return r.counts.live(now)
	}
	return 0
}

// CountSlot is the exact number of keys of a slot that show a value at now. It reads the slot.
func (s *Store) CountSlot(p ring.Partition, slot ring.Slot, now int64) (int64, error) {
	var n int64
	err := s.ScanSlot(p, slot, func(row Row) bool {
		if row.Err == nil && row.Container.Shown(now) != nil {
			n++
		}
		return true
	})
	return n, err
}

// counters are the numbers of Stats, kept so that another goroutine may read them.
type counters struct {
	rows, tombstones, bytes, unreadable  atomic.Int64
	ticks, tickRows, tickDots, diskBytes atomic.Int64
	spills, spilledRows, evicted, stalls atomic.Int64
	memory                               atomic.Int64
	logEntries, logTrimmed, reaped       atomic.Int64
	hints, hintBytes                     atomic.Int64
	withValues                           [maxSiblings + 1]atomic.Int64
}

const maxSiblings = 128

func (c *counters) siblings(values int, by int64) { c.withValues[min(values, maxSiblings)].Add(by) }

// Stats returns the counters. Safe for concurrent use; numbers of one moment may differ by what is being written.
func (s *Store) Stats() Stats {
	c := &s.stats
	out := Stats{
		Rows: c.rows.Load(), Tombstones: c.tombstones.Load(), Bytes: c.bytes.Load(), Unreadable: c.unreadable.Load(),
		Ticks: c.ticks.Load(), TickRows: c.tickRows.Load(), TickDots: c.tickDots.Load(),
		Syncs: s.wal.syncs.Load(), DiskBytes: c.diskBytes.Load() + s.wal.used.Load(), LogBytes: s.wal.used.Load(),
		MemoryBytes: c.memory.Load(), Spills: c.spills.Load(), SpilledRows: c.spilledRows.Load(),
		Evicted: c.evicted.Load(), Stalls: c.stalls.Load(),
		LogEntries: c.logEntries.Load(), LogTrimmed: c.logTrimmed.Load(), Reaped: c.reaped.Load(), Hints: c.hints.Load(), HintBytes: c.hintBytes.Load(),
	}
	for n := range c.withValues {
		if keys := c.withValues[n].Load(); keys > 0 {
			out.SiblingsKeys += keys
			out.SiblingsMax = int64(n)
		}
	}
	return out
}
