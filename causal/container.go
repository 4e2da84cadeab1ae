package causal

import "slices"

// Container is all that a replica knows of one key. Versions are sorted by dot, each dot once; every dot is covered
// by the vector. The zero Container means "no information", never "deleted".
//
// A container handed out or taken in is not changed afterwards: operations make new slices and share payloads.
type Container struct {
	Versions []Version
	Vector   Vector
}

// Empty reports whether the container says nothing at all.
func (c Container) Empty() bool { return len(c.Versions) == 0 && len(c.Vector) == 0 }

// Find returns the version under the dot, nil when the container does not hold it.
func (c Container) Find(d Dot) *Version {
	for i := range c.Versions {
		if c.Versions[i].Dot == d {
			return &c.Versions[i]
		}
	}
	return nil
}

// Merge is the least container that has taken in both: a version stays when both hold it, or when one holds it and
// the other's vector does not cover its dot. It is commutative, associative and idempotent. If, against the rule, one
// dot names two values, a's stays.
func Merge(a, b Container) Container {
	if a.Empty() {
		return b
	}
	if b.Empty() || a.absorbs(b) {
		return a
	}
	if b.replaces(a) {
		return b
	}
	out := Container{
		Versions: make([]Version, 0, max(len(a.Versions), len(b.Versions))),
		Vector:   a.Vector.Join(b.Vector),
	}
	x, y := a.Versions, b.Versions
	for len(x) > 0 || len(y) > 0 {
		switch {
		case len(y) == 0 || len(x) > 0 && x[0].Dot.Compare(y[0].Dot) < 0:
			if !b.Vector.Covers(x[0].Dot) {
				out.Versions = append(out.Versions, x[0])
			}
			x = x[1:]
		case len(x) == 0 || y[0].Dot.Compare(x[0].Dot) < 0:
			if !a.Vector.Covers(y[0].Dot) {
				out.Versions = append(out.Versions, y[0])
			}
			y = y[1:]
		default:
			out.Versions = append(out.Versions, x[0])
			x, y = x[1:], y[1:]
		}
	}
	return out
}

// absorbs reports whether b tells c nothing new: Merge would answer c again.
func (c Container) absorbs(b Container) bool {
	if !c.Vector.CoversAll(b.Vector) {
		return false
	}
	for i := range c.Versions {
		if d := c.Versions[i].Dot; b.Vector.Covers(d) && b.Find(d) == nil {
			return false
		}
	}
	return true
}

// replaces reports whether c has taken in all of b and shares no version with it: Merge would answer c. Both orders of
// the common overwrite end here or in absorbs, without an allocation.
func (c Container) replaces(b Container) bool {
	for i := range c.Versions {
		if b.Vector.Covers(c.Versions[i].Dot) {
			return false
		}
	}
	return c.Vector.CoversAll(b.Vector)
}

// Discard returns the container without the versions that the context covers. The vector stays: what was taken in
// was taken in.
func (c Container) Discard(ctx Context) Container {
	left := 0
	for i := range c.Versions {
		if !ctx.Covers(c.Versions[i].Dot) {
			left++
		}
	}
	if left == len(c.Versions) {
		return c
	}
	kept := make([]Version, 0, left)
	for i := range c.Versions {
		if !ctx.Covers(c.Versions[i].Dot) {
			kept = append(kept, c.Versions[i])
		}
	}
	return Container{Versions: kept, Vector: c.Vector}
}

// Add returns the container with one more version. Its dot must be new to the container.
func (c Container) Add(v Version) Container {
	i, _ := slices.BinarySearchFunc(c.Versions, v.Dot, func(e Version, d Dot) int { return e.Dot.Compare(d) })
	versions := append(make([]Version, 0, len(c.Versions)+1), c.Versions[:i]...)
	versions = append(append(versions, v), c.Versions[i:]...)
	vector := append(make(Vector, 0, len(c.Vector)+1), c.Vector...)
	return Container{Versions: versions, Vector: vector.With(v.Dot)}
}

// Context is everything that the container has taken in, as a client is shown it.
func (c Container) Context() Context { return Context{Vector: c.Vector} }

// Shown returns the version that a plain read answers at now: the live one with the largest (hlc, actor, seq); nil
// when none is live. A value beats a concurrent tombstone.
func (c Container) Shown(now int64) *Version {
	var best *Version
	for i := range c.Versions {
		v := &c.Versions[i]
		if v.Live(now) && (best == nil || v.HLC > best.HLC || v.HLC == best.HLC && v.Dot.Compare(best.Dot) > 0) {
			best = v
		}
	}
	return best
}

// LiveCount is the number of values live at now.
func (c Container) LiveCount(now int64) int {
	n := 0
	for i := range c.Versions {
		if c.Versions[i].Live(now) {
			n++
		}
	}
	return n
}

// Same reports whether two containers hold the same dots and vectors. Since one dot names one value for ever, that
// is equality.
func Same(a, b Container) bool {
	return slices.Equal(a.Vector, b.Vector) &&
		slices.EqualFunc(a.Versions, b.Versions, func(x, y Version) bool { return x.Dot == y.Dot })
}
