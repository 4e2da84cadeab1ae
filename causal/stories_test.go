package causal

import (
	"slices"
	"testing"
)

// Directed stories: the known ways in which stores of this family lose or revive data, each told step by step.

// node is a replica with one key.
type node struct {
	Replica
	row Container
}

func newNode(life Actor) *node { return &node{Replica: Replica{Life: life}} }

// put writes the value under a context and returns the whole container, as it is sent.
func (n *node) put(value string, ctx Context) Container {
	return n.write(Version{Kind: KindString, Payload: []byte(value)}, ctx)
}

// set is a plain SET: everything that the coordinator holds is the context.
func (n *node) set(value string) Container { return n.put(value, n.row.Context()) }

func (n *node) del() Container {
	return n.write(Version{Kind: KindTombstone}, n.row.Context())
}

func (n *node) write(v Version, ctx Context) Container {
	v.Dot = n.Next()
	v.HLC = v.Dot.Seq << 16
	n.row = n.View(n.row).Discard(ctx).Add(v)
	n.Mark([]Dot{v.Dot})
	return n.row
}

func (n *node) take(in Container) Admitted {
	out := n.Admit(n.View(n.row), in)
	n.row = out.Row
	n.Mark(out.Fresh)
	return out
}

func (n *node) values() []string { return valuesOf(n.View(n.row)) }

func valuesOf(c Container) []string {
	var out []string
	for _, v := range c.Versions {
		if v.Kind != KindTombstone {
			out = append(out, string(v.Payload))
		}
	}
	slices.Sort(out)
	return out
}

func expect(t *testing.T, who string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Fatalf("%s has %q, want %q", who, got, want)
	}
}

// The worked example of dotted version vector sets: two clients, contexts that go stale, two coordinators.
func TestStoryTwoClientsTwoCoordinators(t *testing.T) {
	a, b := newNode(1), newNode(2)
	x := a.put("v1", Context{}).Context()
	both := a.put("v2", Context{}).Context()
	expect(t, "a, two blind writes", a.values(), "v1", "v2")

	a.put("v3", x) // saw v1 alone; a vector of servers without dots would keep v1 as a false sibling
	expect(t, "a", a.values(), "v2", "v3")

	b.take(a.row)
	b.put("v4", b.row.Context())
	expect(t, "b", b.values(), "v4")

	a.put("v5", both) // saw v1 and v2, not v3
	expect(t, "a", a.values(), "v3", "v5")

	a.take(b.row)
	b.take(a.row)
	expect(t, "a", a.values(), "v4", "v5") // v3 was overwritten by v4
	expect(t, "b", b.values(), "v4", "v5")
}

// Plain writes through all coordinators at once leave one sibling each at most, and the next write replaces them all.
func TestStoryBlindLoadDoesNotPileUpSiblings(t *testing.T) {
	nodes := []*node{newNode(1), newNode(2), newNode(3)}
	for range 100 {
		for _, n := range nodes {
			n.set("v")
		}
		for _, n := range nodes {
			for _, m := range nodes {
				n.take(m.row)
			}
			if got := len(n.row.Versions); got > len(nodes) {
				t.Fatalf("%d siblings of %d coordinators", got, len(nodes))
			}
		}
	}
	nodes[1].set("last")
	expect(t, "the coordinator", nodes[1].values(), "last")
}

// Doomstone: a tombstone is reaped, the key is made again, and an old copy of the tombstone arrives. With a counter per
// key the new value would carry an old dot and die. Here seq counts per replica and goes on.
func TestStoryLateTombstoneDoesNotKillARecreatedKey(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("old"))
	doomstone := a.del()
	b.take(doomstone)
	a.row, b.row = Container{}, Container{} // reaped: both have processed it

	b.take(a.set("new"))
	a.take(doomstone)
	b.take(doomstone)
	expect(t, "a", a.values(), "new")
	expect(t, "b", b.values(), "new")
}

// The other side of it: after the reaping a late copy of the deleted value must not bring it back, nor leave anything.
func TestStoryLateValueAfterReaping(t *testing.T) {
	a, b := newNode(1), newNode(2)
	late := a.set("deleted")
	b.take(late)
	b.take(a.del())
	a.row, b.row = Container{}, Container{}

	for _, n := range []*node{a, b} {
		if out := n.take(late); out.Changed || len(out.Fresh) > 0 || !n.row.Empty() {
			t.Fatalf("a late message left %v", n.row)
		}
	}
}

