package causal

import "testing"

// restore takes in what another owner answered in a comparison.
func (n *node) restore(in Container) Restored { return n.restoreBy(in, &n.Clock) }

// restoreBy does so when the other's clock is known to be this.
func (n *node) restoreBy(in Container, theirs *Clock) Restored {
	out := n.Restore(n.View(n.row), in, theirs)
	n.row = out.Row
	n.Mark(out.Fresh)
	return out
}

func (n *node) forget() { n.row = Container{} } // the row vanishes behind the replica's back

// Lost rows come back by a comparison, and by nothing else.
func TestStoryALostRowIsPutBack(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("v"))
	b.forget()
	if b.take(a.row).Changed {
		t.Fatal("a late message put a row back")
	}
	if out := b.restore(a.row); out.Lost != 1 || !out.Changed || out.Doubtful || len(out.Fresh) != 0 {
		t.Fatalf("restored: %+v", out)
	}
	expect(t, "b", b.values(), "v")
	if !Same(a.row, b.row) {
		t.Fatalf("rows differ: %+v, %+v", a.row, b.row)
	}
	if out := b.restore(a.row); out.Lost != 0 || out.Changed {
		t.Fatalf("restored twice: %+v", out)
	}
}

// What a row's vector covers was superseded, however it looks elsewhere.
func TestStoryAnOverwrittenValueIsNotPutBack(t *testing.T) {
	a, b := newNode(1), newNode(2)
	old := a.set("old")
	b.take(old)
	b.set("new")
	if out := b.restore(old); out.Lost != 0 || out.Changed {
		t.Fatalf("restored: %+v", out)
	}
	expect(t, "b", b.values(), "new")
	tombstone := b.del()
	b.restore(old)
	expect(t, "b, deleted", b.values())
	a.forget() // and so did its version: the tombstone takes its place
	if a.restore(tombstone).Changed != true {
		t.Fatal("the tombstone was not taken")
	}
	expect(t, "a", a.values())
}

// One sibling is lost from a row that still has another. What is there stays, also when the other owner lacks it.
func TestStoryALostSiblingIsPutBackBesideTheOther(t *testing.T) {
	a, b := newNode(1), newNode(2)
	first := a.put("x", Context{})
	b.take(first)
	b.put("y", Context{})
	lost := b.row
	a.take(b.row)
	b.row = Container{Versions: lost.Versions[1:], Vector: lost.Vector[1:]} // "x" and its entry are gone
	expect(t, "b, damaged", b.values(), "y")
	if out := b.restore(first); out.Lost != 1 { // an owner that never had "y"
		t.Fatalf("restored: %+v", out)
	}
	expect(t, "b", b.values(), "x", "y")
	if !Same(a.row, b.row) {
		t.Fatalf("rows differ: %+v, %+v", a.row, b.row)
	}
}

// A vector that lost an entry gets it back.
func TestStoryALostVectorIsPutBack(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("old"))
	a.take(b.set("new"))
	b.row.Vector = Vector{b.row.Versions[0].Dot}
	if out := b.restore(a.row); !out.Changed || !Same(a.row, b.row) {
		t.Fatalf("rows differ: %+v, %+v", a.row, b.row)
	}
}

// What a flush dropped leaves no trace in a row, and is not lost.
func TestStoryFlushedValuesAreNotPutBack(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("v"))
	dropped := a.Clock.Clone()
	b.Flush(&dropped)
	b.forget() // its row is removed in the background
	if out := b.restore(a.row); out.Changed || out.Lost != 0 || out.Doubtful {
		t.Fatalf("restored: %+v", out)
	}
	expect(t, "b", b.values())
}

// Below the horizon a row that is not there may have been reaped. An answer from before the other owner had the
// tombstone must not bring the value back; nothing is done then, also not to what else the row holds.
func TestStoryAnAnswerOlderThanAReapedDeletion(t *testing.T) {
	a, b := newNode(1), newNode(2)
	old := a.set("v")
	b.take(old)
	before := a.Clock.Clone() // a answers with "v", slowly
	a.take(b.del())
	b.Horizon = b.row.Vector // reaped
	b.forget()
	if out := b.restoreBy(old, &before); out.Changed || !out.Doubtful || !out.Row.Empty() {
		t.Fatalf("restored: %+v", out)
	}
	b.put("w", Context{})
	row := b.row
	if out := b.restoreBy(old, &before); out.Changed || !out.Doubtful || !Same(out.Row, row) {
		t.Fatalf("restored: %+v", out)
	}
	if out := b.restoreBy(a.set("above"), &before); out.Doubtful || len(out.Fresh) != 1 {
		t.Fatalf("a new value is refused: %+v", out)
	}
}

// Once the other owner has processed all that was reaped here, what it still holds was lost here: also below the horizon,
// to which trimming the log takes nearly every dot.
func TestStoryBelowTheHorizonALostRowIsPutBack(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("v"))
	b.Horizon = b.row.Vector // the log was trimmed
	b.forget()
	short := Upto(9, 1)
	if out := b.restoreBy(a.row, &short); !out.Doubtful || out.Changed {
		t.Fatalf("restored: %+v", out)
	}
	if out := b.restoreBy(a.row, &a.Clock); out.Lost != 1 || out.Doubtful {
		t.Fatalf("restored: %+v", out)
	}
	if !Same(a.row, b.row) {
		t.Fatalf("rows differ: %+v, %+v", a.row, b.row)
	}
}

// The whole horizon counts, not its entry for the version's actor: the deletion may be of another actor.
func TestStoryTheWholeHorizonMustBeCovered(t *testing.T) {
	a, b := newNode(1), newNode(2)
	old := a.set("v")
	b.take(old)
	b.del()
	b.Horizon = b.row.Vector // reaped, of both actors
	b.forget()
	theirs := a.Clock.Clone() // has the value's actor, not the tombstone's
	if out := b.restoreBy(old, &theirs); !out.Doubtful || out.Changed {
		t.Fatalf("restored: %+v", out)
	}
}

// Why the caller must compare clocks: the tombstone is lost too, and the other owner has not heard of it yet. With its
// answer alone nobody can tell "v" from a lost value; that its clock lacks the tombstone's dot tells.
func TestStoryAnAnswerOlderThanALostDeletion(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("v"))
	clockOfA := a.Clock.Clone()
	b.del()
	b.forget()
	asked := b.Clock.Clone()
	if clockOfA.Covers(&asked) {
		t.Fatal("the answer would be used")
	}
	if b.restore(a.row).Lost != 1 {
		t.Fatal("then nothing else guards this case, and the rule can be simpler")
	}
}

// A row that was robbed of its versions deletes nothing elsewhere.
func TestStoryAVectorAloneDeletesNothing(t *testing.T) {
	a, b := newNode(1), newNode(2)
	b.take(a.set("v"))
	b.row.Versions = nil
	if out := a.restore(b.row); out.Changed {
		t.Fatalf("deleted: %+v", out)
	}
	expect(t, "a", a.values(), "v")
}
