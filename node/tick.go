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

// vector is a client's operations under way.
type vector struct {
	out  []wire.Result
	at   []int // where the i-th operation's result goes; nil: to out[i]
	left int
	done chan struct{}
}

// put takes in the result of one operation and reports whether it was the last.
func (v *vector) put(index int, r wire.Result) bool {
	if v.at != nil {
		index = v.at[index]
	}
	v.out[index] = r
	v.left--
	return v.left == 0
}

func (v *vector) abandon() {
	for i := range v.out {
		v.out[i] = wire.Result{Status: wire.Failed, Err: "UNCERTAIN the node is stopping; a write may or may not be applied"}
	}
	close(v.done)
}

// tick runs f as part of a tick, and ends the tick if nobody else will. What f asks for has left when the tick that
// it was part of has ended, which may be after tick returns.
func (n *Node) tick(f func(now int64)) {
	n.mu.Lock()
	f(n.now())
	opened := !n.mu.ticking
	n.mu.ticking = true
	n.mu.Unlock()
	if !opened {
		return
	}
	runtime.Gosched() // let others join this tick: their frames and their write are shared
	n.mu.Lock()
	n.endTick()
	n.mu.ticking = false
	n.mu.Unlock()
}

// step runs f as part of a tick that the caller, or whoever ends one before him, ends: a call of tick must follow soon.
func (n *Node) step(f func(now int64)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f(n.now())
}

// endTick makes the tick's changes durable as far as configured, and only then lets frames and results out.
func (n *Node) endTick() {
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
	for i := range n.mu.coord.Effects().Done {
		d := &n.mu.coord.Effects().Done[i]
		v := n.mu.vectors[d.Token]
		if v == nil {
			continue
		}
		if v.put(d.Index, d.Result) {
			delete(n.mu.vectors, d.Token)
			close(v.done)
		}
	}
	n.mu.coord.Reset()
	n.mu.puller.Reset()
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
	for _, o := range n.mu.puller.Outs() {
		add(o.To, o.Item)
	}
	for _, o := range n.mu.outbox {
		add(o.To, o.Item)
	}
	h := n.header()
	for i := range boxes {
		to := boxes[i].To
		n.mu.frame = wire.AppendFrames(n.mu.frame, h, boxes[i].Items, frameBytes, tcp.HeaderSize, func(unit []byte) {
			n.transport.Send(to, unit) // refused: the connection is gone, and OnDown says so
		})
	}
	if cap(n.mu.frame) > 4*frameBytes {
		n.mu.frame = nil // one large value must not be held for ever
	}
	clear(boxes)
	n.mu.byPeer = boxes[:0]
}

func (n *Node) header() wire.Header {
	h := wire.Header{HLC: uint64(n.now()) << 16}
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
	n.mu.outbox = append(n.mu.outbox, outItem(to, it))
}

// Exec runs a client's vector and waits for its results: see resp.Backend.
func (n *Node) Exec(ops []wire.Op, out []wire.Result) {
	if len(ops) == 0 {
		return
	}
	own := keep(ops)
	v := &vector{out: out, left: len(ops), done: make(chan struct{})}
	n.tick(func(now int64) {
		if n.mu.closed {
			v.abandon()
			return
		}
		if n.full() {
			if own, v.at = n.refuseOps(v, own); len(own) == 0 {
				close(v.done)
				return
			}
			v.left = len(own)
		}
		n.mu.token++
		n.mu.vectors[n.mu.token] = v
		n.mu.coord.Exec(now, n.mu.token, own)
	})
	<-v.done
}

// keep copies operations and their bytes, which may have to wait for other nodes, in two allocations.
func keep(ops []wire.Op) []wire.Op {
	size := 0
	for i := range ops {
		size += len(ops[i].Key) + len(ops[i].Value) + len(ops[i].Context)
	}
	arena := make([]byte, 0, size)
	take := func(b []byte) []byte {
		at := len(arena)
		arena = append(arena, b...)
		return arena[at:len(arena):len(arena)]
	}
	own := slices.Clone(ops)
	for i := range own {
		own[i].Key, own[i].Value, own[i].Context = take(own[i].Key), take(own[i].Value), take(own[i].Context)
	}
	return own
}
