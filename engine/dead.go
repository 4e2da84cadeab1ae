package engine

import (
	"cmp"
	"container/heap"
	"slices"
	"strings"

	"shoal/causal"
	"shoal/ring"
)

// deadRows are the rows of a partition that can be reaped now or at some time: candidates, noted when they are put, so
// that nobody has to look for them among the others.
//
// A row is due at 0 when it holds a tombstone or no version, else when the first of its versions expires. Of every row
// that is due at all there is a candidate that is due no later, or walkAt is no later: then candidates were dropped, or
// never noted, and a walk over the partition finds them when that time has come. Candidates are checked when they are
// due; a row that changed since is forgotten or noted again. What a flush dropped and no sweep has removed yet is out of
// this: the sweep notes what it leaves.
type deadRows struct {
	rows   deadHeap
	bytes  int
	walkAt int64 // unix ms; forever: no walk is needed

	round      bool             // Dead is showing
	walks      bool             // this round needs its walk
	shown      map[string]int64 // in this round: when they were due
	shownBytes int
}

type deadRow struct {
	due  int64
	name string
}

const deadRowSize = 24 // bytes, beside the name

// deadLeast is how many bytes of candidates a partition may have at least.
const deadLeast = 16 << 10

// due is when the row can first be reaped of something: unix ms, 0: now, forever: not as it is.
func due(row causal.Container) int64 {
	if len(row.Versions) == 0 {
		return 0
	}
	first := int64(forever)
	for i := range row.Versions {
		v := &row.Versions[i]
		if v.Kind == causal.KindTombstone {
			return 0
		}
		if v.Expiry != 0 {
			first = min(first, v.Expiry)
		}
	}
	return first
}

// noteDead notes a row that will be due.
func (s *Store) noteDead(r *replica, name []byte, at int64) {
	d := &r.dead
	if at >= d.walkAt { // the walk will find it; forever is never earlier
		return
	}
	d.add(deadRow{at, string(name)})
	if share := s.deadShare(); d.bytes > 2*share {
		d.shrink(share)
	}
}

// deadShare bounds the candidates of a partition, bytes.
func (s *Store) deadShare() int {
	return max(deadLeast, int(s.opt.MemoryBytes/16)/max(1, len(s.replicas)))
}

func (d *deadRows) add(x deadRow) {
	heap.Push(&d.rows, x)
	d.bytes += len(x.name) + deadRowSize
}

func (d *deadRows) pop() deadRow {
	x := heap.Pop(&d.rows).(deadRow)
	d.bytes -= len(x.name) + deadRowSize
	return x
}

// shrink keeps the candidates that are due first.
func (d *deadRows) shrink(most int) {
	slices.SortFunc(d.rows, func(a, b deadRow) int {
		return cmp.Or(cmp.Compare(a.due, b.due), strings.Compare(a.name, b.name))
	})
	d.rows = slices.Compact(d.rows) // sorted is a heap too
	d.bytes = 0
	for i := range d.rows {
		if d.bytes += len(d.rows[i].name) + deadRowSize; d.bytes > most {
			d.bytes -= len(d.rows[i].name) + deadRowSize
			d.walkAt = min(d.walkAt, d.rows[i].due)
			d.rows = slices.Clone(d.rows[:i])
			return
		}
	}
}

// forget says that candidates may be missing.
func (d *deadRows) forget() { d.walkAt = 0 }

// deadWalk is the walk of a round, one at a time for the whole store, because a walk keeps memory alive.
type deadWalk struct {
	p       ring.Partition
	walk    *Walk // nil: none
	skipped int   // calls for other partitions that wanted one since it went on
}

// deadPatience is how many calls a walk may hold up that does not go on.
const deadPatience = 1024

// Dead calls fn with rows that hold a tombstone, a version that expired at or before expired (unix ms), or no version
// at all. It looks at up to limit rows per call; more says that there may be others, not shown yet in this round, for
// the next call. A call after one that answered false begins a new round, in which rows that are still there are shown
// again. fn must not write; the row is as it counts, valid until Recycle, its key during the call. It costs what is
// dead, but after Open, or when very much is dead or expires, it may walk over the partition.
func (s *Store) Dead(p ring.Partition, expired int64, limit int, fn func(slot ring.Slot, key []byte, row causal.Container)) (more bool) {
	r := s.replicas.of(p)
	if r == nil || s.writable() != nil {
		return false
	}
	d := &r.dead
	if !d.round {
		d.round, d.walks = true, d.walkAt <= expired
	}
	if d.walks && s.walkDead(p, r, expired, limit, fn) {
		return true
	}
	for ; limit > 0 && len(d.rows) > 0 && d.rows[0].due <= expired; limit-- {
		s.showDead(p, r, []byte(d.pop().name), expired, fn)
	}
	if len(d.rows) > 0 && d.rows[0].due <= expired {
		return true
	}
	for name, at := range d.shown {
		s.noteDead(r, []byte(name), at)
	}
	d.round, d.shown, d.shownBytes = false, nil, 0
	return false
}

// showDead shows a row if it is dead, and else notes when it will be.
func (s *Store) showDead(p ring.Partition, r *replica, name []byte, expired int64, fn func(ring.Slot, []byte, causal.Container)) {
	rec, err := s.find(r, name)
	if err != nil || !rec.present() { // what cannot be read cannot be reaped
		return
	}
	row, err := s.arena.Decode(rec.container())
	if err != nil {
		return
	}
	_, slot, key, ok := parseRow(name)
	if !ok {
		return
	}
	row = r.View(row)
	at := due(row)
	if at > expired {
		s.noteDead(r, name, at)
		return
	}
	d := &r.dead
	if was, again := d.shown[string(name)]; again { // two candidates of one row, or it changed since
		d.shown[string(name)] = min(was, at)
		return
	}
	if d.shownBytes += len(name) + deadRowSize; d.shownBytes > 2*s.deadShare() {
		d.forget() // the next round walks
	} else {
		if d.shown == nil {
			d.shown = map[string]int64{}
		}
		d.shown[string(name)] = at
	}
	fn(slot, key, row)
}

// walkDead goes on with the walk of this round, or begins it. It answers whether it did anything: not when another
// partition's walk is under way; this one's turn comes in another round then.
func (s *Store) walkDead(p ring.Partition, r *replica, expired int64, limit int, fn func(ring.Slot, []byte, causal.Container)) bool {
	w, d := &s.deadWalk, &r.dead
	if w.walk != nil && w.p != p {
		if w.skipped++; w.skipped < deadPatience {
			d.walks = false
			return false
		}
		if other := s.replicas.of(w.p); other != nil {
			other.dead.forget()
		}
		w.walk = nil
	}
	if w.walk == nil {
		*w = deadWalk{p: p, walk: s.Walk(p, false)}
		d.rows, d.bytes, d.walkAt = nil, 0, forever
	}
	w.skipped = 0
	var names [][]byte
	done := w.walk.Next(limit, func(row Row) { // as it was when the walk began
		if row.Err == nil && due(row.Container) < forever {
			names = append(names, appendRow(nil, p, row.Slot, row.Key))
		}
	})
	for _, name := range names {
		s.showDead(p, r, name, expired, fn)
	}
	if done {
		w.walk, d.walks = nil, false
	}
	return true
}

type deadHeap []deadRow

func (h deadHeap) Len() int           { return len(h) }
func (h deadHeap) Less(i, j int) bool { return h[i].due < h[j].due }
func (h deadHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *deadHeap) Push(x any)        { *h = append(*h, x.(deadRow)) }
func (h *deadHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = deadRow{}
	*h = (*h)[:len(*h)-1]
	return last
}
