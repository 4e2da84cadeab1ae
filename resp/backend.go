package resp

import (
	"shoal/ring"
	"shoal/wire"
	"shoal/wire/loop"
)

// Backend is the node behind the front door. All methods are called by many connections at once.
type Backend interface {
	// Exec runs a vector of operations on distinct keys and blocks until every one has its result in out
	// (len(out) == len(ops), zeroed). Operations point into the connection's buffers: what outlives the call must be
	// copied. What results point to must never change: it is held until the client has taken the replies.
	Exec(ops []wire.Op, out []wire.Result)

	// Ready is "" once the node has its map, and until then the text after "-LOADING ".
	Ready() string

	DBSize() (int64, wire.Result)                  // live keys of the whole cluster
	Flush() wire.Result                            // drop every key of the cluster
	CountSlot(slot ring.Slot) (int64, wire.Result) // live keys of one slot

	Ring() *ring.Map // nil until the node has one
	Self() ring.NodeID
	Live(id ring.NodeID) bool // seems alive, a routing hint

	// Repair begins to compare a partition, or all when it is negative, with its other owners, and answers how many
	// comparisons that is: 0 when this node does not own it.
	Repair(partition int) int
	Divergence() []PeerDivergence // what comparisons have found, by other owner
	Digests() []PartitionDigest   // of this node's own rows; it reads all of them

	// Info gives the fields of an INFO section whose numbers the node owns (lower-case section name), nil if none. They
	// replace this package's fields of the same name and follow the others. Two more names are asked for: "config" gives
	// what the node owns of CONFIG GET (appendfsync, dir, port and the like), and "clusterinfo" of CLUSTER INFO.
	Info(section string) []InfoField
}

// Starter is a Backend that a task of a loop can ask.
type Starter interface {
	// Start is Exec without the wait. True: the results come later, and the task, which must park now, is resumed then.
	Start(ops []wire.Op, out []wire.Result, task *loop.Conn) (later bool)
}

// PeerDivergence is what comparisons with one other owner have found.
type PeerDivergence struct {
	Peer       ring.NodeID
	Partitions int   // that were compared
	Differed   int   // keys that differed when each was last compared
	AgeMs      int64 // since the comparison longest ago; -1 while one never took place
}

// PartitionDigest says what a replica holds; replicas that are equal have the same.
type PartitionDigest struct {
	Partition ring.Partition
	Keys      int64 // live ones
	Hash      uint64
}

// InfoField is one "name:value" line of INFO.
type InfoField struct {
	Name, Value string
}
