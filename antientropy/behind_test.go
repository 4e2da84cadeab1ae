package antientropy

import (
	"testing"

	"shoal/causal"
	"shoal/wire"
)

// A replica that is being filled pulls nothing, is not whole, and says nothing about others being behind.
func TestAFillingReplicaInAPull(t *testing.T) {
	x := newWard(t, 2, nil)
	x.stores[0].write("k")
	x.stores[0].trim()
	x.stores[0].Fill(0, true)
	x.install(0, true)
	if x.pullers[0].Whole(0) {
		t.Fatal("whole")
	}
	x.pullers[0].Reset()
	x.pullers[0].Tick(x.now)
	x.pullers[0].Step(x.now, x.ids[1], []wire.Item{{Kind: wire.ItemPull, ID: 5, Clock: new(causal.Clock)}})
	if len(x.pullers[0].Outs()) != 0 {
		t.Fatalf("%+v", x.pullers[0].Outs())
	}
	x.pullers[0].Step(x.now, x.ids[1], []wire.Item{{Kind: wire.ItemPull, ID: 6, Clock: &x.stores[0].replica.Clock}})
	if out := x.pullers[0].Outs(); len(out) != 1 || out[0].Item.Has(wire.FlagWhole) {
		t.Fatalf("%+v", out)
	}
}

// The log may be trimmed while a pull is under way: a clock that came with a horizon above the one that was asked with
// is not taken over.
func TestAHorizonAboveTheQuestionsClockIsNotTakenOver(t *testing.T) {
	x := newWard(t, 2, nil)
	p := x.pullers[1]
	p.Tick(x.now)
	id := p.Outs()[0].Item.ID
	var clock causal.Clock
	d := causal.Dot{Actor: 77, Seq: 1}
	clock.Add(d)
	p.Step(x.now, x.ids[0], []wire.Item{{
		Kind: wire.ItemPulled, Flags: wire.FlagComplete | wire.FlagWhole, ID: id, Clock: &clock, Horizon: causal.Vector{d},
	}})
	if x.stores[1].replica.Clock.Contains(d) || p.Stats.Behind != 1 {
		t.Fatal("taken over")
	}
	x.refillers[1].Tick(x.now)
	if !x.stores[1].replica.Filling || p.Whole(0) {
		t.Fatal("not filled")
	}
}

// What closed the gap meanwhile makes a refusal no reason for a fill.
func TestARefusalOfAnOldClockIsNoReasonForAFill(t *testing.T) {
	x := newWard(t, 2, nil)
	p := x.pullers[1]
	p.Tick(x.now)
	id := p.Outs()[0].Item.ID
	d := causal.Dot{Actor: 77, Seq: 1}
	x.stores[1].replica.Clock.Add(d)
	p.Step(x.now, x.ids[0], []wire.Item{{Kind: wire.ItemPulled, Flags: wire.FlagRefused, ID: id, Horizon: causal.Vector{d}}})
	x.refillers[1].Tick(x.now)
	if x.stores[1].replica.Filling {
		t.Fatal("filled")
	}
}

// Two cap trims on both sides of a cut: each side is behind the other, and all must become whole again.
func TestTwoSidesOfACutFillEachOther(t *testing.T) {
	x := newWard(t, 3, nil)
	x.stores[0].write("k")
	x.pass(2000)
	x.part(0, 1, true)
	x.part(0, 2, true)
	a, b := x.stores[0].write("k"), x.stores[1].write("k")
	x.pass(2000)
	for _, s := range x.stores {
		s.trim()
	}
	x.part(0, 1, false)
	x.part(0, 2, false)
	x.pass(4000)
	x.equal()
	for i, s := range x.stores {
		if row := s.rows["k"]; row.Find(a) == nil || row.Find(b) == nil {
			t.Errorf("owner %d: %v", i, row)
		}
	}
}

// An owner that overwrote and trimmed its own dot has what no other can ever cover: merging asks nobody to.
func TestATrimmedDotOfOnesOwnIsNoObstacle(t *testing.T) {
	x := newWard(t, 3, nil)
	x.part(0, 1, true)
	x.part(0, 2, true)
	x.stores[0].write("k")
	last := x.stores[0].write("k")
	x.stores[1].write("j")
	x.pass(1500)
	x.stores[0].trim()
	x.stores[1].trim()
	x.part(0, 1, false)
	x.part(0, 2, false)
	x.pass(4000)
	x.equal()
	if x.stores[2].rows["k"].Find(last) == nil {
		t.Fatal("the value did not come")
	}
}
