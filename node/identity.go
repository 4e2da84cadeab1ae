package node

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"shoal/engine"
	"shoal/ring"
)

// identity is who this node is, for as long as its folder exists: no folder, no identity.
type identity struct {
	Node  ring.NodeID
	Name  string
	Seeds []string // peer addresses to try; none: this node founded its cluster

	Replaces bool `json:",omitempty"` // it was taken in in the place of a member that was gone

	acceptor ring.AcceptorState
}

// The keys of the engine's small keyspace.
const (
	metaIdentity = "identity"
	metaMap      = "map"
	metaAcceptor = "acceptor"
)

// unusable is why a node does not start in its folder, and what to do.
func (n *Node) unusable(format string, args ...any) error {
	return fmt.Errorf("the folder %s cannot be used: %w. Put it back from a copy, or start the node with an empty folder and --join to be filled from the other members", n.opts.Dir, fmt.Errorf(format, args...))
}

// recover reads who this node is and which map it had, or makes a new identity in an empty folder. The map is nil for
// a node that has not founded or joined a cluster yet.
func (n *Node) recover() (*ring.Map, error) {
	m, err := n.recoverMap()
	if err != nil {
		return nil, err
	}
	raw, err := n.store.Meta(metaIdentity)
	if err == nil && raw != nil {
		err = json.Unmarshal(raw, &n.id)
	}
	if err != nil {
		return nil, n.unusable("the identity is damaged: %w", err)
	}
	holds := m != nil || len(n.store.Partitions()) > 0
	if raw == nil {
		if holds { // rows of whoever it was must not get into another cluster, or count as another member's
			return nil, n.unusable("it holds data, but the identity is lost")
		}
		n.id = identity{Node: ring.NodeID(n.world.Random() | 1), Name: n.opts.Name, Seeds: n.opts.Join, acceptor: n.id.acceptor}
	}
	if n.id.Name != n.opts.Name {
		return nil, fmt.Errorf("the folder %s belongs to the node %q, not %q: start it under its own name, or use another folder", n.opts.Dir, n.id.Name, n.opts.Name)
	}
	for _, a := range n.opts.Join {
		if !slices.Contains(n.id.Seeds, a) {
			n.id.Seeds = append(n.id.Seeds, a)
		}
	}
	if err := n.member().Validate(); err != nil {
		return nil, err
	}
	if m == nil && holds && len(n.id.Seeds) == 0 { // it would found another cluster over its rows
		return nil, n.unusable("it holds data, but the ring map is lost")
	}
	return m, n.saveIdentity()
}

func (n *Node) saveIdentity() error {
	raw, err := json.Marshal(n.id)
	if err != nil {
		return err
	}
	return n.store.SetMeta(metaIdentity, raw)
}

func (n *Node) recoverMap() (*ring.Map, error) {
	raw, err := n.store.Meta(metaAcceptor)
	if err == nil && raw != nil {
		n.id.acceptor, err = ring.DecodeAcceptorState(raw)
	}
	if err != nil {
		return nil, n.unusable("the acceptor state is damaged: %w", err)
	}
	raw, err = n.store.Meta(metaMap)
	if err == nil && raw == nil {
		return nil, nil
	}
	var m *ring.Map
	if err == nil {
		m, err = ring.DecodeMap(raw)
	}
	if err != nil {
		return nil, n.unusable("the ring map is damaged: %w", err)
	}
	if n.opts.N != 0 && n.opts.N != m.N {
		return nil, fmt.Errorf("the cluster was founded with N=%d, which cannot be changed: do not start its node with N=%d", m.N, n.opts.N)
	}
	return m, nil
}

// found makes a cluster of this node alone.
func (n *Node) found() error {
	var cluster ring.ClusterID
	var key [32]byte
	for _, b := range [][]byte{cluster[:], key[:]} {
		for i := 0; i < len(b); i += 8 {
			binary.BigEndian.PutUint64(b[i:], n.world.Random())
		}
	}
	q := n.opts.Partitions
	if q == 0 {
		q = DefaultPartitions
	}
	if err := ring.ValidateShape(n.opts.foundingN(), q); err != nil {
		return err
	}
	m := ring.Found(cluster, key, n.opts.foundingN(), q, n.member())
	if err := n.store.SetMeta(metaMap, m.Append(nil)); err != nil {
		return err
	}
	return n.install(m)
}

// member is this node as the ring map lists it.
func (n *Node) member() ring.Member {
	return ring.Member{ID: n.id.Node, Name: n.opts.Name, Client: n.opts.Announce, Peer: n.opts.AnnouncePeer, Zone: n.opts.Zone, Weight: n.opts.Weight}
}

// copiesElsewhere reports whether, by the ring map kept in a folder, other members hold copies of all that is in it.
func copiesElsewhere(o engine.Options) bool {
	raw, err := engine.Peek(o, metaMap)
	if err != nil || raw == nil {
		return false
	}
	m, err := ring.DecodeMap(raw)
	return err == nil && m.N > 1 && len(m.Members) > 1
}
