package causal

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

var genDot = rapid.Custom(func(t *rapid.T) Dot {
	return Dot{Actor(rapid.IntRange(1, 3).Draw(t, "actor")), rapid.Uint64Range(1, 14).Draw(t, "seq")}
})

var genDots = rapid.SliceOfN(genDot, 0, 30)

// clockOf feeds a clock and its reference the same dots in the drawn order.
func clockOf(list []Dot) (Clock, dots) {
	var c Clock
	ref := dots{}
	for _, d := range list {
		c.Add(d)
		ref[d] = true
	}
	return c, ref
}

func TestClockIsASetOfDots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var c Clock
		ref := dots{}
		for _, d := range genDots.Draw(t, "dots") {
			if added := c.Add(d); added == ref[d] {
				t.Fatalf("Add(%v) = %v, was there before: %v", d, added, ref[d])
			}
			ref[d] = true
			if !sameEntries(c.Entries(), ref.clock()) {
				t.Fatalf("after %v: entries %v, want %v", d, c.Entries(), ref.clock())
			}
		}
		checkClock(t, &c, ref)
	})
}

// checkClock compares every question one can ask.
func checkClock(t *rapid.T, c *Clock, ref dots) {
	t.Helper()
	if !sameEntries(c.Entries(), ref.clock()) {
		t.Fatalf("entries %v, want %v", c.Entries(), ref.clock())
	}
	if c.IsZero() != (len(ref) == 0) {
		t.Fatalf("IsZero = %v with %d dots", c.IsZero(), len(ref))
	}
	for a := Actor(0); a <= 4; a++ {
		if c.Base(a) != ref.base(a) || c.Max(a) != ref.max(a) {
			t.Fatalf("actor %d: base %d max %d, want %d %d", a, c.Base(a), c.Max(a), ref.base(a), ref.max(a))
		}
		for seq := uint64(1); seq <= 16; seq++ {
			if d := (Dot{a, seq}); c.Contains(d) != ref[d] {
				t.Fatalf("Contains(%v) = %v in %v", d, c.Contains(d), c.Entries())
			}
		}
	}
}

func TestClockUnionAndCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, refA := clockOf(genDots.Draw(t, "a"))
		b, refB := clockOf(genDots.Draw(t, "b"))
		if a.Covers(&b) != refB.within(refA) || b.Covers(&a) != refA.within(refB) {
			t.Fatalf("Covers of %v and %v is wrong", a.Entries(), b.Entries())
		}
		if a.Equal(&b) != (refB.within(refA) && refA.within(refB)) {
			t.Fatalf("Equal of %v and %v is wrong", a.Entries(), b.Entries())
		}
		left, right := a.Clone(), b.Clone()
		left.Union(&b)
		right.Union(&a)
		both := dots{}
		both.add(refA)
		both.add(refB)
		checkClock(t, &left, both)
		if !left.Equal(&right) || !left.Covers(&a) || !left.Covers(&b) {
			t.Fatalf("union of %v and %v depends on the order: %v, %v", a.Entries(), b.Entries(), left, right)
		}
		left.Union(&left)
		checkClock(t, &left, both)
		checkClock(t, &a, refA) // neither operand moved
		checkClock(t, &b, refB)
	})
}

func TestClockCoversVector(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, ref := clockOf(genDots.Draw(t, "dots"))
		var v Vector
		for _, d := range rapid.SliceOfN(genDot, 0, 3).Draw(t, "vector") {
			v = v.With(d)
		}
		if c.CoversVector(v) != ref.coversVector(v) {
			t.Fatalf("%v CoversVector(%v) = %v", c.Entries(), v, c.CoversVector(v))
		}
	})
}

func TestClockCloneIsIndependent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, ref := clockOf(genDots.Draw(t, "dots"))
		clone := c.Clone()
		for _, d := range genDots.Draw(t, "more") {
			clone.Add(d)
		}
		other, _ := clockOf(genDots.Draw(t, "union"))
		clone.Union(&other)
		checkClock(t, &c, ref)
	})
}

// What Union copied in must not move when either side goes on.
func TestClockUnionDoesNotShare(t *testing.T) {
	a, _ := clockOf([]Dot{{1, 3}, {1, 7}})
	var b Clock
	b.Union(&a)
	b.Add(Dot{1, 4})
	b.Add(Dot{1, 6})
	if a.Contains(Dot{1, 4}) || a.Contains(Dot{1, 6}) {
		t.Fatalf("the operand of Union changed: %v", a.Entries())
	}
}

