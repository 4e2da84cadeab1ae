package antientropy

import (
	"fmt"
	"shoal/ring"
	"shoal/wire"
	"slices"
	"testing"
)

// Rows are taken in no faster than the pace.
func TestAFillKeepsItsPace(t *testing.T) {
	x := newWard(t, 2, func(c *FillConfig) { c.MaxRows, c.TickRows = 2, 100 })
	x.refillers[1].Pace(1, 100)
	for i := range 20 {
		x.stores[0].write(fmt.Sprintf("k%02d", i))
	}
	x.pass(1500)
	x.wipe(1)
	x.pass(100)
	if p := x.refillers[1].Progress(); p.Filling != 1 || p.Rows == 0 || p.Rows > 12 || p.Bytes == 0 {
		t.Fatalf("%+v after 10 ticks", p)
	}
	x.refillers[1].Pace(1, 1)
	x.pass(200)
	if x.refillers[1].Filling(0) {
		t.Fatalf("%+v", x.refillers[1].Progress())
	}
	x.pass(2000)
	x.equal()
}

// A source that does not answer gives way to another.
func TestASilentSourceGivesWay(t *testing.T) {
	x := newWard(t, 3, nil)
	x.stores[0].write("k")
	x.pass(2000)
	x.wipe(2)
	silent := -1
	x.alter = func(_, to int, it *wire.Item) bool {
		if it.Kind == wire.ItemFill && silent < 0 {
			silent = to
		}
		return it.Kind == wire.ItemFill && to == silent
	}
	x.pass(3000)
	x.equal()
}

// Peers hear which replicas are being filled, and when none is any more.
func TestPeersAreToldOfFills(t *testing.T) {
	x := newWard(t, 2, nil)
	x.stores[0].write("k")
	x.pass(1500)
	var heard [][]byte
	last := uint64(0)
	x.alter = func(_, _ int, it *wire.Item) bool {
		if it.Kind == wire.ItemFilling {
			if it.ID <= last {
				t.Errorf("word %d after %d", it.ID, last)
			}
			last = it.ID
			heard = append(heard, it.Blob)
		}
		return false
	}
	x.refillers[1].Behind(x.now, 0, x.ids[0])
	x.pass(500)
	if len(heard) < 2 || !slices.Equal(heard[0], []byte{1}) || len(heard[len(heard)-1]) != 0 {
		t.Fatalf("%v", heard)
	}
}

// An answer to another question, of another source or range is not taken.
func TestOnlyTheOpenQuestionsAnswerIsTaken(t *testing.T) {
	x := newWard(t, 3, nil)
	x.stores[0].write("k")
	x.pass(2000)
	x.wipe(2)
	x.alter = func(_, to int, it *wire.Item) bool {
		if it.Kind != wire.ItemFilled {
			return false
		}
		for _, wrong := range []func(*wire.Item){
			func(it *wire.Item) { it.ID++ },
			func(it *wire.Item) { it.Digest++ },
		} {
			c := *it
			wrong(&c)
			x.refillers[2].Step(x.now, x.ids[0], []wire.Item{c})
			x.refillers[2].Step(x.now, x.ids[1], []wire.Item{c})
		}
		return true
	}
	x.pass(300)
	if len(x.stores[2].rows) != 0 || x.stores[2].adopts != 0 {
		t.Fatal("taken")
	}
	x.alter = nil
	x.pass(3000)
	x.equal()
}

func TestWhichReplicasAMapMakesFilling(t *testing.T) {
	m := ring.Found(ring.ClusterID{1}, [32]byte{}, 3, 4, member(1))
	next, err := m.WithMember(member(2))
	if err != nil {
		t.Fatal(err)
	}
	if MadeFilling(m, true) || MadeFilling(next, false) || !MadeFilling(next, true) {
		t.Fatal("only a replacement's replicas begin filling")
	}
}
