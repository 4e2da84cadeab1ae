package node

import (
	"shoal/ring"
	"shoal/wire"
)

// skew is how far the members' clocks are from this node's. Causality never uses wall time, but expiry and the order
// in which siblings are shown do: a node whose clock is more than the bound from more than half of the live members,
// itself counted among them, is passed over as coordinator.
type skew struct {
	drift  int64 // ms by which this machine's clock is ahead of the node's time, which never jumps
	told   int64 // drift when the last jump was counted
	jumps  uint16
	peers  map[ring.NodeID]lead
	off    bool  // this node's clock is the one that is off
	judged int64 // unix ms
}

// lead is by how many ms a live peer's clock is ahead of the node's time: the fastest frame's of the last seconds, so that
// a network or a node that stood still for a moment does not look like a wrong clock.
type lead struct {
	last, now int64 // of the last window and of this one
	since     int64 // this one's start
	jumps     uint16
}

const (
	jumpMs     = 100  // a clock that is set by less is slewed, as NTP does
	leadWindow = 5000 // ms
)

func (s *skew) make(drift int64) { s.drift, s.told, s.peers = drift, drift, map[ring.NodeID]lead{} }

// drifted takes in the drift and reports whether the clock has jumped.
func (s *skew) drifted(drift int64) bool {
	s.drift = drift
	if !beyond(drift-s.told, jumpMs) {
		return false
	}
	s.told = drift
	s.jumps++
	return true
}

// hlc is what frames' headers say of this node's clock: the low bits count its jumps.
func (s *skew) hlc(now int64) uint64 { return uint64(now+s.drift)<<16 | uint64(s.jumps) }

// heard takes in what a frame's header says and reports whether it changes the judgement of the peer's clock.
func (s *skew) heard(now int64, peer ring.NodeID, hlc uint64) bool {
	sample, jumps := int64(hlc>>16)-now, uint16(hlc)
	x, known := s.peers[peer]
	was := known && s.far(peer)
	switch {
	case !known || x.jumps != jumps:
		x = lead{sample, sample, now, jumps}
	case now-x.since > leadWindow:
		x.last, x.now, x.since = x.now, sample, now
	default:
		x.now = max(x.now, sample)
	}
	s.peers[peer] = x
	return !known || was != s.far(peer)
}

// of is by how many ms a peer's clock is ahead of this machine's; 0 when it was not heard of.
func (s *skew) of(peer ring.NodeID) int64 {
	if x, ok := s.peers[peer]; ok {
		return max(x.last, x.now) - s.drift
	}
	return 0
}

func (s *skew) far(peer ring.NodeID) bool { return beyond(s.of(peer), skewBoundMs) }

func beyond(ms, bound int64) bool { return ms > bound || ms < -bound }

// judgeClock compares this node's clock with its peers': once a second, and when one of them has jumped.
func (n *Node) judgeClock(now int64) {
	s := &n.mu.skew
	s.judged = now
	far, live := 0, 1
	for peer := range s.peers { // order-free: a count
		live++
		if s.far(peer) {
			far++
		}
	}
	off := far*2 > live
	// What was reaped does not come back: for that most members must be there to agree. A node that is alone, or has just
	// started, may coordinate by its clock, but not reap by it.
	n.mu.reaper.ClockOff(off || (live-far)*2 <= len(n.members()))
	if off == s.off {
		return
	}
	s.off = off
	n.mu.coord.PassOver(n.id.Node, off)
	if off {
		n.log.Error("this machine's clock is more than 500 ms from most members': other nodes coordinate until it is set right", "far", far, "live", live)
	} else {
		n.log.Info("this machine's clock agrees with the members' again")
	}
	for _, x := range n.members() {
		if !n.mu.up[x.ID] {
			continue
		}
		n.send(x.ID, wire.Item{Kind: wire.ItemMap}) // its header says it to who would go on asking this node
		if !off {
			n.mu.puller.Up(now, x.ID) // others have coordinated meanwhile: until all was pulled, quorums are read before writes
		}
	}
}

// members are those of the map. The lock is held.
func (n *Node) members() []ring.Member {
	if n.mu.ring == nil {
		return nil
	}
	return n.mu.ring.Members
}
