package node

import (
	"context"
	"net"
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/ring/gossip"
	"shoal/wire"
	"shoal/wire/tcp"
)

func (n *Node) transportConfig() tcp.Config {
	return tcp.Config{
		Listen:     func() (net.Listener, error) { return n.world.Listen(n.opts.Peer) },
		Dial:       n.world.Dial,
		Self:       n.hello,
		Secret:     n.opts.Secret,
		IsLoopback: n.world.IsLoopback,
		Log:        n.log,
		Name:       n.nameOf,
		Loop:       n.loop,
		OnFrame:    n.onFrame,
		OnUp:       n.onUp,
		OnDown:     n.onDown,
		OnStranger: n.onStranger,
		OnGossip:   n.onGossip,
	}
}

func (n *Node) hello() tcp.Identity {
	id := tcp.Identity{Node: n.id.Node, Incarnation: uint64(n.store.Incarnation()), Version: wire.ProtocolVersion}
	if m := n.shown.Load(); m != nil {
		id.Cluster = m.Cluster
	}
	return id
}

func (n *Node) onUp(peer ring.NodeID, incarnation uint64) {
	n.log.Info("peer up", "peer", n.nameOf(peer))
	n.tick(func(now int64) {
		n.mu.up[peer] = true
		n.mu.repair.connected(peer, causal.Actor(incarnation))
		n.mu.coord.Up(peer)
		for _, part := range n.mu.parts {
			part.Up(now, peer)
		}
		n.send(peer, wire.Item{Kind: wire.ItemMap}) // whoever is behind hears it at once, and skew is measured
	})
}

func (n *Node) onDown(peer ring.NodeID, incarnation uint64, cause error) {
	if n.ctx.Err() == nil {
		n.log.Info("peer down", "peer", n.nameOf(peer), "cause", cause)
	}
	n.tick(func(now int64) {
		n.mu.up[peer] = false
		delete(n.mu.skew.peers, peer)
		n.judgeClock(now)
		n.mu.coord.Down(now, peer)
		for _, part := range n.mu.parts {
			part.Down(now, peer)
		}
		n.lazyOf(peer).take()
		n.mu.outbox = slices.DeleteFunc(n.mu.outbox, func(o wire.Out) bool { return o.To == peer })
	})
}

// onFrame takes in a peer's frame. Frames that arrived together share a tick, which the last of them ends, or onDown in
// its place.
func (n *Node) onFrame(from ring.NodeID, incarnation uint64, frame []byte, more bool) {
	run := n.tick
	if more {
		run = n.step
	}
	run(func(now int64) {
		if n.overTo(from, causal.Actor(incarnation)) {
			return
		}
		h, items, err := n.mu.memory.take(frame)
		if err != nil {
			n.log.Error("a frame of a peer cannot be read and was dropped", "peer", n.nameOf(from), "err", err)
			return
		}
		n.heard(now, from, h)
		items = n.refuseWrites(from, items)
		n.mu.coord.Step(now, from, items)
		for _, part := range n.mu.parts {
			part.Step(now, from, items)
		}
		n.mu.repair.fence()
		answered := false
		for i := range items {
			answered = answered || items[i].Kind == wire.ItemPulled
			n.onItem(now, from, &items[i])
		}
		if answered {
			n.mu.puller.Tick(now) // an answer makes room for the next question: a boot must not wait for the timer
		}
	})
}

// overTo reports whether nothing of a connection may be taken in any more: a closing has fenced that boot of the peer, or
// the newest map does not list it.
func (n *Node) overTo(peer ring.NodeID, boot causal.Actor) bool {
	if over, ok := n.mu.fenced[peer]; ok && over == boot {
		return true
	}
	if n.mu.ring == nil {
		return false
	}
	_, member := n.mu.ring.Member(peer)
	return !member
}

// heard looks at what every frame says of its sender: its map's epoch and its clock.
func (n *Node) heard(now int64, from ring.NodeID, h wire.Header) {
	if n.mu.skew.heard(now, from, h.HLC) {
		n.judgeClock(now)
	}
	n.mu.coord.Heard(now, from, h.HLC)
	n.mu.coord.PassOver(from, h.Capabilities&wire.CapPassOver != 0)
	if n.mu.ring != nil && h.Epoch > n.mu.ring.Epoch && now-n.mu.asked[from] > 100 {
		n.mu.asked[from] = now
		n.send(from, wire.Item{Kind: wire.ItemMap})
	}
}

