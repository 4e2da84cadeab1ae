package node

import "time"

// began is one moment on both of a machine's clocks. Everything that waits goes by the time since then on the monotonic
// clock: deadlines and timers must not stop for an hour, or all pass at once, when the wall clock is set. What goes by the
// wall clock (expiry, hlc) is told by how much that has drifted away.
type began struct {
	at   time.Time
	wall int64 // unix ms
}

func begin(w World) began { return began{time.Now(), w.Now().UnixMilli()} }

// now is unix ms as if the wall clock had not been set since the start.
func (n *Node) now() int64 { return n.began.wall + time.Since(n.began.at).Milliseconds() }

// wall is what the machine's clock shows, unix ms.
func (n *Node) wall() int64 { return n.world.Now().UnixMilli() }

// readClocks answers now and takes notice when the wall clock has been set: at once, so that nothing is evaluated by one
// that is known to be wrong. The lock is held.
func (n *Node) readClocks() int64 {
	now := n.now()
	drift := n.wall() - now
	if drift == n.mu.skew.drift {
		return now
	}
	jumped := n.mu.skew.drifted(drift)
	n.drifted()
	if jumped {
		n.judgeClock(now)
	}
	return now
}

// drifted tells those that evaluate expiry.
func (n *Node) drifted() {
	n.mu.coord.Drift(n.mu.skew.drift)
	n.mu.comparer.Drift(n.mu.skew.drift)
	n.mu.reaper.Drift(n.mu.skew.drift)
}