// The rule works dot by dot: a frame that carries one old dot and one new one loses the old one only.
func TestStoryLateDotAndFreshDotInOneContainer(t *testing.T) {
	a, b, c := newNode(1), newNode(2), newNode(3)
	old := a.set("old")
	c.take(old)
	for _, n := range []*node{b, c} {
		n.Mark([]Dot{{1, 1}}) // b processed it, deleted it and reaped all
	}
	c.put("new", Context{})
	expect(t, "c", c.values(), "new", "old")

	out := b.take(c.row)
	expect(t, "b", b.values(), "new")
	if !slices.Equal(out.Fresh, []Dot{{3, 1}}) {
		t.Fatalf("fresh %v", out.Fresh)
	}
}

// Amnesia: a replica that lost its last writes and goes on under its old actor issues the same dots again, and its
// acknowledged write is taken for one that others have long overwritten. A fresh life cannot.
func TestStoryActorUsedAgainLosesAnAcknowledgedWrite(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("v1"))
	b.set("v2") // has seen and replaced (1,1)

	again := newNode(1) // the disk is gone, the actor is not
	acknowledged := again.set("acknowledged")
	b.take(acknowledged)
	expect(t, "b, which drops it as seen", b.values(), "v2")

	reborn := newNode(3)
	b.take(reborn.set("acknowledged"))
	expect(t, "b", b.values(), "acknowledged", "v2")
}

// A bare delta, dot and context without the rest of the row, says (1,2) and cannot say "but not (1,1)". If it comes
// first, the concurrent (1,1) looks seen. The whole container does not have that fault in either order.
func TestStoryBareDeltaLosesAnAcknowledgedWrite(t *testing.T) {
	a := newNode(1)
	first := a.put("first", Context{})
	second := a.put("second", Context{}) // concurrent: its client had seen nothing
	delta := Container{Versions: second.Versions[1:], Vector: second.Vector}

	lossy := newNode(2)
	lossy.take(delta)
	lossy.take(first)
	expect(t, "who took the delta first", lossy.values(), "second")

	for _, order := range [][]Container{{first, second}, {second, first}} {
		b := newNode(2)
		b.take(order[0])
		b.take(order[1])
		expect(t, "who took whole containers", b.values(), "first", "second")
	}
}

// Two writes that are still pending are both told "I have seen something you have not" and extend their own contexts
// by it. Then each covers the other's overwriter and all four acknowledged values vanish. A second attempt must be a
// new dot, whose context nobody knows yet.
func TestStoryExtendedContextsEatEachOther(t *testing.T) {
	one := func(d Dot, seen ...Dot) Container {
		v := Vector{}.With(d)
		for _, s := range seen {
			v = v.With(s)
		}
		return Container{Versions: []Version{{Dot: d, Kind: KindString, Payload: []byte{'a' + byte(d.Actor) - 1}}}, Vector: v}
	}
	mergeAll := func(all ...Container) Container {
		out := Container{}
		for _, c := range all {
			out = Merge(out, c)
		}
		return out
	}
	a, b, y, z := Dot{1, 1}, Dot{2, 1}, Dot{3, 1}, Dot{4, 1}
	overB, overZ := one(b, y), one(z, a) // b overwrites y, z overwrites a

	expect(t, "contexts as they were", valuesOf(mergeAll(one(a), overB, one(y), overZ)), "b", "d")
	expect(t, "contexts extended", valuesOf(mergeAll(one(a, b), overB, one(y, z), overZ)))
}

// A client that keeps writing under the context it was given replaces its own writes and nobody else's.
func TestStoryContextOfAVSETCoversItsOwnDotAlone(t *testing.T) {
	a := newNode(1)
	ctx := Context{}
	for _, value := range []string{"mine 1", "mine 2", "mine 3"} {
		a.put("other "+value, Context{})
		a.put(value, ctx)
		ctx = ctx.With(Dot{1, a.Seq})
	}
	expect(t, "a", a.values(), "mine 3", "other mine 1", "other mine 2", "other mine 3")
}

