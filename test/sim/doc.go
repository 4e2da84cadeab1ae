// Package sim runs the pure cores of a whole cluster (coord.Machine, handoff.Machine, the machines of antientropy, and
// ring.Agreement per node, on an in-memory store) under one seeded heap of events in virtual time, beside an oracle that
// keeps explicit causal histories. One seed is one history, bit for bit.
//
//	go test ./test/sim                     a few thousand seeds
//	go test ./test/sim -seed=N             one seed; a failure prints its whole trace
//	go test ./test/sim -seeds=N [-from=M]  N seeds from M
//	go test -tags planted ./test/sim       planted bugs: each check must find what it is there for
//
// A node is composed as package node composes it: one tick is a batch of inputs; then the store's tick ends; then
// frames and results leave. Frames are encoded and decoded by package wire.
//
// The adversary delays, drops, doubles and reorders frames, stalls links, cuts them one way or both, stops processes
// (nothing is lost) and machines (what was not synced is lost), skews clocks and sets them, lets nodes join at the same time,
// lets messages arrive after what they speak of was reaped, takes rows away or damages them behind a replica's back, makes rows unreadable that are being written to,
// loses disks (another node replaces the old one), puts disks back to what they were, and trims logs that others still
// need. It keeps to one sentence: an acknowledged write survives the loss of any W-1 of the places that acknowledged it,
// and its last copy is never destroyed. A place is an owner or a node that keeps a hint for one; in some worlds it keeps
// owners apart from each other and hunts those that keep hints.
//
// At the end nothing may be held back: no tombstone, nothing expired, no hole in a clock, no log entry, no hint.
//
// It does not simulate real disks, sockets or goroutines (test/cluster does), or moves of partitions that hold data.
package sim
