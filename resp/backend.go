package resp

import (
	"shoal/ring"
	"shoal/wire"
)

// Backend is the node behind the front door. All methods are called by many connections at once.
type Backend interface {
	// Exec runs a vector of operations on distinct keys and blocks until every one has its result in out
	// (len(out) == len(ops), zeroed). Operations point into the connection's buffers: what outlives the call must be
	// copied. Results must stay unchanged until the next call of the same connection.
	Exec(ops []wire.Op, out []wire.Result)

	// Ready is "" once the node has its map, and until then the text after "-LOADING ".
	Ready() string

	DBSize() (int64, wire.Result)                  // live keys of the whole cluster
	Flush() wire.Result                            // drop every key of the cluster
	CountSlot(slot ring.Slot) (int64, wire.Result) // live keys of one slot

	Ring() *ring.Map // nil until the node has one
	Self() ring.NodeID
	Live(id ring.NodeID) bool // seems alive, a routing hint

	// Info gives the fields of an INFO section whose numbers the node owns (lower-case section name), nil if none.
	Info(section string) []InfoField
}

// InfoField is one "name:value" line of INFO.
type InfoField struct {
	Name, Value string
}
