package coord

import (
	"testing"

	"shoal/ring"
	"shoal/wire"
)

const e = 4

// sloppy is a cluster with two nodes that own nothing, of which the owners b and c are gone.
func sloppy(t *testing.T) *cluster {
	x := newClusterOf(t, 5)
	x.down(b)
	x.down(c)
	return x
}

func (x *cluster) value(i int, key string) string {
	for _, v := range x.stores[i].rows[key].Versions {
		return string(v.Payload)
	}
	return ""
}

func (x *cluster) hint(i int, key string) string {
	for _, v := range x.stores[i].hints[key].Versions {
		return string(v.Payload)
	}
	return ""
}

func TestAFallbackStandsInForAMissingOwner(t *testing.T) {
	x := sloppy(t)
	for _, at := range []int{a, d, e} {
		v := string(rune('0' + at))
		x.expect(x.do(at, plainSet(v)), wire.OK)
		if x.value(a, "k") != v || x.hint(d, "k") != v || x.hint(e, "k") != "" {
			t.Fatalf("owner %q, first fallback %q, second %q", x.value(a, "k"), x.hint(d, "k"), x.hint(e, "k"))
		}
	}
	if n := x.machines[a].Stats.SloppyWrites; n != 3 {
		t.Errorf("%d sloppy writes", n)
	}
}

func TestNoHintsWhileOwnersAreEnough(t *testing.T) {
	x := newClusterOf(t, 5)
	x.down(c)
	x.expect(x.do(a, plainSet("v")), wire.OK)
	if len(x.stores[d].hints)+len(x.stores[e].hints) != 0 || x.machines[a].Stats.SloppyWrites != 0 {
		t.Fatal("a hint, and W owners are there")
	}
}

func TestAHintThatIsRefusedGoesToTheNext(t *testing.T) {
	x := sloppy(t)
	x.stores[d].full = true
	x.expect(x.do(a, plainSet("v")), wire.OK)
	if x.hint(e, "k") != "v" {
		t.Fatal("the second fallback was not asked")
	}
	x.stores[e].full = true
	r := x.do(a, plainSet("w")) // stored at a: nobody can say that it never was
	x.expect(r, wire.Uncertain)
	if r.Reached != 1 || r.Wanted != 2 {
		t.Fatalf("%d of %d", r.Reached, r.Wanted)
	}
}

func TestNoOwnerNoWrite(t *testing.T) {
	x := sloppy(t)
	x.down(a)
	x.expect(x.do(d, plainSet("v")), wire.NoReplicas)
}

// W places need W-1 fallbacks that are up; what is certain before anything is written is said before.
func TestTooFewFallbacksWriteNothing(t *testing.T) {
	x := sloppy(t)
	for _, m := range x.machines {
		m.cfg.W = 3
	}
	x.expect(x.do(a, plainSet("v")), wire.OK) // d for b, e for c
	x.down(e)
	seq := x.stores[a].replica.Seq
	x.expect(x.do(a, plainSet("w")), wire.NoReplicas)
	if x.stores[a].replica.Seq != seq {
		t.Fatal("a dot was issued")
	}
}

// Two hints, of which one stands in for an owner that has the write as well, are two places and not three.
func TestAPlaceCountsOnce(t *testing.T) {
	x := newClusterOf(t, 5)
	for _, m := range x.machines {
		m.cfg.W = 3
	}
	x.down(c)
	x.held[[2]int{b, a}], x.held[[2]int{d, a}] = true, true
	id := x.begin(a, plainSet("v")) // b is asked, d stands in for c; neither answer arrives
	x.machines[a].Down(x.now, x.ids[b])
	x.settle() // e stands in for b
	x.machines[a].Up(x.ids[b])
	x.held = map[[2]int]bool{}
	p := x.machines[a].waiting.find(x.machines[a].waiting.last)
	if p == nil || p.met().count() != 2 {
		t.Fatal("a and e for b are two places")
	}
	p.asked.add(1) // b is asked again, as by a hedge
	if p.open() != 1<<2 {
		t.Fatalf("open places %b: what b may answer brings no other place", p.open())
	}
	x.machines[a].Step(x.now, x.ids[b], []wire.Item{{Kind: wire.ItemAck, ID: p.id}})
	x.settle()
	if _, ok := x.done[id]; ok {
		t.Fatal("b and the node that stands in for it were counted as two")
	}
	x.machines[a].Step(x.now, x.ids[d], []wire.Item{{Kind: wire.ItemAck, ID: p.id}})
	x.settle()
	x.expect(x.done[id], wire.OK)
}