// Seq 0 is no dot. An entry made for it would have no encoding.
func TestClockKnowsNoSeqZero(t *testing.T) {
	var c Clock
	if c.Add(Dot{1, 0}) || !c.IsZero() {
		t.Fatalf("Add of seq 0 left %v", c.Entries())
	}
	if _, err := DecodeClock(c.Append(nil)); err != nil {
		t.Fatal(err)
	}
}

// The last seq of all has no successor: arithmetic on run ends must not wrap. Only a hostile or broken peer sends it.
func TestClockAtTheEndOfTheNumbers(t *testing.T) {
	const last = math.MaxUint64
	c := Clock{entries: []Entry{{Actor: 1, Base: 1, Above: []Range{{3, last}}}}}
	c.Union(&Clock{entries: []Entry{{Actor: 1, Above: []Range{{10, 20}}}}})
	if want := []Entry{{1, 1, []Range{{3, last}}}}; !sameEntries(c.Entries(), want) {
		t.Fatalf("union with a part of the last run: %v", c.Entries())
	}
	if c.Add(Dot{1, last}) || !c.Contains(Dot{1, last}) || c.Max(1) != last {
		t.Fatal("the last seq is in the clock")
	}
	if !c.Add(Dot{1, 2}) || c.Base(1) != last {
		t.Fatalf("closing the hole: %v", c.Entries())
	}
	c.Union(&Clock{entries: []Entry{{Actor: 1, Base: 5}, {Actor: 2, Base: 5}}})
	if c.Base(1) != last || c.Base(2) != 5 {
		t.Fatalf("union below a full base: %v", c.Entries())
	}
}

// The union of clocks with very many holes is one pass, not one pass per hole.
func TestClockWithManyHoles(t *testing.T) {
	const n = 100_000
	odd, even := Entry{Actor: 1}, Entry{Actor: 1}
	for i := range uint64(n) {
		odd.Above = append(odd.Above, Range{4*i + 3, 4*i + 3})
		even.Above = append(even.Above, Range{4*i + 5, 4*i + 5})
	}
	a, b := Clock{entries: []Entry{odd}}, Clock{entries: []Entry{even}}
	a.Union(&b)
	if got := len(a.Entries()[0].Above); got != 2*n {
		t.Fatalf("%d runs, want %d", got, 2*n)
	}
	if !a.Covers(&b) || a.Contains(Dot{1, 4}) || !a.Contains(Dot{1, 4*(n-1) + 5}) {
		t.Fatal("wrong union")
	}
}

func TestVectorJoinAndCovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (Vector, map[Actor]uint64) {
			var v Vector
			ref := map[Actor]uint64{}
			for _, d := range genDots.Draw(t, name) {
				v = v.With(d)
				ref[d.Actor] = max(ref[d.Actor], d.Seq)
			}
			return v, ref
		}
		v, refV := draw("v")
		w, refW := draw("w")
		before := slices.Clone(v)
		join, all := v.Join(w), true
		for a := Actor(1); a <= 3; a++ {
			if join.Of(a) != max(refV[a], refW[a]) {
				t.Fatalf("%v.Join(%v) = %v", v, w, join)
			}
			all = all && refV[a] >= refW[a]
		}
		if v.CoversAll(w) != all || !join.CoversAll(v) || !join.CoversAll(w) {
			t.Fatalf("CoversAll of %v and %v", v, w)
		}
		if !slices.IsSortedFunc(join, Dot.Compare) || !slices.Equal(join, w.Join(v)) || !slices.Equal(v, before) {
			t.Fatalf("join %v of %v and %v", join, v, w)
		}
	})
}

func TestActorIsNeverZeroAndKeepsItsRandomBits(t *testing.T) {
	if NewActor(0, 0) == 0 {
		t.Fatal("actor zero")
	}
	const ms = 1_800_000_000_000
	if NewActor(ms, 2) == NewActor(ms, 3) || NewActor(ms, 1<<23-1)+1 != NewActor(ms+1, 0) {
		t.Fatal("23 bits of random below 41 bits of milliseconds")
	}
}
