package coord

import (
	"testing"

	"shoal/wire"
)

func TestAForwardedReadIsHedged(t *testing.T) {
	x := newCluster(t)
	x.expect(x.do(a, plainSet("v")), wire.OK)
	x.held[[2]int{d, a}], x.held[[2]int{b, a}] = true, true
	id := x.begin(d, op(wire.OpGet))
	x.wait(10)
	x.wait(10)
	if r := x.done[id]; string(r.Value) != "v" {
		t.Fatalf("%+v", r)
	}
}

func TestHedgesAreRare(t *testing.T) {
	var p patience
	for range 10 {
		p.ended()
	}
	if !p.spend() || p.spend() {
		t.Error("one operation in ten may be asked for twice")
	}
	for range 990 {
		p.saw(0)
	}
	for range 9 {
		p.saw(30)
	}
	if d := p.delay(100); d != leastHedge {
		t.Errorf("1 answer in 100 is slow, and others are asked after %d ms", d)
	}
	for range 10 * windowSize {
		p.saw(30)
	}
	if d := p.delay(100); d != 32 {
		t.Errorf("answers take 30 ms, and others are asked after %d ms", d)
	}
	if d := p.delay(20); d != 20 {
		t.Errorf("%d ms", d)
	}
}

func TestAnOwnerThatLagsIsAskedLast(t *testing.T) {
	x := newCluster(t)
	x.held[[2]int{a, b}] = true // b is up and does not answer
	id := x.begin(a, plainSet("1"))
	if _, ok := x.done[id]; ok {
		t.Fatal("acknowledged without a second copy")
	}
	x.wait(10)
	x.expect(x.done[id], wire.OK)
	for range 100 {
		x.expect(x.do(a, plainSet("2")), wire.OK)
		x.expect(x.do(a, op(wire.OpGet)), wire.OK)
	}
	if h := x.machines[a].Stats.Hedges; h != 1 {
		t.Errorf("%d hedges", h)
	}
	x.held = map[[2]int]bool{}
	x.wait(lagsFor)
	x.expect(x.do(a, plainSet("3")), wire.OK)
	if v := x.stores[b].rows["k"].Versions; len(v) != 1 || string(v[0].Payload) != "3" {
		t.Errorf("b holds %+v", v)
	}
}

func TestNoReadWaitsForAFirstOwnerThatLags(t *testing.T) {
	x := newCluster(t)
	x.expect(x.do(a, plainSet("1")), wire.OK)
	x.held[[2]int{b, a}] = true
	id := x.begin(b, op(wire.OpGet))
	x.wait(10)
	x.expect(x.done[id], wire.OK)
	hedges := x.machines[b].Stats.Hedges
	if hedges != 1 {
		t.Fatalf("%d hedges", hedges)
	}
	for range 100 {
		if r := x.do(b, op(wire.OpGet)); string(r.Value) != "1" {
			t.Fatalf("%+v", r)
		}
	}
	if h := x.machines[b].Stats.Hedges; h != hedges {
		t.Errorf("%d hedges", h)
	}
	x.machines[b].lagging[x.ids[c]] = x.now + lagsFor
	x.held = map[[2]int]bool{}
	x.sent = 0
	if x.do(b, op(wire.OpGet)); x.sent != 2 {
		t.Errorf("%d messages where all lag", x.sent)
	}
}

func TestForwardedWritesDoNotMeasure(t *testing.T) {
	x := newCluster(t)
	m := x.machines[b]
	for range 200 {
		x.token++
		m.Exec(x.now, x.token, []wire.Op{plainSet("v")})
		sent := lasting(m.Effects().Peers[0].Items)
		m.Reset()
		x.wait(90)
		x.machines[a].Step(x.now, x.ids[b], sent)
		x.settle()
		x.expect(x.done[x.token], wire.OK)
	}
	if d := m.patience.delay(100); d != leastHedge {
		t.Errorf("others are asked after %d ms", d)
	}
}

func TestForwardedWritesSpendNoHedges(t *testing.T) {
	x := newCluster(t)
	x.held[[2]int{b, a}] = true
	id := x.begin(b, plainSet("v"))
	saved := x.machines[b].patience.saved
	for range 5 {
		x.wait(100)
	}
	if m := x.machines[b]; m.Stats.Hedges != 0 || m.patience.saved != saved {
		t.Errorf("%d hedges, %d of %d saved", m.Stats.Hedges, m.patience.saved, saved)
	}
	x.wait(500)
	x.expect(x.done[id], wire.Uncertain)
}
