package coord

import (
	"testing"

	"shoal/ring"
	"shoal/wire"
)

// fill makes a node's replica one that is being filled, and tells the others of it if told.
func (x *cluster) fill(n int, on, told bool) {
	x.stores[n].replica.Filling = on
	x.whole[n] = false
	if !told {
		return
	}
	x.notes++
	blob := []byte{0}
	if on {
		blob[0] = 1
	}
	for i, m := range x.machines {
		if i != n {
			m.Step(x.now, x.ids[n], []wire.Item{{Kind: wire.ItemFilling, ID: x.notes, Blob: blob}})
		}
	}
}

// Whether the others have heard of it or not: a replica that is being filled coordinates nothing, answers no read and is
// no place, and no client is told of an error while W others are there.
func TestAFillingReplicaIsNoPlace(t *testing.T) {
	for _, told := range []bool{true, false} {
		for _, filling := range []int{a, b} {
			x := newCluster(t)
			x.expect(x.do(d, plainSet("old")), wire.OK)
			before := x.stores[filling].replica.Clock.Clone()
			x.fill(filling, true, told)
			for at := range x.machines {
				x.expect(x.do(at, plainSet("v")), wire.OK)
				x.expect(x.do(at, vset("s", nil)), wire.OK)
				if r := x.do(at, op(wire.OpGet)); r.Status != wire.OK || !r.Found {
					t.Fatalf("told %v, filling %d, at %d: %+v", told, filling, at, r)
				}
				x.expect(x.do(at, op(wire.OpDel)), wire.OK)
			}
			if after := x.stores[filling].replica.Clock; !after.Equal(&before) {
				t.Errorf("told %v: owner %d took a write while it is being filled", told, filling)
			}
		}
	}
}

func TestWithTwoFillingThereAreNoReplicas(t *testing.T) {
	for _, told := range []bool{true, false} {
		x := newCluster(t)
		x.down(d) // there is nobody to keep a hint
		x.fill(a, true, told)
		x.fill(b, true, told)
		if r := x.do(c, plainSet("v")); told && r.Status != wire.NoReplicas || !told && r.Status != wire.Uncertain && r.Status != wire.NoReplicas {
			t.Fatalf("told %v: status %d", told, r.Status)
		}
		x.expect(x.do(a, op(wire.OpGet)), wire.OK) // c alone is whole: a sloppy read
	}
}

func TestAllFillingAnswersThatNobodyCan(t *testing.T) {
	for _, told := range []bool{true, false} {
		x := newCluster(t)
		for _, n := range []int{a, b, c} {
			x.fill(n, true, told)
		}
		for at := range x.machines {
			x.expect(x.do(at, op(wire.OpGet)), wire.ClusterDown)
			x.expect(x.do(at, plainSet("v")), wire.NoReplicas)
		}
	}
}

// What peers were told lasts as long as the connection, and an older word does not undo a newer one.
func TestThePeersWordOnFilling(t *testing.T) {
	x := newCluster(t)
	x.fill(a, true, true)
	x.fill(a, false, true)
	x.machines[b].Step(x.now, x.ids[a], []wire.Item{{Kind: wire.ItemFilling, ID: 1, Blob: []byte{1}}}) // late
	if !x.machines[b].reaches(x.ids[a], 0) {
		t.Fatal("an older word counts")
	}
	x.fill(a, true, true)
	if x.machines[b].reaches(x.ids[a], 0) || !x.machines[b].reaches(x.ids[a], 9) || !x.machines[b].reaches(x.ids[c], 0) {
		t.Fatal("which replica is being filled?")
	}
	x.machines[b].Down(x.now, x.ids[a])
	x.machines[b].Up(x.ids[a])
	if !x.machines[b].reaches(x.ids[a], 0) {
		t.Fatal("a word of the old connection counts in the new one")
	}
}

// A replica that begins to be filled gives up what it only collected answers for; another owner does it.
func TestAnOperationUnderWayMovesToAnotherOwner(t *testing.T) {
	for _, code := range []wire.Op{op(wire.OpGet), vset("w", nil)} {
		x := newCluster(t)
		x.expect(x.do(a, plainSet("v")), wire.OK)
		x.whole[b] = false
		x.held[[2]int{a, b}], x.held[[2]int{a, c}] = true, true
		x.whole[a] = true
		if code.Code.Write() { // the first owner reads before it writes
			x.machines[a].ReadFirstUnless(func(ring.Partition) bool { return false })
		}
		id := x.begin(a, code)
		if _, done := x.done[id]; done {
			t.Fatal("answered without the others")
		}
		x.whole[b] = true
		x.fill(a, true, true)
		x.held = map[[2]int]bool{}
		x.machines[a].Down(x.now, x.ids[b]) // whatever makes it look again
		x.machines[a].Up(x.ids[b])
		x.settle()
		x.wait(20)
		if r, done := x.done[id]; !done || r.Status != wire.OK {
			t.Fatalf("%+v, done %v", r, done)
		}
	}
}

// A coordinator that is not whole may hold what was deleted and reaped elsewhere: another owner coordinates.
func TestAnOwnerThatIsNotWholeLeavesCoordinatingToOthers(t *testing.T) {
	x := newCluster(t)
	x.expect(x.do(a, plainSet("v")), wire.OK)
	seq := x.stores[a].replica.Seq
	x.whole[a] = false
	for at := range x.machines {
		x.expect(x.do(at, plainSet("w")), wire.OK)
		x.expect(x.do(at, op(wire.OpGet)), wire.OK)
	}
	if x.stores[a].replica.Seq != seq {
		t.Fatal("it coordinated")
	}
	if x.stores[a].rows["k"].Find(x.stores[b].rows["k"].Versions[0].Dot) == nil {
		t.Fatal("it is a place all the same")
	}
}

// The outcome of a write that an owner forwarded before it began to be filled is kept, and its client is told.
func TestAForwardedWriteSurvivesTheBeginningOfAFill(t *testing.T) {
	x := newCluster(t)
	x.token++
	x.machines[b].Exec(x.now, x.token, []wire.Op{plainSet("v")})
	asked := lasting(x.machines[b].Effects().Peers[0].Items)
	x.machines[b].Reset()
	x.machines[a].Step(x.now, x.ids[b], asked)
	x.stores[b].replica.Filling, x.whole[b] = true, false
	x.settle()
	if r, done := x.done[x.token]; !done || r.Status != wire.OK || len(x.stores[b].rows["k"].Versions) != 1 {
		t.Fatalf("%+v, %v", r, x.stores[b].rows["k"])
	}
}
