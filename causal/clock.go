package causal

import (
	"cmp"
	"slices"
)

// Range is a run of seqs, both ends included.
type Range struct{ From, To uint64 }

// Entry is what a clock knows of one actor: every seq up to Base, and the runs above it. The runs are sorted,
// disjoint, not adjacent, and the first begins above Base+1.
type Entry struct {
	Actor Actor
	Base  uint64
	Above []Range
}

// Clock is the exact set of dots that a partition replica has processed. The zero Clock is empty and usable. It is
// changed in place: copy it with Clone, not by assignment.
type Clock struct{ entries []Entry }

// Entries returns the clock's entries sorted by actor. The caller must not change them.
func (c *Clock) Entries() []Entry { return c.entries }

// IsZero reports whether no dot is in the clock.
func (c *Clock) IsZero() bool { return len(c.entries) == 0 }

func (c *Clock) find(a Actor) (int, bool) {
	if n := len(c.entries); n > 0 && c.entries[n-1].Actor == a { // the newest life is the last and the busiest
		return n - 1, true
	}
	return slices.BinarySearchFunc(c.entries, a, func(e Entry, a Actor) int { return cmp.Compare(e.Actor, a) })
}

// Contains reports whether the dot has been processed.
func (c *Clock) Contains(d Dot) bool {
	i, ok := c.find(d.Actor)
	return ok && c.entries[i].contains(d.Seq)
}

func (e *Entry) contains(seq uint64) bool {
	if seq <= e.Base {
		return true
	}
	i := e.after(seq)
	return i > 0 && seq <= e.Above[i-1].To
}

// after is the index of the first run that begins above seq.
func (e *Entry) after(seq uint64) int {
	i, found := slices.BinarySearchFunc(e.Above, seq, func(r Range, seq uint64) int { return cmp.Compare(r.From, seq) })
	if found {
		i++
	}
	return i
}

// Base returns the highest seq of the actor up to which the clock has no hole.
func (c *Clock) Base(a Actor) uint64 {
	if i, ok := c.find(a); ok {
		return c.entries[i].Base
	}
	return 0
}

// Max returns the highest seq of the actor in the clock, 0 when there is none.
func (c *Clock) Max(a Actor) uint64 {
	i, ok := c.find(a)
	if !ok {
		return 0
	}
	e := &c.entries[i]
	if n := len(e.Above); n > 0 {
		return e.Above[n-1].To
	}
	return e.Base
}

// Add marks one dot as processed and reports whether it was new. Seq 0 names no dot and is never new.
func (c *Clock) Add(d Dot) bool {
	if d.Seq == 0 {
		return false
	}
	i, ok := c.find(d.Actor)
	if !ok {
		c.entries = slices.Insert(c.entries, i, Entry{Actor: d.Actor})
	}
	e := &c.entries[i]
	if d.Seq == e.Base+1 && len(e.Above) == 0 { // the usual case
		e.Base = d.Seq
		return true
	}
	return e.add(d.Seq)
}

func (e *Entry) add(seq uint64) bool {
	if e.contains(seq) {
		return false
	}
	i := e.after(seq)
	atBase := seq-1 == e.Base
	touchesLeft := i > 0 && e.Above[i-1].To == seq-1
	touchesRight := i < len(e.Above) && e.Above[i].From-1 == seq
	switch {
	case atBase && touchesRight:
		e.Base = e.Above[0].To
		e.drop(0)
	case atBase:
		e.Base = seq
	case touchesLeft && touchesRight:
		e.Above[i-1].To = e.Above[i].To
		e.drop(i)
	case touchesLeft:
		e.Above[i-1].To = seq
	case touchesRight:
		e.Above[i].From = seq
	default:
		e.Above = slices.Insert(e.Above, i, Range{seq, seq})
	}
	return true
}

func (e *Entry) drop(i int) {
	e.Above = slices.Delete(e.Above, i, i+1)
	if len(e.Above) == 0 {
		e.Above = nil
	}
}

// Union marks every dot of o as processed.
func (c *Clock) Union(o *Clock) {
	for _, e := range o.entries {
		i, ok := c.find(e.Actor)
		if !ok {
			c.entries = slices.Insert(c.entries, i, Entry{e.Actor, e.Base, slices.Clone(e.Above)})
			continue
		}
		if mine := &c.entries[i]; !mine.covers(&e) {
			mine.union(&e)
		}
	}
}

// union merges two sorted lists of runs and restores the form of Entry. It subtracts from starts, never adds to ends:
// the last seq of all has no successor.
func (e *Entry) union(o *Entry) {
	e.Base = max(e.Base, o.Base)
	x, y := e.Above, o.Above
	var out []Range
	for len(x) > 0 || len(y) > 0 {
		var r Range
		if len(y) == 0 || len(x) > 0 && x[0].From <= y[0].From {
			r, x = x[0], x[1:]
		} else {
			r, y = y[0], y[1:]
		}
		if last := len(out) - 1; r.From-1 <= e.Base {
			e.Base = max(e.Base, r.To)
		} else if last >= 0 && r.From-1 <= out[last].To {
			out[last].To = max(out[last].To, r.To)
		} else {
			out = append(out, r)
		}
	}
	e.Above = out
}

// Covers reports whether every dot of o is in c.
func (c *Clock) Covers(o *Clock) bool {
	for _, e := range o.entries {
		if i, ok := c.find(e.Actor); !ok || !c.entries[i].covers(&e) {
			return false
		}
	}
	return true
}

func (e *Entry) covers(o *Entry) bool {
	if o.Base > e.Base { // base+1 is a hole here
		return false
	}
	for _, r := range o.Above {
		if r.To <= e.Base {
			continue
		}
		if i := e.after(r.From); i == 0 || r.To > e.Above[i-1].To {
			return false
		}
	}
	return true
}

// CoversVector reports whether the clock has every dot up to each entry of v: whether its bases reach v.
func (c *Clock) CoversVector(v Vector) bool {
	for _, d := range v {
		if c.Base(d.Actor) < d.Seq {
			return false
		}
	}
	return true
}

// Clone returns an independent copy.
func (c *Clock) Clone() Clock {
	out := Clock{entries: slices.Clone(c.entries)}
	for i := range out.entries {
		out.entries[i].Above = slices.Clone(out.entries[i].Above)
	}
	return out
}

// Equal reports whether both clocks hold the same dots.
func (c *Clock) Equal(o *Clock) bool {
	return slices.EqualFunc(c.entries, o.entries, func(x, y Entry) bool {
		return x.Actor == y.Actor && x.Base == y.Base && slices.Equal(x.Above, y.Above)
	})
}