func TestOwnersThatFailDuringAWriteAreStoodInFor(t *testing.T) {
	x := newClusterOf(t, 5)
	x.held[[2]int{a, b}], x.held[[2]int{a, c}] = true, true
	id := x.begin(a, plainSet("v"))
	x.down(b)
	if _, ok := x.done[id]; ok || len(x.stores[d].hints) != 0 {
		t.Fatal("c is up and has not answered: no fallback is asked yet")
	}
	x.down(c)
	x.expect(x.done[id], wire.OK)
	if x.hint(d, "k") != "v" {
		t.Fatal("no hint")
	}
}

// An owner that is up and silent costs a hedge, not the write, while another is down.
func TestAHedgeMayGoToAFallback(t *testing.T) {
	x := newClusterOf(t, 5)
	x.down(b)
	x.held[[2]int{a, c}] = true
	id := x.begin(a, plainSet("v"))
	x.wait(10)
	x.expect(x.done[id], wire.OK)
	if x.hint(d, "k") != "v" {
		t.Fatal("no hint")
	}
}

func TestAFallbackThatGoesIsReplaced(t *testing.T) {
	x := sloppy(t)
	x.held[[2]int{a, d}] = true
	id := x.begin(a, plainSet("v"))
	x.down(d)
	x.expect(x.done[id], wire.OK)
	if x.hint(e, "k") != "v" {
		t.Fatal("no hint")
	}
}

// With fewer than R owners a reader takes in what fallbacks keep. It is merged, and agrees with nobody.
func TestAReadWithTooFewOwnersSeesHints(t *testing.T) {
	x := sloppy(t)
	x.expect(x.do(a, plainSet("v")), wire.OK)
	x.down(a)
	up := func(n int) {
		for i := range x.machines {
			if i != n && i != a && i != c {
				x.machines[i].Up(x.ids[n])
				x.machines[n].Up(x.ids[i])
			}
		}
	}
	up(b)
	if r := x.do(b, op(wire.OpGet)); string(r.Value) != "v" {
		t.Fatalf("%+v", r)
	}
	if x.machines[b].Stats.SloppyReads != 1 {
		t.Fatal("a read with one owner is a sloppy one")
	}
	x.expect(x.do(b, plainSet("w")), wire.OK)
	if r := x.do(b, op(wire.OpSiblings)); r.Int != 1 {
		t.Fatalf("%d siblings: the write at b had not seen the hint", r.Int)
	}
	x.whole[b] = false
	x.expect(x.do(b, op(wire.OpGet)), wire.ClusterDown)
	x.whole[b] = true
	x.machines[b].cfg.Strict = true
	x.expect(x.do(b, op(wire.OpGet)), wire.ClusterDown)
}

// A fallback that does not answer is not waited for longer than a hedge.
func TestHintsAreNotWaitedForLong(t *testing.T) {
	x := sloppy(t)
	x.held[[2]int{a, d}], x.held[[2]int{a, e}] = true, true
	id := x.begin(a, op(wire.OpGet))
	if _, ok := x.done[id]; ok {
		t.Fatal("the fallbacks were not asked")
	}
	x.wait(10)
	x.expect(x.done[id], wire.OK)

	x = newClusterOf(t, 5)
	x.down(c)
	x.held[[2]int{a, b}], x.held[[2]int{a, d}], x.held[[2]int{a, e}] = true, true, true
	id = x.begin(a, op(wire.OpGet))
	x.wait(8)
	x.down(b) // only now the fallbacks are asked
	x.wait(5)
	if _, ok := x.done[id]; ok {
		t.Fatal("the time to wait is that of the owners")
	}
	x.wait(5)
	x.expect(x.done[id], wire.OK)
}

// A flush needs owners: what it drops is joined from their clocks.
func TestAFlushNeedsOwners(t *testing.T) {
	x := sloppy(t)
	x.expect(x.do(a, wire.Op{Code: wire.OpFlush}), wire.NoReplicas)
}

func TestFallbacksAreForgottenWithTheirMap(t *testing.T) {
	x := sloppy(t)
	x.expect(x.do(a, plainSet("v")), wire.OK)
	m := x.machines[a]
	if len(m.fallbacks) != 1 {
		t.Fatal("not kept")
	}
	m.Install(m.ring)
	if m.fallbacks != nil || len(m.fallbacksOf(ring.Partition(0))) != 2 {
		t.Fatal("kept for the next map")
	}
}
