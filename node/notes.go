package node

import (
	"errors"

	"shoal/antientropy"
	"shoal/engine"
)

// notes are the states that the log tells of when they begin and when they are over: once for all partitions, and not
// each time that they come and go.
type notes struct {
	filling bool
	filled  antientropy.FillStats // when it began
	last    int64                 // when something was being filled last
	full    bool
	changed int64 // when full last did
}

const (
	filledAfter = 5_000  // ms without a replica that is being filled: that was all
	fullHolds   = 10_000 // ms between two lines about the disk
)

// fills takes in how many replicas are being filled, and reports whether that has begun or is over.
func (x *notes) fills(now int64, filling int, stats antientropy.FillStats) (begun, over bool) {
	if filling > 0 {
		begun = !x.filling
		if begun {
			x.filling, x.filled = true, stats
		}
		x.last = now
		return begun, false
	}
	over = x.filling && now-x.last >= filledAfter
	x.filling = x.filling && !over
	return false, over
}

// room takes in whether writes are refused and reports whether that is to be told.
func (x *notes) room(now int64, full bool) bool {
	if full == x.full || x.changed != 0 && now-x.changed < fullHolds {
		return false
	}
	x.full, x.changed = full, now
	return true
}

// note writes what has begun or is over. The lock is held.
func (n *Node) note(now int64) {
	stats := n.mu.refiller.Stats
	filling := n.mu.refiller.Progress().Filling
	switch begun, over := n.mu.notes.fills(now, filling, stats); {
	case begun:
		n.log.Warn("replicas lack what the other owners have: they are filled from them, and answer no reads meanwhile", "now", filling, "replicas", len(n.store.Partitions()))
	case over:
		from := n.mu.notes.filled
		n.log.Info("the replicas are filled", "filled", stats.Ended-from.Ended, "rows", stats.Rows-from.Rows)
	}
	full := n.store.Full()
	isFull := errors.Is(full, engine.ErrFull)
	if !n.mu.notes.room(now, isFull) {
		return
	}
	if isFull {
		n.log.Error("there is no room for writes: they are refused until there is, and reads go on", "dir", n.opts.Dir, "err", full)
	} else {
		n.log.Info("there is room for writes again", "dir", n.opts.Dir)
	}
}
