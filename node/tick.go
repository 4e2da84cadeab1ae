package node

import (
	"errors"
	"runtime"
	"slices"

	"shoal/coord"
	"shoal/engine"
	"shoal/ring"
	"shoal/wire"
	"shoal/wire/tcp"
)

// tick runs f as part of a tick, and ends the tick if nobody else will. What f asks for has left when the tick that
// it was part of has ended, which may be after tick returns.
func (n *Node) tick(f func(now int64)) {
	n.mu.Lock()
	f(n.readClocks())
	n.mu.company.joins++
	if n.mu.ticking {
		n.mu.Unlock()
		return
	}
	if n.mu.company.expected() {
		n.mu.ticking = true
		n.mu.Unlock()
		runtime.Gosched() // let others join this tick: their frames and their write are shared
		n.mu.Lock()
		n.mu.ticking = false
	}
	n.endTick()
	n.mu.company.ended()
	n.tellLoop()
	n.mu.Unlock()
}

// company tells whether it is worth to wait for others to join a tick: giving way costs a wake-up of another thread,
// which a client that is alone would pay for nothing. It is worth it while recent ticks had more than one part; now
// and then a tick waits to find out.
type company struct {
	joins  int // of this tick
	recent int // ticks for which there is hope
	ticks  int
}

const (
	companyLasts = 8  // ticks
	companyProbe = 16 // one tick in so many waits anyway
)

func (c *company) expected() bool {
	c.ticks++
	return c.recent > 0 || c.ticks%companyProbe == 0
}

func (c *company) ended() {
	if c.joins > 1 {
		c.recent = companyLasts
	} else if c.recent > 0 {
		c.recent--
	}
	c.joins = 0
}

// step runs f as part of a tick that the caller, or whoever ends one before him, ends: a call of tick, or the end of the
// loop's round, must follow soon.
func (n *Node) step(f func(now int64)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n.readClocks())
	n.mu.open = true
}

// endTick makes the tick's changes durable as far as configured, and only then lets frames and results out.
func (n *Node) endTick() {
	n.mu.open = false
	if n.mu.closed {
		return
	}
	if err := n.store.EndTick(); err != nil {
		if !errors.Is(err, engine.ErrFull) {
			n.fatal(err)
		}
		return // nothing of this tick is acknowledged; a full store keeps it, and the next tick tries again
	}
	n.sendFrames()
	if n.mu.idle && n.mu.coord.Pending() > 0 {
		n.mu.idle = false
		select {
		case n.hurry <- struct{}{}:
		default:
		}
	}
	for i := range n.mu.coord.Effects().Done {
		d := &n.mu.coord.Effects().Done[i]
		n.mu.vectors.put(d.Token, d.Index, &d.Result)
	}
	n.mu.memory.release(n.mu.coord.Retains())
	n.store.Recycle()
	n.mu.coord.Reset()
	for _, part := range n.mu.parts {
		part.Reset()
	}
	clear(n.mu.outbox)
	n.mu.outbox = n.mu.outbox[:0]
}

// sendFrames joins what the machines have for each peer into as few frames as fit.
func (n *Node) sendFrames() {
	boxes := n.mu.byPeer[:0]
	for _, o := range n.mu.coord.Effects().Peers {
		if len(o.Items) > 0 {
			boxes = append(boxes, o)
		}
	}
	own := len(boxes)
	add := func(to ring.NodeID, it wire.Item) {
		i := slices.IndexFunc(boxes[own:], func(o coord.Outbox) bool { return o.To == to })
		if i < 0 {
			boxes = append(boxes, coord.Outbox{To: to})
			i = len(boxes) - own - 1
		}
		boxes[own+i].Items = append(boxes[own+i].Items, it)
	}
	for _, part := range n.mu.parts {
		for _, o := range part.Outs() {
			add(o.To, o.Item)
		}
	}
	for _, o := range n.mu.outbox {
		add(o.To, o.Item)
	}
	h := n.header()
	for i := range boxes {
		lazy := n.lazyOf(boxes[i].To)
		if n.mu.lazyDue || !lazy.postpone(boxes[i].Items) {
			n.sendItems(h, boxes[i].To, lazy.take(), boxes[i].Items)
		}
	}
	if n.mu.lazyDue {
		n.mu.lazyDue = false
		for i := range n.mu.lazy {
			n.sendItems(h, n.mu.lazy[i].to, n.mu.lazy[i].take(), nil)
		}
	}
	n.waitLazily()
	if cap(n.mu.frame) > 4*frameBytes {
		n.mu.frame = nil // one large value must not be held for ever
	}
	clear(boxes)
	n.mu.byPeer = boxes[:0]
}

func (n *Node) sendItems(h wire.Header, to ring.NodeID, first wire.Encoded, items []wire.Item) {
	n.mu.frame = wire.AppendFrames(n.mu.frame, h, first, items, frameBytes, tcp.HeaderSize, func(unit []byte) {
		n.transport.Send(to, unit) // refused: the connection is gone, and OnDown says so
	})
}

func (n *Node) header() wire.Header {
	h := wire.Header{HLC: n.mu.skew.hlc(n.now())}
	if n.mu.ring != nil {
		h.Epoch = n.mu.ring.Epoch
	}
	if n.mu.skew.off {
		h.Capabilities |= wire.CapPassOver
	}
	return h
}

// send queues an item of this package's own for a peer.
func (n *Node) send(to ring.NodeID, it wire.Item) {
	n.mu.outbox = append(n.mu.outbox, wire.Out{To: to, Item: it})
}
