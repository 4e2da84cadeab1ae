package node

import (
	"fmt"

	"shoal/antientropy"
	"shoal/ring"
	"shoal/wire"
)

// install makes m this node's ring map: it is durable already.
func (n *Node) install(m *ring.Map) error {
	n.mu.Lock()
	err := n.installLocked(m)
	n.mu.Unlock()
	if err != nil {
		return err
	}
	n.redial()
	if err := n.startGossip(m); err != nil {
		return fmt.Errorf("gossip on %s: %w", n.opts.Peer, err)
	}
	close(n.ready)
	n.log.Info("has the ring map", "epoch", m.Epoch, "members", len(m.Members), "n", m.N)
	return nil
}

// installLocked gives the map to the machines and makes the replicas that it asks for. A replica that it makes is not
// whole until it has pulled; one that was kept is, unless this boot may have lost a tail.
func (n *Node) installLocked(m *ring.Map) error {
	if n.mu.ring != nil && m.Epoch <= n.mu.ring.Epoch {
		return nil
	}
	if _, ok := m.Member(n.id.Node); !ok {
		return fmt.Errorf("the ring map of epoch %d does not list this node", m.Epoch)
	}
	was := n.mu.ring
	var fresh []ring.Partition
	created := map[ring.Partition]bool{}
	for i := range m.Q {
		p := ring.Partition(i)
		if m.Position(p, n.id.Node) >= 0 && n.store.Replica(p) == nil {
			fresh, created[p] = append(fresh, p), true
		}
	}
	founded := was == nil && m.Epoch == 1
	create := n.store.Create
	if n.fills(m, founded) {
		create = n.store.CreateFilling
	}
	if err := create(fresh...); err != nil {
		return err
	}
	trusted := func(p ring.Partition) bool {
		switch {
		case was != nil && was.Position(p, n.id.Node) >= 0:
			return n.mu.puller.Whole(p)
		case created[p]:
			return founded
		}
		return !n.store.TailMayBeLost()
	}
	n.noteReplacements(was, m)
	n.mu.ring = m
	n.mu.coord.Install(m)
	n.mu.repair.install(n.now(), m, trusted)
	n.perform(n.mu.agree.Install(m))
	n.show()
	return nil
}

// noteReplacements remembers which members came when others went: they are told so when they ask for the map.
func (n *Node) noteReplacements(was, now *ring.Map) {
	if was == nil {
		return
	}
	gone := false
	for _, x := range was.Members {
		_, still := now.Member(x.ID)
		gone = gone || !still
	}
	for _, x := range now.Members {
		if _, before := was.Member(x.ID); gone && !before {
			n.mu.replaced[x.ID] = true
		}
	}
}

// fills reports whether the replicas that a map asks for and this node does not have are to be filled: where the node
// stands in another's place, or had them before and lost them. A node that joins an empty cluster only pulls.
func (n *Node) fills(m *ring.Map, founded bool) bool {
	return !founded && (n.kept || antientropy.MadeFilling(m, n.id.Replaces))
}

// perform does what the agreement asks for, in its order: durable first, then sent.
func (n *Node) perform(e ring.AgreeEffects) {
	if e.Persist != nil {
		if err := n.store.SetMeta(metaAcceptor, e.Persist.Append(nil)); err != nil {
			n.fatal(err)
			return
		}
	}
	for _, s := range e.Sends {
		n.send(s.To, wire.Item{Kind: wire.ItemAgree, Blob: s.Msg.Append(nil)})
	}
	if e.Decided != nil {
		n.adopt(e.Decided)
	}
}

// adopt keeps a newer map, installs it and tells the members.
func (n *Node) adopt(m *ring.Map) {
	if n.mu.ring == nil || m.Epoch <= n.mu.ring.Epoch {
		return
	}
	raw := m.Append(nil)
	if err := n.store.SetMeta(metaMap, raw); err != nil {
		n.fatal(err)
		return
	}
	if err := n.installLocked(m); err != nil {
		n.log.Error("the newer ring map cannot be used", "epoch", m.Epoch, "err", err)
		n.fail(err)
		return
	}
	n.log.Info("ring map changed", "epoch", m.Epoch, "members", len(m.Members))
	for _, x := range m.Members {
		if x.ID != n.id.Node {
			n.send(x.ID, wire.Item{Kind: wire.ItemMap, Blob: raw})
		}
	}
}

// onMap takes in a peer's map, or gives it ours when it asks.
func (n *Node) onMap(from ring.NodeID, blob []byte) {
	if n.mu.ring == nil {
		return
	}
	if len(blob) == 0 {
		n.send(from, wire.Item{Kind: wire.ItemMap, Blob: n.mu.ring.Append(nil)})
		return
	}
	m, err := ring.DecodeMap(blob)
	if err != nil || m.Cluster != n.mu.ring.Cluster {
		n.log.Error("a peer's ring map cannot be used", "peer", n.nameOf(from), "err", err)
		return
	}
	n.adopt(m)
}
