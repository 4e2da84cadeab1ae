package node

import (
	"shoal/antientropy"
	"shoal/causal"
	"shoal/ring"
)

// forgetting is what reaps, trims and closes.
type forgetting struct {
	reaper *antientropy.Reaper
	closer *antientropy.Closer
	boots  map[ring.NodeID]uint64 // incarnations of the peers that are connected
	fenced map[uint64]bool        // those of them whose frames are not taken any more
}

const (
	reapEvery      = 1000 // ms, of a partition in which something waits
	reapPartitions = 16
	reapRows       = 64
	closeAfter     = 10_000 // ms that an actor must have blocked something: by then pulls have brought what there is
	closeRows      = 256
)

// makeForgetting makes the machines that forget. hintsHeld says whether a hint of a partition is held here, nil: never.
func (n *Node) makeForgetting(hintsHeld func(ring.Partition) bool) {
	f := &n.mu.forgetting
	f.reaper = antientropy.NewReaper(antientropy.ReapConfig{
		Self: n.id.Node, Every: reapEvery, Partitions: reapPartitions, Rows: reapRows,
	}, n.store, n.mu.puller)
	f.closer = antientropy.NewCloser(antientropy.CloseConfig{
		Self: n.id.Node, Incarnation: n.store.Incarnation(), Every: 1000, After: closeAfter, Timeout: 60_000,
		Rows: closeRows, Partitions: reapPartitions, Actors: 16,
	}, n.store, n.mu.puller.Lives(), f.reaper.Blocking, hintsHeld)
	f.boots, f.fenced = map[ring.NodeID]uint64{}, map[uint64]bool{}
	n.mu.parts = append(n.mu.parts, f.reaper, f.closer)
}

// connected notes which boot of a peer a connection is with, before the parts hear of it.
func (f *forgetting) connected(peer ring.NodeID, incarnation uint64) {
	f.boots[peer] = incarnation
	f.closer.Connected(peer, causal.Actor(incarnation))
}

func (f *forgetting) disconnected(peer ring.NodeID) {
	delete(f.fenced, f.boots[peer])
	delete(f.boots, peer)
}

// fence stops taking frames of connections with boots that a closing has asked about: one that is over makes no new
// connection, so only those that stand count.
func (f *forgetting) fence() {
	for _, a := range f.closer.Fenced() {
		for _, incarnation := range f.boots { // order-free: at most one is a
			if incarnation == uint64(a) {
				f.fenced[incarnation] = true
			}
		}
	}
}
