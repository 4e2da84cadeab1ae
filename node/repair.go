package node

import (
	"shoal/antientropy"
	"shoal/causal"
	"shoal/handoff"
	"shoal/ring"
	"shoal/wire"
)

// The machines of repair, their settings and how they are joined. What each does is in its own package.

// repair is what works beside the coordinator.
type repair struct {
	puller   *antientropy.Puller
	comparer *antientropy.Comparer
	keeper   *handoff.Machine
	refiller *antientropy.Refiller
	reaper   *antientropy.Reaper
	closer   *antientropy.Closer

	boots    map[ring.NodeID]causal.Actor // incarnations of the peers, as last connected
	compared map[ring.Partition]int64     // when damage last made a partition be compared, unix ms
	fenced   map[ring.NodeID]causal.Actor // a peer whose connection is with an incarnation that is over: its frames are dropped
}

// Settings of repair, in ms, bytes and counts. Amounts are for one timer tick at full pace.
const (
	reapEvery, reapPartitions, reapRows = 1000, 8, 256

	closeEvery, closeAfter, closeTimeout = 1000, 2000, 5000
	closeRows, closePartitions           = 500, 8
	closeActors                          = 16

	fillRetry, fillRepeat          = 1000, 2000
	fillsAtOnce, fillRows          = 8, 256
	fillBytes, fillTickRows        = 256 << 10, 512
	hintEvery, hintRetry           = 2000, 1500 // an acknowledged hint is on a disk within a second, as a rule
	hintTimeout, hintWindow        = 1000, 64
	hintTickRows, hintRoundsAtOnce = 256, 8
	hintShare                      = 10 // percent of the disk
	damagedPause                   = 20_000
	hintLeast                      = 64 << 20 // bytes, where the disk's size is not known or small
)

// make makes the machines on the node's store.
func (x *repair) make(n *Node) {
	self := n.id.Node
	x.compared = map[ring.Partition]int64{}
	x.boots, x.fenced = map[ring.NodeID]causal.Actor{}, map[ring.NodeID]causal.Actor{}
	x.puller = antientropy.New(antientropy.Config{
		Self: self, Every: pullEvery.Milliseconds(), Retry: pullRetry.Milliseconds(), W: n.opts.W,
		MaxEntries: 128, MaxBytes: 256 << 10, MaxAsked: 16,
	}, n.store)
	x.comparer = antientropy.NewComparer(compareConfig(self, n.opts.CompareEvery), n.store)
	x.keeper = handoff.New(handoff.Config{
		Self: self, Every: hintEvery, Retry: hintRetry, Timeout: hintTimeout, Window: hintWindow,
		TickRows: hintTickRows, MaxRounds: hintRoundsAtOnce, MaxBytes: n.hintRoom(),
	}, n.store)
	x.refiller = antientropy.NewRefiller(antientropy.FillConfig{
		Self: self, Retry: fillRetry, Repeat: fillRepeat, MaxFills: fillsAtOnce, MaxRows: fillRows, MaxBytes: fillBytes,
		TickRows: fillTickRows,
	}, n.store, x.puller)
	x.reaper = antientropy.NewReaper(antientropy.ReapConfig{
		Self: self, Every: reapEvery, Partitions: reapPartitions, Rows: reapRows,
	}, n.store, x.puller)
	x.closer = antientropy.NewCloser(antientropy.CloseConfig{
		Self: self, Incarnation: n.store.Incarnation(), Every: closeEvery, After: closeAfter, Timeout: closeTimeout,
		Rows: closeRows, Partitions: closePartitions, Actors: closeActors,
	}, n.store, x.puller.Lives(), x.reaper.Blocking, x.keeper.Held)
}

// parts lists them in the order in which they are driven.
func (x *repair) parts() []wire.Part {
	return []wire.Part{x.puller, x.comparer, x.keeper, x.refiller, x.reaper, x.closer}
}

// install gives them the ring map. trusted: see antientropy.Puller.
func (x *repair) install(now int64, m *ring.Map, trusted func(ring.Partition) bool) {
	x.comparer.Install(now, m)
	x.keeper.Install(now, m)
	x.puller.Install(now, m, trusted)
	x.refiller.Install(now, m)
	x.reaper.Install(now, m)
	x.closer.Install(m)
}

// connected notes which boot of a peer a connection is with.
func (x *repair) connected(peer ring.NodeID, incarnation causal.Actor) {
	x.boots[peer] = incarnation
	delete(x.fenced, peer)
	x.closer.Connected(peer, incarnation)
}

// fence drops, from now on, the frames of connections with boots that a closing has asked about.
func (x *repair) fence() {
	for _, a := range x.closer.Fenced() {
		for peer, boot := range x.boots {
			if boot == a {
				x.fenced[peer] = a
			}
		}
	}
}

// compareDamaged compares at once a partition in which damaged rows were met: they, and rows that a damaged block hides,
// are taken back from the other owners. What stays damaged on the disk is met again and again, hence the pause.
func (n *Node) compareDamaged() {
	now := n.now()
	for _, p := range n.store.Damaged() {
		if last, ok := n.mu.compared[p]; ok && now-last < damagedPause {
			continue
		}
		n.mu.compared[p] = now
		n.log.Error("damaged rows were met: the partition is compared with its other owners", "partition", p)
		n.mu.comparer.Repair(now, int(p))
	}
}

// busy reports whether the next ticks have work to do.
func (x *repair) busy(now int64) bool {
	return x.comparer.Busy(now) || x.keeper.Busy(now) || x.refiller.Busy() || x.closer.Busy()
}

// hintRoom is how many bytes of hints this node keeps.
func (n *Node) hintRoom() int64 {
	if n.opts.HintBytes > 0 {
		return n.opts.HintBytes
	}
	usage, err := n.world.FS.GetDiskUsage(n.opts.Dir)
	if err != nil {
		return hintLeast
	}
	return max(hintLeast, int64(usage.TotalBytes/100*hintShare))
}

// ForgetLog trims the log of every replica to what its own clock has without a hole, as at its cap, for tests of repair.
func (n *Node) ForgetLog() {
	n.tick(func(int64) {
		for _, p := range n.store.Partitions() {
			var to causal.Vector
			for _, e := range n.store.Replica(p).Clock.Entries() {
				if e.Base > 0 {
					to = append(to, causal.Dot{Actor: e.Actor, Seq: e.Base})
				}
			}
			n.store.Trim(p, to)
		}
	})
}
