package node

import (
	"testing"

	"shoal/wire"
)

// On a full disk a vector's writes are refused with nothing done, and its reads are answered in their places.
func TestAFullDiskRefusesTheWritesOfAVector(t *testing.T) {
	ops := []wire.Op{{Code: wire.OpSet}, {Code: wire.OpGet}, {Code: wire.OpDel}, {Code: wire.OpCount}}
	v := &vector{out: make([]wire.Result, len(ops)), done: make(chan struct{})}
	left, at := (*Node)(nil).refuseOps(v, ops)
	if len(left) != 2 || left[0].Code != wire.OpGet || left[1].Code != wire.OpCount {
		t.Fatalf("left: %+v", left)
	}
	v.at, v.left = at, len(left)
	if v.put(1, &wire.Result{Int: 7}) || !v.put(0, &wire.Result{Found: true}) {
		t.Fatal("the vector ends with its last read, not before")
	}
	for i, refused := range []bool{true, false, true, false} {
		if (v.out[i].Err == diskFull) != refused {
			t.Errorf("operation %d: %+v", i, v.out[i])
		}
	}
	if !v.out[1].Found || v.out[3].Int != 7 {
		t.Errorf("results in wrong places: %+v", v.out)
	}
}

// Peers are told at once what a full node does not take, where they wait to be told.
func TestAFullDiskRefusesCopiesAtOnce(t *testing.T) {
	for _, c := range []struct {
		it      wire.Item
		answer  wire.Kind
		refused bool
	}{
		{wire.Item{Kind: wire.ItemWrite, ID: 3}, wire.ItemAck, true},
		{wire.Item{Kind: wire.ItemWrite}, wire.ItemInvalid, true},
		{wire.Item{Kind: wire.ItemFlush, ID: 3}, wire.ItemAck, true},
		{wire.Item{Kind: wire.ItemPulled, ID: 3}, wire.ItemInvalid, true},
		{wire.Item{Kind: wire.ItemOp, ID: 3, Op: &wire.Op{Code: wire.OpSet}}, wire.ItemResult, true},
		{wire.Item{Kind: wire.ItemOp, ID: 3, Op: &wire.Op{Code: wire.OpGet}}, wire.ItemInvalid, false},
		{wire.Item{Kind: wire.ItemRead, ID: 3}, wire.ItemInvalid, false},
	} {
		answer, refused := refusal(&c.it)
		if answer.Kind != c.answer || refused != c.refused || answer.Kind != wire.ItemInvalid && answer.ID != 3 {
			t.Errorf("%v: %v, %v", c.it.Kind, answer.Kind, refused)
		}
		if answer.Kind == wire.ItemAck && !answer.Has(wire.FlagRefused) {
			t.Errorf("%v: acknowledged", c.it.Kind)
		}
	}
}
