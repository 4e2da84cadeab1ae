package antientropy

import (
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// stable is what the first owner takes for stable.
func (x *owners) stable(t *testing.T, known bool) causal.Vector {
	t.Helper()
	v, ok := x.pullers[0].Lives().Stable(0)
	if ok != known {
		t.Fatalf("known: %v, %v", ok, v)
	}
	return v
}

func (x *owners) everyPull() {
	x.now += 100_000
	x.settle()
}

// Only what every owner has told to be durable, without a hole, is stable. A power cut takes the rest, and what it deleted
// would come back.
func TestStableIsWhatEveryOwnerHoldsDurably(t *testing.T) {
	x := newOwners(t, 3, 2, true, nil)
	for _, s := range x.stores {
		s.sync()
	}
	x.connect(0, 1)
	x.connect(1, 2)
	d := x.stores[0].write("k")
	x.settle()
	x.stable(t, false) // the third owner was never heard of
	x.connect(0, 2)
	x.settle()
	if v := x.stable(t, true); len(v) != 0 {
		t.Fatalf("stable in memory: %v", v)
	}
	for i := range x.stores {
		x.everyPull()
		if v := x.stable(t, true); v.Covers(d) {
			t.Fatalf("stable before owner %d has synced: %v", i, v)
		}
		x.stores[i].sync()
	}
	x.everyPull()
	if v := x.stable(t, true); !slices.Equal(v, causal.Vector{d}) {
		t.Fatalf("not stable: %v", v)
	}
	x.stores[1].replica.Mark([]causal.Dot{{Actor: d.Actor, Seq: 3}, {Actor: 99, Seq: 7}})
	x.everyPull()
	for _, s := range x.stores {
		s.sync()
	}
	x.everyPull()
	if v := x.stable(t, true); !slices.Equal(v, causal.Vector{d}) {
		t.Fatalf("stable above a hole: %v", v)
	}
	x.stores[0].replica.Filling = true
	x.stable(t, false)
	x.stores[0].replica.Filling = false
	x.pullers[0].Down(x.now, x.ids[1])
	x.stable(t, true) // what was durable stays so
	x.pullers[0].Lives().FillingIf(func(_ ring.Partition, n ring.NodeID) bool { return n == x.ids[2] })
	x.stable(t, false)
}

// A disk that went back in time shows a smaller clock in its next life, which must replace the old one: its replica may
// lack what was durable. Of one life a smaller clock is an old message.
func TestANewLifeReplacesWhatWasRemembered(t *testing.T) {
	x := newOwners(t, 2, 2, true, nil)
	m, peer := x.pullers[0].Lives(), x.ids[1]
	large, small := causal.Upto(5, 9), causal.Upto(5, 3)
	m.Heard(0, peer, 11, &large)
	m.Heard(0, peer, 11, &small)
	if c := m.Durable(0, peer); c.Base(5) != 9 || !m.Current(0, 11) {
		t.Fatalf("an old message of the same life counts: %v", c)
	}
	m.Heard(0, peer, 12, &small)
	if c := m.Durable(0, peer); c.Base(5) != 3 || m.Current(0, 11) || !m.Current(0, 12) || !m.Current(0, 10) {
		t.Fatalf("the new life's clock does not count: %v", c)
	}
	m.Heard(0, x.ids[0], 13, &large)
	m.Heard(0, 77, 13, &large)
	m.Heard(9, peer, 13, &large)
	m.Heard(0, peer, 13, nil)
	if m.Current(0, 13) || !m.Known(0) || m.Durable(0, 77) != nil {
		t.Fatal("heard of strangers")
	}
}

// Both directions of a pull carry the durable clock, so one pull tells both ends.
func TestBothDirectionsOfAPullTellTheDurableClock(t *testing.T) {
	x := newOwners(t, 2, 2, true, nil)
	x.stores[0].write("k")
	x.stores[1].write("j")
	for _, s := range x.stores {
		s.sync()
	}
	x.pullers[1].Up(x.now, x.ids[0]) // only this one asks
	x.settle()
	for i := range x.pullers {
		if c := x.pullers[i].Lives().Durable(0, x.ids[1-i]); c == nil || c.Base(x.stores[1-i].replica.Life) != 1 {
			t.Errorf("owner %d has heard %v", i, c)
		}
	}
}

// A horizon may rise while a question is on its way. The clock is not taken over then, but nothing is wrong: the puller
// asks again at once.
func TestAHorizonThatRoseMeanwhile(t *testing.T) {
	x := newOwners(t, 2, 2, false, nil)
	d := x.stores[0].write("k")
	x.pullers[1].Up(x.now, x.ids[0])
	x.pullers[1].Tick(x.now)
	question := slices.Clone(x.pullers[1].Outs())
	x.pullers[1].Reset()
	x.stores[1].replica.Mark([]causal.Dot{d}) // comes by another way, is durable, is trimmed
	x.stores[0].replica.Horizon = causal.Vector{d}
	x.pullers[0].Step(x.now, x.ids[1], []wire.Item{question[0].Item})
	answer := slices.Clone(x.pullers[0].Outs())
	x.pullers[0].Reset()
	x.pullers[1].Step(x.now, x.ids[0], []wire.Item{answer[0].Item})
	if x.pullers[1].Stats.Behind != 1 || x.pullers[1].Whole(0) {
		t.Fatal("the clock was taken over")
	}
	x.settle()
	if !x.pullers[1].Whole(0) {
		t.Fatal("not asked again")
	}
}
