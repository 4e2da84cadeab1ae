package wire

import "shoal/ring"

// Part is a pure machine that works beside the coordinator: repair of all kinds. Package node and the simulator drive
// all of them in the same way. now is unix ms.
type Part interface {
	Up(now int64, peer ring.NodeID)                 // the connection to a peer stands
	Down(now int64, peer ring.NodeID)               // it is gone: nothing of it may reach the next
	Step(now int64, from ring.NodeID, items []Item) // takes in items of a peer; those it has no part in are ignored
	Tick(now int64)                                 // lets time pass; does a bounded slice of work
	Outs() []Out                                    // what is to be sent, valid until Reset
	Reset()                                         // empties Outs
}
