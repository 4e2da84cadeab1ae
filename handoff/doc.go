// Package handoff keeps hints, the copies that a sloppy quorum gives to nodes which are no owners, and hands them over
// to the owners; a pure machine.
//
// A hint names a partition and a key, not a node: who is to have it is looked up in the ring map of the day. It is
// offered to every owner that lacks it, as a write that the late-message rule judges like any other late message, and
// deleted only when the durable clocks of all owners, heard in the connections that stand, contain the dot of each of
// its versions. An acknowledgement deletes nothing: it says what an owner holds, not what a power cut leaves there, and
// of one owner only.
//
//	F -> O  durable{id, partition}, to each owner that can be reached
//	O       advert{id, life, the clock as of the last fsync}; refused where O is no owner by its map, or being filled
//	F       for each hint of the partition, in order: all owners' clocks have it: delete it; else a write{id} to each
//	        that lacks it, few under way to one owner at a time
//	O       ack{id}, by the coordinator of writes, which takes the write in
//
// Every owner answers durable, and every node keeps hints: the machine is both sides. A round over a partition's hints
// is made on a timer, at the start, and when an owner comes up.
//
// It coordinates nothing (coord asks for hints and reads them), keeps no rows, and does not decide who is an owner.
package handoff
