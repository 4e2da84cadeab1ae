package resp

import (
	"shoal/ring"
	"shoal/wire"
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

	// Info gives the fields of an INFO section whose numbers the node owns (lower-case section name), nil if none. They
	// replace this package's fields of the same name and follow the others. Two more names are asked for: "config" gives
	// what the node owns of CONFIG GET (appendfsync, dir, port and the like), and "clusterinfo" of CLUSTER INFO.
	Info(section string) []InfoField
}

// InfoField is one "name:value" line of INFO.
type InfoField struct {
	Name, Value string
}
