package node

import (
	"slices"

	"shoal/ring"
	"shoal/wire"
)

// A node whose disk is full refuses writes before anything is done and goes on answering reads, until there is room
// again. It tells its peers at once that it does not take their copies, so that they ask another owner; the copies come
// later by pull.

const diskFull = "MISCONF this node's disk is full: writes are refused until there is room again; reads go on"

// full reports whether writes are refused. The lock is held.
func (n *Node) full() bool { return n.store.Full() != nil }

// refuseOps answers a client's writes and returns the operations that are left, with their places in the vector.
func (n *Node) refuseOps(v *vector, ops []wire.Op) (left []wire.Op, at []int) {
	for i := range ops {
		if ops[i].Code.Write() {
			v.out[i] = wire.Result{Status: wire.Failed, Err: diskFull}
			continue
		}
		left, at = append(left, ops[i]), append(at, i)
	}
	return left, at
}

// refuseWrites takes from a peer's items those that would write, and answers those that somebody waits for.
func (n *Node) refuseWrites(from ring.NodeID, items []wire.Item) []wire.Item {
	if !n.full() {
		return items
	}
	return slices.DeleteFunc(items, func(it wire.Item) bool {
		answer, refused := refusal(&it)
		if answer.Kind != wire.ItemInvalid {
			n.send(from, answer)
		}
		return refused
	})
}

// refusal is what a full node answers an item that would write; of kind ItemInvalid when nobody waits for an answer.
func refusal(it *wire.Item) (answer wire.Item, refused bool) {
	switch it.Kind {
	case wire.ItemOp:
		if !it.Op.Code.Write() {
			return answer, false
		}
		return wire.Item{Kind: wire.ItemResult, ID: it.ID, Result: &wire.Result{Status: wire.Failed, Err: diskFull}}, true
	case wire.ItemWrite, wire.ItemFlush, wire.ItemHint:
		if it.ID != 0 {
			answer = wire.Item{Kind: wire.ItemAck, ID: it.ID, Flags: wire.FlagRefused}
		}
		return answer, true
	case wire.ItemPulled, wire.ItemFetched, wire.ItemFilled:
		return answer, true
	}
	return answer, false
}
