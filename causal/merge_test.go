package causal

import (
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// expanded is a container written out: the dots it has taken in, and those of them that are still there.
type expanded struct{ taken, there dots }

func expand(c Container) expanded {
	x := expanded{dots{}, dots{}}
	for _, d := range c.Vector {
		for seq := uint64(1); seq <= d.Seq; seq++ {
			x.taken[Dot{d.Actor, seq}] = true
		}
	}
	for _, d := range dotsOf(c.Versions) {
		x.there[d] = true
	}
	return x
}

// merge keeps a dot unless a side has taken it in and no longer has it.
func (x expanded) merge(y expanded) expanded {
	out := expanded{dots{}, dots{}}
	out.taken.add(x.taken)
	out.taken.add(y.taken)
	for d := range out.taken {
		if !(x.taken[d] && !x.there[d]) && !(y.taken[d] && !y.there[d]) {
			out.there[d] = true
		}
	}
	return out
}

func checkExpanded(t *rapid.T, got Container, want expanded) {
	t.Helper()
	if x := expand(got); !reflect.DeepEqual(x, want) {
		t.Fatalf("got %v, want dots %v of %v", got, want.there.sorted(), want.taken.sorted())
	}
	if !slices.IsSortedFunc(got.Versions, func(a, b Version) int { return a.Dot.Compare(b.Dot) }) {
		t.Fatalf("versions out of order: %v", got)
	}
}

func TestMergeLaws(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := genContainer.Draw(t, "a"), genContainer.Draw(t, "b"), genContainer.Draw(t, "c")
		bytesA, bytesB := a.Append(nil), b.Append(nil)
		ab := Merge(a, b)

		checkExpanded(t, ab, expand(a).merge(expand(b)))
		if !Same(ab, Merge(b, a)) {
			t.Fatalf("not commutative: %v", ab)
		}
		if left, right := Merge(ab, c), Merge(a, Merge(b, c)); !Same(left, right) {
			t.Fatalf("not associative: %v and %v", left, right)
		}
		if !Same(Merge(a, a), a) || !Same(Merge(ab, a), ab) || !Same(Merge(b, ab), ab) {
			t.Fatalf("not idempotent: %v", ab)
		}
		if !slices.Equal(bytesA, a.Append(nil)) || !slices.Equal(bytesB, b.Append(nil)) {
			t.Fatal("merge changed an operand")
		}
	})
}

// Nothing is forgotten: what one side has taken in stays taken in, and what one side superseded stays superseded.
func TestMergeIsMonotone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := genContainer.Draw(t, "a"), genContainer.Draw(t, "b")
		ab, more := Merge(a, b), Merge(Merge(a, genContainer.Draw(t, "c")), b)
		for _, c := range []Container{a, b} {
			if !ab.Vector.CoversAll(c.Vector) {
				t.Fatalf("%v has not taken in %v", ab, c)
			}
			for d := range expand(c).taken {
				if c.Find(d) == nil && ab.Find(d) != nil {
					t.Fatalf("%v is back in %v", d, ab)
				}
			}
		}
		if !Same(Merge(ab, more), more) { // a <= a+c  =>  a+b <= a+c+b
			t.Fatalf("%v is not above %v", more, ab)
		}
	})
}

// Containers of real histories merge as the sets of events do that they stand for.
func TestMergeOfHistoriesIsUnionOfEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rows := make([]events, 3) // one replica, one actor each
		for range rapid.IntRange(1, 20).Draw(t, "steps") {
			i, j := rapid.IntRange(0, 2).Draw(t, "to"), rapid.IntRange(0, 2).Draw(t, "from")
			if i != j {
				a, b := rows[i].container(), rows[j].container()
				rows[i] = rows[i].union(rows[j])
				if got, want := Merge(a, b), rows[i].container(); !Same(got, want) {
					t.Fatalf("merge of %v and %v is %v, want %v", a, b, got, want)
				}
				continue
			}
			seen := rows[i]
			if rapid.Bool().Draw(t, "has seen nothing") {
				seen = nil
			}
			e := &event{key: "x", dot: Dot{Actor(i + 1), rows[i].vector().Of(Actor(i+1)) + 1}, kind: KindString, seen: seen}
			rows[i] = rows[i].union(setOf(e))
		}
	})
}

func TestMergeWithNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genContainer.Draw(t, "c")
		if !Same(Merge(c, Container{}), c) || !Same(Merge(Container{}, c), c) {
			t.Fatal("the empty container says nothing")
		}
	})
}

func TestDiscardAndAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, ctx := genContainer.Draw(t, "c"), genContext.Draw(t, "ctx")
		before := c.Append(nil)
		v := versionUnder(Dot{Actor(rapid.IntRange(1, 3).Draw(t, "actor")), 15})
		out := c.Discard(ctx).Add(v)

		want := []Dot{v.Dot}
		for _, d := range dotsOf(c.Versions) {
			if !ctx.Covers(d) {
				want = append(want, d)
			}
		}
		slices.SortFunc(want, Dot.Compare)
		if !slices.Equal(dotsOf(out.Versions), want) {
			t.Fatalf("%v without %v and with %v is %v", c, ctx, v.Dot, out)
		}
		if wantVector := c.Vector.Join(Vector{v.Dot}); !slices.Equal(out.Vector, wantVector) {
			t.Fatalf("vector %v, want %v", out.Vector, wantVector)
		}
		if !slices.Equal(before, c.Append(nil)) {
			t.Fatal("the operand changed")
		}
	})
}

func TestContextWithIsOneDotMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x, d := genContext.Draw(t, "context"), genDot.Draw(t, "dot")
		more := x.With(d)
		for a := Actor(1); a <= 3; a++ {
			for seq := uint64(1); seq <= 15; seq++ {
				e := Dot{a, seq}
				if more.Covers(e) != (x.Covers(e) || e == d) {
					t.Fatalf("%v with %v covers %v: %v", x, d, e, more.Covers(e))
				}
			}
		}
	})
}

// Who merges two values under one dot keeps its own, whatever the vectors say; that it happened is Admit's to report.
func TestMergeKeepsTheFirstOfTwoValues(t *testing.T) {
	d := Dot{1, 1}
	mine := Container{Versions: []Version{{Dot: d, Kind: KindString, Payload: []byte("mine")}}, Vector: Vector{d}}
	theirs := Container{Versions: []Version{{Dot: d, Kind: KindString, Payload: []byte("theirs")}}, Vector: Vector{d, {2, 9}}}
	if got := Merge(mine, theirs).Find(d); string(got.Payload) != "mine" {
		t.Fatalf("kept %q", got.Payload)
	}
}

func TestShown(t *testing.T) {
	value := func(actor, seq, hlc uint64, expiry int64) Version {
		return Version{Dot: Dot{Actor(actor), seq}, Kind: KindString, HLC: hlc, Expiry: expiry}
	}
	tombstone := Version{Dot: Dot{9, 9}, Kind: KindTombstone, HLC: 1 << 60}
	for _, c := range []struct {
		name     string
		versions []Version
		want     Dot
		live     int
	}{
		{"nothing", nil, Dot{}, 0},
		{"a tombstone alone", []Version{tombstone}, Dot{}, 0},
		{"a value beats a later concurrent tombstone", []Version{value(1, 1, 5, 0), tombstone}, Dot{1, 1}, 1},
		{"the largest hlc", []Version{value(1, 9, 5, 0), value(2, 1, 6, 0), value(3, 7, 5, 0)}, Dot{2, 1}, 3},
		{"then the largest actor", []Version{value(1, 9, 5, 0), value(2, 1, 5, 0)}, Dot{2, 1}, 2},
		{"then the largest seq", []Version{value(1, 8, 5, 0), value(1, 9, 5, 0)}, Dot{1, 9}, 2},
		{"expired is absent", []Version{value(1, 1, 9, 1000), value(2, 1, 5, 1001)}, Dot{2, 1}, 1},
	} {
		container := Container{Versions: c.versions}
		got := Dot{}
		if v := container.Shown(1000); v != nil {
			got = v.Dot
		}
		if got != c.want || container.LiveCount(1000) != c.live {
			t.Errorf("%s: shows %v of %d, want %v of %d", c.name, got, container.LiveCount(1000), c.want, c.live)
		}
	}
}
