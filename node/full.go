package node

import (
	"slices"

	"shoal/ring"
	"shoal/wire"
)

// A node whose disk is full refuses writes before anything is done and goes on answering reads, until there is room
// again. To its peers it is silent about copies, which is what a node without room for them is: nothing is acknowledged
// that is not kept, and the copies come later by pull.

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

// refuseWrites takes from a peer's items those that would write, and answers the operations among them.
func (n *Node) refuseWrites(from ring.NodeID, items []wire.Item) []wire.Item {
	if !n.full() {
		return items
	}
	return slices.DeleteFunc(items, func(it wire.Item) bool {
		switch it.Kind {
		case wire.ItemOp:
			if it.Op.Code.Write() {
				n.send(from, wire.Item{Kind: wire.ItemResult, ID: it.ID, Result: &wire.Result{Status: wire.Failed, Err: diskFull}})
				return true
			}
		case wire.ItemWrite, wire.ItemFlush, wire.ItemPulled, wire.ItemFetched:
			return true
		}
		return false
	})
}
