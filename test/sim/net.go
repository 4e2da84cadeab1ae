package sim

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// link is a pair of nodes. A session is one connection between one life of each; what is in flight when it ends is
// lost unless the receiver takes it before it notices.
type link struct {
	session int             // the newest
	cut     [2]int64        // no frame passes from the lower (higher) node before this time
	last    [2]int64        // arrival of the last frame in each direction: TCP keeps the order
	stall   [2]int64        // frames are held back until then
	broken  [2]bool         // a frame of this session was lost: nothing comes after it
	ended   [2]bool         // the lower (higher) node knows that the session is over
	planned bool            // a connect is planned
	boots   [2]causal.Actor // the incarnations of the lower and the higher node that this session is between
	ids     [2]ring.NodeID  // and their identities
}

func (w *World) link(a, b int) (*link, int) {
	if a < b {
		return &w.links[a*len(w.nodes)+b], 0
	}
	return &w.links[b*len(w.nodes)+a], 1
}

// mayConnect plans a connection between two nodes that know each other.
func (w *World) mayConnect(a, b *node) {
	if a == b || !a.knows(b) || !b.knows(a) {
		return
	}
	l, _ := w.link(a.index, b.index)
	if l.planned || a.session[b.index] == l.session && b.session[a.index] == l.session && l.session != 0 {
		return
	}
	l.planned = true
	w.push(event{at: w.now + int64(w.rand.between(1, 150)), kind: evConnect, node: a.index, peer: b.index})
}

func (n *node) knows(o *node) bool {
	if !n.up || n.disk.ring == nil {
		return false
	}
	_, ok := n.disk.ring.Member(o.id)
	return ok
}

// connect makes a new session unless a cut or a missing end is in the way; then it is tried again.
func (w *World) connect(a, b *node) {
	l, _ := w.link(a.index, b.index)
	l.planned = false
	if !a.knows(b) || !b.knows(a) {
		return
	}
	if w.now < l.cut[0] || w.now < l.cut[1] {
		l.planned = true
		w.push(event{at: w.now + int64(w.rand.between(50, 300)), kind: evConnect, node: a.index, peer: b.index})
		return
	}
	w.sessions++
	l.session = w.sessions
	_, end := w.link(a.index, b.index)
	l.boots[end], l.boots[1-end] = a.actor, b.actor
	l.ids[end], l.ids[1-end] = a.id, b.id
	l.broken, l.ended, l.stall = [2]bool{}, [2]bool{}, [2]int64{}
	for _, e := range [][2]*node{{a, b}, {b, a}} {
		w.push(event{
			at: w.now + w.rand.delay(w.cfg.latency), kind: evUp,
			node: e[0].index, life: e[0].life, peer: e[1].index, session: l.session,
		})
	}
	l.last = [2]int64{}
}

// disconnect lets one node notice, after some time, that its session is over.
func (w *World) disconnect(at, peer *node, within int) {
	if s := at.session[peer.index]; at.up && s != 0 {
		w.push(event{
			at: w.now + int64(w.rand.between(0, within)), kind: evDown,
			node: at.index, life: at.life, peer: peer.index, session: s,
		})
	}
}

func (w *World) onUp(n *node, e *event) {
	l, end := w.link(n.index, e.peer)
	if e.session != l.session || n.session[e.peer] == e.session || l.ended[end] {
		return
	}
	if n.session[e.peer] != 0 {
		n.take(input{kind: evDown, peer: e.peer})
	}
	n.session[e.peer] = e.session
	n.take(input{kind: evUp, peer: e.peer, id: l.ids[1-end], actor: l.boots[1-end]})
	if peer := w.nodes[e.peer]; !peer.up || peer.actor != l.boots[1-end] {
		w.disconnect(n, peer, 1000) // it stopped before this end had the session, and told nobody
	}
}

func (w *World) onDown(n *node, e *event) {
	if n.session[e.peer] != e.session {
		return
	}
	n.session[e.peer] = 0
	if l, end := w.link(n.index, e.peer); l.session == e.session {
		l.ended[end] = true
	}
	n.take(input{kind: evDown, peer: e.peer})
	// the other end hears of it, and both try again
	w.disconnect(w.nodes[e.peer], n, 200)
	w.mayConnect(n, w.nodes[e.peer])
}

// transmit sends a frame in the sender's session.
func (w *World) transmit(from *node, to int, frame []byte) {
	l, dir := w.link(from.index, to)
	s := from.session[to]
	w.stats.frames++
	if s != l.session || w.lose != nil && w.lose(from.index, to, frame) {
		return
	}
	e := event{kind: evFrame, actor: from.actor, node: to, peer: from.index, session: s, frame: frame}
	if w.cfg.wild {
		if w.now < l.cut[dir] || !w.healing && (w.rand.percent(w.cfg.loss) || w.cfg.lostWrites > 0 && w.losesWrite(frame)) {
			return
		}
		e.at = max(w.now, l.stall[dir]) + w.rand.delay(w.cfg.latency)
		if w.rand.percent(w.cfg.late) && !w.healing {
			e.at += int64(w.rand.between(300, 4000))
		}
		if w.cfg.hints && !w.healing && handsOver(frame) && w.rand.percent(40) { // a hint that comes after its value's end
			e.at += int64(w.rand.between(500, 6000))
		}
		w.push(e)
		if w.rand.percent(w.cfg.double) {
			e.at += w.rand.delay(10 * w.cfg.latency)
			e.doubled = true
			w.push(e)
		}
		return
	}
	if w.now < l.cut[dir] && !l.broken[dir] {
		l.broken[dir] = true
		w.disconnect(from, w.nodes[to], 1200)
		w.disconnect(w.nodes[to], from, 1200)
	}
	if l.broken[dir] {
		return
	}
	e.at = max(l.last[dir], l.stall[dir], w.now+w.rand.delay(w.cfg.latency))
	l.last[dir] = e.at
	w.push(e)
}

// losesWrite drops frames that carry a copy of a write more often than others.
func (w *World) losesWrite(frame []byte) bool {
	if !w.rand.percent(w.cfg.lostWrites) {
		return false
	}
	_, items, err := wire.DecodeFrame(frame)
	return err == nil && slices.ContainsFunc(items, func(it wire.Item) bool { return it.Kind == wire.ItemWrite })
}

func (w *World) onFrame(n *node, e *event) {
	if n.session[e.peer] != e.session {
		l, end := w.link(n.index, e.peer)
		if e.session == l.session && n.up && !l.ended[end] {
			e.at = w.now + 1 // the handshake has not reached this end yet
			w.push(*e)
			return
		}
		if !n.up || !bug(OldSessions) {
			return
		}
	}
	n.take(input{kind: evFrame, peer: e.peer, frame: e.frame, twice: e.doubled, actor: e.actor})
}
