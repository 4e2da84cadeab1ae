package causal

import (
	"cmp"
	"maps"
	"slices"
)

// The slow reference of this package. It compresses nothing: an event knows the exact set of events it has seen, and
// what a replica knows of a key is a set of events. Every short form in the package (vector, container, clock) must
// answer as these sets do.

// event is one write of one key.
type event struct {
	key  string
	dot  Dot
	kind Kind
	seen events
}

func (e *event) version() Version {
	v := Version{Dot: e.dot, Kind: e.kind, HLC: e.dot.Seq << 16}
	if e.kind != KindTombstone {
		v.Payload = []byte(e.key)
	}
	return v
}

// events is a set of events.
type events map[Dot]*event

func setOf(list ...*event) events {
	s := events{}
	for _, e := range list {
		s[e.dot] = e
	}
	return s
}

func (s events) has(d Dot) bool { return s[d] != nil }

func (s events) union(o events) events {
	out := maps.Clone(s)
	if out == nil {
		out = events{}
	}
	maps.Copy(out, o)
	return out
}

func (s events) within(o events) bool {
	for d := range s {
		if !o.has(d) {
			return false
		}
	}
	return true
}

// latest is the live set: the events that no other event of the set has seen.
func (s events) latest() events {
	out := maps.Clone(s)
	for _, e := range s {
		for d := range e.seen {
			delete(out, d)
		}
	}
	return out
}

func (s events) without(o events) events {
	out := maps.Clone(s)
	for d := range o {
		delete(out, d)
	}
	return out
}

// vector is the per-actor highest seq of the set.
func (s events) vector() Vector {
	var v Vector
	for _, d := range s.dots() {
		v = v.With(d)
	}
	return v
}

// dots lists the set in dot order.
func (s events) dots() []Dot { return slices.SortedFunc(maps.Keys(s), Dot.Compare) }

// container is the short form of the set.
func (s events) container() Container {
	c := Container{Vector: s.vector()}
	for _, d := range s.latest().dots() {
		c.Versions = append(c.Versions, s[d].version())
	}
	return c
}

func dotsOf(versions []Version) []Dot {
	var out []Dot
	for i := range versions {
		out = append(out, versions[i].Dot)
	}
	return out
}

// dots is the reference of Clock: a set of dots, one by one.
type dots map[Dot]bool

func (s dots) add(o dots) { maps.Copy(s, o) }

func (s dots) within(o dots) bool {
	for d := range s {
		if !o[d] {
			return false
		}
	}
	return true
}

// base counts up from 1 to the first hole.
func (s dots) base(a Actor) uint64 {
	n := uint64(0)
	for s[Dot{a, n + 1}] {
		n++
	}
	return n
}

func (s dots) max(a Actor) uint64 {
	n := uint64(0)
	for d := range s {
		if d.Actor == a {
			n = max(n, d.Seq)
		}
	}
	return n
}

func (s dots) coversVector(v Vector) bool {
	return !slices.ContainsFunc(v, func(d Dot) bool { return s.base(d.Actor) < d.Seq })
}

func (s dots) sorted() []Dot { return slices.SortedFunc(maps.Keys(s), Dot.Compare) }

// clock builds the canonical entries of the set from nothing but the definition of Entry.
func (s dots) clock() []Entry {
	var out []Entry
	for _, d := range s.sorted() {
		if n := len(out); n == 0 || out[n-1].Actor != d.Actor {
			out = append(out, Entry{Actor: d.Actor})
		}
		e := &out[len(out)-1]
		last := len(e.Above) - 1
		switch {
		case last < 0 && d.Seq == e.Base+1:
			e.Base = d.Seq
		case last >= 0 && d.Seq == e.Above[last].To+1:
			e.Above[last].To = d.Seq
		default:
			e.Above = append(e.Above, Range{d.Seq, d.Seq})
		}
	}
	return out
}

func sameEntries(a, b []Entry) bool {
	return slices.EqualFunc(a, b, func(x, y Entry) bool {
		return cmp.Compare(x.Actor, y.Actor) == 0 && x.Base == y.Base && slices.Equal(x.Above, y.Above)
	})
}
