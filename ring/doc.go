// Package ring knows who owns a key: hash slots, partitions, the immutable ring map with its epoch, the deterministic
// assignment of partitions to nodes, and the machine by which the members agree on the next map.
//
//	key -> Slot (CRC16 of its hash tag) -> Partition (a run of Slots/Q slots) -> owners, then fallbacks
//
// The map of epoch e+1 is decided by one single-decree Paxos instance (Agreement) whose acceptors are the members of
// epoch e. Any member may propose, none is special, and there is one map per epoch. Data operations never need this.
//
// Everything here is pure: values in, values out. It opens no connection, reads no clock, stores nothing and starts no
// goroutine. It does not know who is alive (that is a routing hint and never changes ownership), does not spread the
// decided map, moves no data, and never proposes a map by itself.
package ring
