package gossip

import (
	"errors"
	"fmt"
	"net"

	"github.com/hashicorp/memberlist"
)

// maxMembers bounds what a stranger without a secret on this machine could make a node remember.
const maxMembers = 4096

var (
	errForeign = errors.New("of another cluster")
	errName    = errors.New("announces another id than its own")
	errAddress = errors.New("gossips from an address that is not listened to")
	errCrowd   = errors.New("too many members")
)

// delegate is what memberlist asks and tells. memberlist holds its lock meanwhile, so nothing in here waits or calls it.
type delegate struct{ g *Gossip }

var (
	_ memberlist.Delegate         = delegate{}
	_ memberlist.EventDelegate    = delegate{}
	_ memberlist.AliveDelegate    = delegate{}
	_ memberlist.MergeDelegate    = delegate{}
	_ memberlist.ConflictDelegate = delegate{}
)

// NodeMeta returns this node's announcement.
func (d delegate) NodeMeta(limit int) []byte {
	if b := *d.g.announced.Load(); len(b) <= limit {
		return b
	}
	return nil
}

// NotifyMsg does nothing: there are no user messages.
func (d delegate) NotifyMsg([]byte) {}

// GetBroadcasts returns nothing to send along.
func (d delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState returns nothing to send along.
func (d delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState does nothing: there is no state beside membership.
func (d delegate) MergeRemoteState([]byte, bool) {}

// NotifyAlive refuses news of a node that is not of this cluster or not who it says. News of a known id from another
// address memberlist itself refuses while the known one is alive.
func (d delegate) NotifyAlive(n *memberlist.Node) error {
	_, err := d.judge(n)
	return err
}

// NotifyMerge refuses to join with anybody who has a node of another cluster among its members.
func (d delegate) NotifyMerge(nodes []*memberlist.Node) error {
	for _, n := range nodes {
		if a, err := decodeAnnouncement(n.Meta); err == nil && a.cluster != d.g.cfg.Cluster {
			return fmt.Errorf("%s is %w", n.Name, errForeign)
		}
	}
	return nil
}

// NotifyConflict tells of a second node that claims a known id; the first one stays known.
func (d delegate) NotifyConflict(known, other *memberlist.Node) {
	d.g.log.print(fmt.Sprintf("node %s is known at %s, refused at %s", known.Name, known.Address(), other.Address()))
}

// NotifyJoin tells of a node that is there.
func (d delegate) NotifyJoin(n *memberlist.Node) { d.alive(n) }

// NotifyUpdate tells of a node that announces something else.
func (d delegate) NotifyUpdate(n *memberlist.Node) { d.alive(n) }

// NotifyLeave tells of a node that left or died.
func (d delegate) NotifyLeave(n *memberlist.Node) {
	if a, err := decodeAnnouncement(n.Meta); err == nil {
		d.g.view.dead(a.node)
	}
}

func (d delegate) alive(n *memberlist.Node) {
	if a, err := d.judge(n); err == nil {
		d.g.view.alive(Member{ID: a.node, Meta: a.meta, Addr: n.Address()})
	}
}

func (d delegate) judge(n *memberlist.Node) (announcement, error) {
	a, err := decodeAnnouncement(n.Meta)
	switch {
	case err != nil:
		return a, err
	case a.cluster != d.g.cfg.Cluster:
		return a, errForeign
	case a.node.String() != n.Name:
		return a, errName
	case a.node == d.g.cfg.Self:
		// This node itself, wherever it is; memberlist could not do without. It refuses others that claim the id.
		return a, nil
	case !d.g.cfg.trusted(&net.UDPAddr{IP: n.Addr, Port: int(n.Port)}):
		return a, errAddress
	case d.g.view.full(a.node):
		return a, errCrowd
	}
	return a, nil
}
