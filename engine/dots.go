package engine

import (
	"cmp"
	"slices"

	"shoal/causal"
	"shoal/ring"
)

// loggedDots are dots of the log that are not in their partition's index yet. Adding one to its index touches memory
// that nothing else of a write touches, so they are gathered in one list, and brought into the indexes a partition
// after the other, before anything reads or forgets an index, or when there are many.
type loggedDots struct {
	list  []loggedDot
	order []uint32 // scratch: places in list, by partition
	ends  []uint32 // scratch, by partition
}

type loggedDot struct {
	dot          causal.Dot
	segment, off uint32 // of the entry
	p            ring.Partition
}

// mostLogged bounds the list: half a megabyte, indexed in a fraction of a millisecond.
const mostLogged = 16 << 10

func (s *Store) logDot(p ring.Partition, d causal.Dot, segment, off uint32) {
	if len(s.logged.list) == mostLogged {
		s.indexDots()
	}
	s.logged.list = append(s.logged.list, loggedDot{d, segment, off, p})
}

// indexDots brings every index up to date. Within a partition the order of the log is kept.
func (s *Store) indexDots() {
	l := &s.logged
	if len(l.list) == 0 {
		return
	}
	l.ends = append(l.ends[:0], make([]uint32, len(s.replicas))...)
	for i := range l.list {
		l.ends[l.list[i].p]++
	}
	at := uint32(0)
	for p, n := range l.ends {
		l.ends[p], at = at, at+n
	}
	l.order = slices.Grow(l.order[:0], len(l.list))[:len(l.list)]
	for i := range l.list {
		end := &l.ends[l.list[i].p]
		l.order[*end] = uint32(i)
		*end++
	}
	for _, i := range l.order {
		d := &l.list[i]
		s.replicas[d.p].dots.add(d.dot, d.segment, d.off)
	}
	l.list = l.list[:0]
}

// dotIndex finds the entries of a partition's dots in the live segments, by actor, then seq. It costs 16 bytes per dot
// of the live log; dots arrive nearly in order, so adding is appending.
type dotIndex []actorDots

type actorDots struct {
	actor causal.Actor
	dots  []dotAt // by seq
}

type dotAt struct {
	seq          uint64
	segment, off uint32 // of the entry
}

func (x dotIndex) find(a causal.Actor) (int, bool) {
	if n := len(x); n > 0 && x[n-1].actor == a { // the newest life is the last and the busiest
		return n - 1, true
	}
	return slices.BinarySearchFunc(x, a, func(e actorDots, a causal.Actor) int { return cmp.Compare(e.actor, a) })
}

func bySeq(d dotAt, seq uint64) int { return cmp.Compare(d.seq, seq) }

func (x *dotIndex) add(d causal.Dot, segment, off uint32) {
	i, ok := x.find(d.Actor)
	if !ok {
		*x = slices.Insert(*x, i, actorDots{actor: d.Actor})
	}
	e := &(*x)[i]
	at := dotAt{d.Seq, segment, off}
	if n := len(e.dots); n == 0 || e.dots[n-1].seq < d.Seq {
		e.dots = append(e.dots, at)
		return
	}
	j, found := slices.BinarySearchFunc(e.dots, d.Seq, bySeq)
	if found { // logged again: the newer entry lives longer
		e.dots[j] = at
		return
	}
	e.dots = slices.Insert(e.dots, j, at)
}

// forget drops the dots of segments up to a number.
func (x *dotIndex) forget(through uint32) {
	kept := (*x)[:0]
	for _, e := range *x {
		e.dots = slices.DeleteFunc(e.dots, func(d dotAt) bool { return d.segment <= through })
		if len(e.dots) == 0 {
			continue
		}
		if cap(e.dots) > 4*len(e.dots)+64 {
			e.dots = slices.Clone(e.dots)
		}
		kept = append(kept, e)
	}
	clear((*x)[len(kept):])
	*x = kept
}

// cut drops the dots of an actor up to a seq.
func (x *dotIndex) cut(a causal.Actor, seq uint64) {
	if i, ok := x.find(a); ok {
		e := &(*x)[i]
		if e.dots = e.dots[e.after(seq):]; len(e.dots) == 0 {
			*x = slices.Delete(*x, i, i+1)
		}
	}
}

// after is the index of the first dot above seq.
func (e *actorDots) after(seq uint64) int {
	i, found := slices.BinarySearchFunc(e.dots, seq, bySeq)
	if found {
		i++
	}
	return i
}

// dotCursor walks an index past a clock.
type dotCursor struct {
	x       dotIndex
	lacks   *causal.Clock
	horizon causal.Vector // dots up to it are forgotten
	through uint32        // segments up to it are gone
	i, j    int
}

// next returns the next dot that the clock lacks.
func (c *dotCursor) next() (d causal.Dot, at dotAt, ok bool) {
	for ; c.i < len(c.x); c.i, c.j = c.i+1, 0 {
		e := &c.x[c.i]
		if base := max(c.lacks.Base(e.actor), c.horizon.Of(e.actor)); c.j == 0 && base > 0 {
			c.j = e.after(base)
		}
		for ; c.j < len(e.dots); c.j++ {
			at = e.dots[c.j]
			d = causal.Dot{Actor: e.actor, Seq: at.seq}
			if at.segment > c.through && !c.lacks.Contains(d) {
				c.j++
				return d, at, true
			}
		}
	}
	return d, at, false
}
