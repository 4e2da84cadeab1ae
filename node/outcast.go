package node

import (
	"encoding/json"
	"fmt"
	"time"

	"shoal/ring"
)

// A member that was replaced while it was away knows only an old map, and the others do not speak with strangers. It must
// not go on as if it were cut off: with nobody to ask it would answer reads from its own old rows.

const (
	lonelyEvery = time.Second     // a member without any connection asks the others whether it still is one
	lonelyAfter = 2 * time.Second // from then on
)

// askIfMember asks other members, while none is connected, whether the map still lists this node: at the start at once, one
// after the other, later when it has been alone for a while. A map that does is taken over; a member that knows better
// ends this node.
func (n *Node) askIfMember() {
	t := time.NewTicker(lonelyEvery)
	defer t.Stop()
	request, err := json.Marshal(joinRequest{Member: n.member(), Returning: true})
	if err != nil {
		n.fail(err)
		return
	}
	since := time.Now().Add(-lonelyAfter)
	for i := 0; n.ctx.Err() == nil; {
		others := n.lonely()
		if len(others) == 0 {
			since = time.Now()
		} else if time.Since(since) >= lonelyAfter {
			m, _, err := n.askToJoin(others[i%len(others)].Peer, request)
			switch {
			case err != nil:
				n.fail(err)
				return
			case m != nil:
				n.tick(func(int64) { n.adopt(m) })
			}
			if i++; m == nil && i < len(others) {
				continue
			}
		}
		select {
		case <-n.ctx.Done():
		case <-t.C:
		}
	}
}

// lonely lists the other members when this node is connected with none of them.
func (n *Node) lonely() []ring.Member {
	m := n.shown.Load()
	if m == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	var others []ring.Member
	for _, x := range m.Members {
		switch {
		case x.ID == n.id.Node:
		case n.mu.up[x.ID]:
			return nil
		default:
			others = append(others, x)
		}
	}
	return others
}

// expelled is what a node is told that was a member and is none any more.
func expelled(m *ring.Map, was ring.Member) string {
	for _, x := range m.Members {
		if x.Name == was.Name {
			return fmt.Sprintf("this node is no longer a member: while it was away another identity took the place of %q (ring map of epoch %d). Its data was not taken over, and its folder is of no use to the cluster any more", was.Name, m.Epoch)
		}
	}
	return fmt.Sprintf("this node is no longer a member of the ring map (epoch %d)", m.Epoch)
}
