package node

import "shoal/ring"

// skew is how far the members' clocks are from this node's. Causality never uses wall time, but expiry and the order
// in which siblings are shown do: a node whose clock is more than the bound from more than half of the live members,
// itself counted among them, is passed over as coordinator.
type skew struct {
	offset map[ring.NodeID]int64 // ms by which a live peer's clock was ahead when its last frame came
	off    bool                  // this node's clock is the one that is off
	judged int64                 // unix ms
}

// judgeClock compares this node's clock with its peers', once a second.
func (n *Node) judgeClock(now int64) {
	s := &n.mu.skew
	if now-s.judged >= 0 && now-s.judged < 1000 {
		return
	}
	s.judged = now
	far, live := 0, 1
	for _, ms := range s.offset { // order-free: a count
		live++
		if ms > skewBoundMs || ms < -skewBoundMs {
			far++
		}
	}
	off := far*2 > live
	if off != s.off {
		s.off = off
		n.mu.coord.PassOver(n.id.Node, off)
		n.mu.repair.reaper.ClockOff(off)
		if off {
			n.log.Error("this machine's clock is more than 500 ms from most members': other nodes coordinate until it is set right", "far", far, "live", live)
		} else {
			n.log.Info("this machine's clock agrees with the members' again")
		}
	}
}
