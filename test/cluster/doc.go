// Package cluster runs whole clusters in memory: real nodes (package node, with their store, transport, gossip and
// front door) inside a testing/synctest bubble, so in virtual time, on disks that can lose what was not synced and a
// network that can be cut, driven by a stock Redis client. Each test is one promise to a user.
//
// What the package does not do: it replays nothing (the order of goroutines is not recorded; test/sim is for that), it
// uses no real disk, socket or signal (test/compat and test/load do), and it holds nothing that another package imports.
package cluster