// onItem handles what concerns neither data nor replicas.
func (n *Node) onItem(now int64, from ring.NodeID, it *wire.Item) {
	switch it.Kind {
	case wire.ItemMap:
		n.onMap(from, it.Blob)
	case wire.ItemAgree:
		if msg, err := ring.DecodeAgreeMsg(it.Blob); err == nil {
			n.perform(n.mu.agree.Step(now, from, msg))
		} else {
			n.log.Error("a message of the map agreement cannot be read", "peer", n.nameOf(from), "err", err)
		}
	case wire.ItemSurvey:
		n.onSurvey(now, from, it)
	case wire.ItemSurveyed:
		n.onSurveyed(from, it)
	}
}

// nameOf is a node's name, or its id when the map does not know it.
func (n *Node) nameOf(id ring.NodeID) string {
	if m := n.shown.Load(); m != nil {
		if x, ok := m.Member(id); ok {
			return x.Name
		}
	}
	return id.Hex()
}

func (n *Node) onGossip(c net.Conn) {
	n.mu.Lock()
	g := n.mu.gossip
	n.mu.Unlock()
	if g == nil {
		_ = c.Close()
		return
	}
	g.AcceptStream(c)
}

// startGossip begins to gossip once there is a map, whose cluster id separates clusters.
func (n *Node) startGossip(m *ring.Map) error {
	packet, err := n.world.ListenPacket(n.opts.Peer)
	if err != nil {
		return err
	}
	g, err := gossip.Start(gossip.Config{
		Self:      n.id.Node,
		Meta:      gossip.Meta{Name: n.opts.Name, Client: n.opts.Announce, Peer: n.opts.AnnouncePeer},
		Advertise: n.opts.AnnouncePeer,
		Cluster:   m.Cluster,
		Secret:    n.opts.Secret,
		Packet:    packet,
		DialStream: func(ctx context.Context, addr string) (net.Conn, error) {
			return n.transport.DialGossip(ctx, addr)
		},
		Seeds:      n.seeds,
		IsLoopback: n.world.IsLoopback,
		Log:        n.log,
		OnAlive:    n.onAlive,
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.mu.gossip = g
	n.mu.Unlock()
	return nil
}

// seeds are the addresses gossip tries for ever: of the map's members and those given by the operator.
func (n *Node) seeds() []string {
	out := append([]string(nil), n.id.Seeds...)
	if m := n.shown.Load(); m != nil {
		for _, x := range m.Members {
			if x.ID != n.id.Node {
				out = append(out, x.Peer)
			}
		}
	}
	return out
}

// onAlive learns where a member is reached today: its addresses may have changed since the map was made.
func (n *Node) onAlive(id ring.NodeID, meta gossip.Meta) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.mu.gossiped[id] != meta {
		n.mu.gossiped[id] = meta
		n.show()
	}
}

// show publishes the map with the addresses of today. The lock is held.
func (n *Node) show() {
	if n.mu.ring == nil {
		return
	}
	m := *n.mu.ring
	m.Members = append([]ring.Member(nil), m.Members...)
	for i := range m.Members {
		x := &m.Members[i]
		if meta, ok := n.mu.gossiped[x.ID]; ok && meta.Name == x.Name && meta.Client != "" && meta.Peer != "" {
			x.Client, x.Peer = meta.Client, meta.Peer
		}
		if x.ID == n.id.Node {
			x.Client, x.Peer = n.opts.Announce, n.opts.AnnouncePeer
		}
	}
	n.shown.Store(&m)
	n.mu.redial = true
}

// redial gives the transport the members' addresses when they changed.
func (n *Node) redial() {
	n.mu.Lock()
	due := n.mu.redial
	n.mu.redial = false
	n.mu.Unlock()
	if !due {
		return
	}
	var peers []tcp.Peer
	for _, x := range n.shown.Load().Members {
		if x.ID != n.id.Node {
			peers = append(peers, tcp.Peer{ID: x.ID, Addr: x.Peer})
		}
	}
	n.transport.SetPeers(peers)
}
