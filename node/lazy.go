package node

import (
	"slices"
	"time"

	"shoal/ring"
	"shoal/wire"
)

// Copies beyond the W that a client waits for are not sent alone at once: waking the peer for one costs as much as the
// rest of it. They go with the next frame for that peer, before its items, so that what one peer is told keeps its
// order; or after lazyFor, if nothing else is said.
const (
	lazyFor   = time.Millisecond
	lazyBytes = 32 << 10
	lazyItems = 1 << 10
)

// lazyCopies are those of one peer.
type lazyCopies struct {
	to    ring.NodeID
	items []byte // encoded
	n     int
}

// lazily reports whether nobody waits for any of the items.
func lazily(items []wire.Item) bool {
	for i := range items {
		if items[i].Kind != wire.ItemWrite || items[i].ID != 0 {
			return false
		}
	}
	return true
}

// lazyOf finds the peer's copies. The lock is held.
func (n *Node) lazyOf(to ring.NodeID) *lazyCopies {
	i := slices.IndexFunc(n.mu.lazy, func(l lazyCopies) bool { return l.to == to })
	if i < 0 {
		i = len(n.mu.lazy)
		n.mu.lazy = append(n.mu.lazy, lazyCopies{to: to})
	}
	return &n.mu.lazy[i]
}

// postpone keeps items for a later frame if they may wait, and reports whether it did.
func (l *lazyCopies) postpone(items []wire.Item) bool {
	if l.n+len(items) > lazyItems || !lazily(items) {
		return false
	}
	kept := len(l.items)
	for i := range items {
		if l.items = items[i].Append(l.items); len(l.items) > lazyBytes {
			l.items = l.items[:kept]
			return false
		}
	}
	l.n += len(items)
	return true
}

// take empties it.
func (l *lazyCopies) take() wire.Encoded {
	e := wire.Encoded{Bytes: l.items, Items: l.n}
	l.items, l.n = l.items[:0], 0
	if cap(l.items) > 4*lazyBytes { // a large value must not be held for ever
		l.items = nil
	}
	return e
}

// waitLazily has what was postponed sent in time.
func (n *Node) waitLazily() {
	if n.mu.lazyWaits || !slices.ContainsFunc(n.mu.lazy, func(l lazyCopies) bool { return l.n > 0 }) {
		return
	}
	n.mu.lazyWaits = true
	if n.loop.Running() { // a timer would wake a thread
		n.mu.lazyBy = time.Now().Add(lazyFor)
		if !n.mu.inRound {
			n.loop.Kick()
		}
		return
	}
	if n.mu.lazyTimer == nil {
		n.mu.lazyTimer = time.AfterFunc(lazyFor, n.sendLazily)
		return
	}
	n.mu.lazyTimer.Reset(lazyFor)
}

// sendLazily ends the wait.
func (n *Node) sendLazily() {
	n.tick(func(int64) { n.mu.lazyDue, n.mu.lazyWaits = true, false })
}