// A context that is ahead of the coordinator: Discard does not raise the vector by it, so what the client has seen and
// the coordinator has not comes as a false sibling. That is why the coordinator reads a quorum first. Nothing is lost.
func TestStoryContextAheadOfTheCoordinator(t *testing.T) {
	a, b := newNode(1), newNode(2)
	ctx := a.set("seen by the client").Context()
	if b.Clock.CoversVector(ctx.Vector) {
		t.Fatal("b must notice that it is stale")
	}
	stale := newNode(3)
	stale.put("new", ctx)
	stale.take(a.row)
	expect(t, "who wrote at once", stale.values(), "new", "seen by the client")

	b.take(a.row) // the quorum read
	b.put("new", ctx)
	a.take(b.row)
	expect(t, "who read first", b.values(), "new")
	expect(t, "a", a.values(), "new")
}

// An EXPIRE writes a new version of each live value, each replacing its own. A concurrent SET stays beside it.
func TestStoryNewExpiryReplacesOnlyItsOwnVersion(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("v"))
	a.write(Version{Kind: KindString, Payload: []byte("v until 9"), Expiry: 9}, Context{}.With(Dot{1, 1}))
	b.set("w")
	a.take(b.row)
	expect(t, "a", a.values(), "v until 9", "w")
	if shown := a.row.Shown(9); shown == nil || string(shown.Payload) != "w" {
		t.Fatalf("at its expiry the version is absent, shown is %v", shown)
	}
}

// A flush drops what it names, also when it arrives later; what it does not name stays; and the vector stays, because
// what a dropped value had superseded is still superseded.
func TestStoryFlush(t *testing.T) {
	a, b := newNode(1), newNode(2)
	first := a.set("first")
	b.take(first)
	second := a.set("second")
	var dropped Clock
	dropped.Add(Dot{1, 2}) // whoever decided the flush knew second alone

	b.Flush(&dropped)
	expect(t, "b, not reached by second", b.values(), "first")
	out := b.take(second)
	if !slices.Equal(out.Fresh, []Dot{{1, 2}}) {
		t.Fatalf("a dropped dot is processed all the same, fresh is %v", out.Fresh)
	}
	expect(t, "b, where second replaced first and is dropped", b.values())
	b.take(first)
	expect(t, "b, after the late first", b.values())

	b.put("after", Context{})
	expect(t, "b", b.values(), "after")
	a.Flush(&dropped)
	a.take(b.row)
	expect(t, "a", a.values(), "after")
}

// Before everybody's clock covers it, the vector of a flushed row must be kept: without it the value that a dropped
// one had superseded lives on where the dropped one never came.
func TestStoryFlushedRowForgottenTooEarly(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("old"))
	b.set("new")
	var dropped Clock
	dropped.Add(Dot{2, 1})
	a.Flush(&dropped)
	b.Flush(&dropped)

	kept := b.View(b.row)
	b.row = Container{} // too early: a has not processed (2,1)
	a.Clock.Union(&b.Clock)
	expect(t, "a, told only b's clock", a.values(), "old")
	a.take(kept)
	expect(t, "a, told b's vector", a.values())
}

// A row that is lost here while the clock remembers it must stay "no information". A vector without the versions would
// be sent on as "superseded" and delete the value where it is still safe.
func TestStoryLostRowDoesNotDeleteElsewhere(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("safe"))
	b.row = Container{} // bit rot
	b.take(a.row)
	if !b.row.Empty() {
		t.Fatalf("b says %v of a row it lost", b.row)
	}
	a.take(b.row)
	expect(t, "a", a.values(), "safe")
}

// One dot names one value for ever. Two values are an alarm; nobody's row changes because of it.
func TestStoryTwoValuesUnderOneDot(t *testing.T) {
	a, twin, b := newNode(1), newNode(1), newNode(2)
	b.take(a.set("one"))
	out := b.take(twin.set("another"))
	if !out.TwoValues || out.Changed {
		t.Fatalf("%+v", out)
	}
	expect(t, "b", b.values(), "one")
	if out := b.take(a.row); out.TwoValues {
		t.Fatal("the same value again is no alarm")
	}
}

// An ack says whether the replica held a value that the write had not seen. Tombstones do not count.
func TestStoryAckReportsUncoveredValues(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.set("unseen")
	if out := b.take(a.set("v")); !out.Uncovered {
		t.Fatal("b held a value that a's write had not seen")
	}
	a.take(b.row)
	if out := b.take(a.set("v")); out.Uncovered {
		t.Fatal("a had seen everything")
	}
	b.del()
	if out := b.take(a.set("w")); out.Uncovered {
		t.Fatal("a tombstone is no value")
	}
}
