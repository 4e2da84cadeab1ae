package node

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"shoal/ring"
	"shoal/wire/tcp"
)

// A node whose folder was lost comes back under its name as another identity and asks to join. It takes the place of the
// old identity once that is gone: nobody is connected with it, and at its address nobody listens, or another identity
// answers. An address from which nothing comes back at all may be that of a node which is only cut off: then it waits.

// probeTimeout bounds the look at the old identity's address.
const probeTimeout = 2 * time.Second

// gone finds out whether a member may be replaced. retry says why not yet, refused why never.
func (n *Node) gone(old ring.Member) (retry, refused string) {
	n.mu.Lock()
	up := n.mu.up[old.ID]
	n.mu.Unlock()
	alive := fmt.Sprintf("the name %q belongs to a member that is alive with another identity (its folder): start this node with its own folder, or under another name", old.Name)
	if up {
		return "", alive
	}
	addr := old.Peer
	if m := n.shown.Load(); m != nil {
		if x, ok := m.Member(old.ID); ok {
			addr = x.Peer // where gossip last saw it
		}
	}
	ctx, cancel := context.WithTimeout(n.ctx, probeTimeout)
	defer cancel()
	id, err := n.transport.Probe(ctx, addr)
	switch {
	case err == nil && id.Node == old.ID:
		return "", alive
	case err == nil || errors.Is(err, tcp.ErrIdentity) || errors.Is(err, syscall.ECONNREFUSED):
		return "", ""
	}
	return fmt.Sprintf("the member %q with this name does not answer, but its address %s does not refuse either (%v): it may only be cut off, and is replaced once it is gone", old.Name, addr, err), ""
}

// successor is the next map that a join asks for: with one more member, or with one in the place of a lost one. Exactly
// one of the four results is set: the map is made when the agreement begins, by next.
func (n *Node) successor(m *ring.Map, req joinRequest, deadline time.Time) (next func(*ring.Map) (*ring.Map, error), retry, refused string) {
	for _, x := range m.Members {
		if x.Name != req.Member.Name {
			continue
		}
		if retry, refused = n.gone(x); retry != "" || refused != "" {
			return nil, retry, refused
		}
		n.log.Warn("a member is gone: its place is given to a node with an empty folder", "name", x.Name, "old", x.ID.Hex(), "new", req.Member.ID.Hex())
		return func(m *ring.Map) (*ring.Map, error) { return m.WithReplacement(x.ID, req.Member) }, "", ""
	}
	keys, err := n.clusterKeys(m, deadline)
	switch {
	case err != nil:
		return nil, err.Error(), ""
	case keys > 0:
		return nil, "", "the cluster holds keys, and joining a cluster that holds data is not supported yet: join while it is empty"
	}
	return func(m *ring.Map) (*ring.Map, error) { return m.WithMember(req.Member) }, "", ""
}
