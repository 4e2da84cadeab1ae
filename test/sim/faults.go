package sim

import (
	"errors"

	"shoal/ring"
)

// fault is one act of the adversary, and plans the next.
func (w *World) fault() {
	if w.healing {
		return
	}
	pause := w.cfg.pause
	if w.loadEnds == 0 {
		pause = w.cfg.storm
	}
	w.push(event{at: w.now + int64(w.rand.between(pause/20, pause)), kind: evFault})
	n := w.nodes[w.rand.below(len(w.nodes))]
	if w.cfg.hints && w.loadEnds > 0 {
		if n = w.prey(n); w.rand.percent(25) {
			w.strand()
			return
		}
	}
	if n.up && n.disk.suspect && w.cfg.kills && w.rand.percent(30) {
		w.stop(n, nil) // a second time before it has pulled
		w.stats.kills++
		return
	}
	if w.cfg.jumps > 0 && w.loadEnds != 0 && w.rand.percent(w.cfg.jumps) && w.jump(n) {
		return
	}
	if (w.cfg.disks || w.cfg.backups) && w.loadEnds != 0 && w.rand.percent(w.cfg.ruins) && w.ruin(n) {
		return
	}
	if w.cfg.damages > 0 && w.loadEnds != 0 && w.rand.percent(w.cfg.damages) && w.damage(n) {
		return
	}
	switch x := w.rand.below(100); {
	case x < 20 && w.cfg.kills && n.up:
		w.stop(n, nil)
		w.stats.kills++
	case x < 50 && w.cfg.losses && n.up:
		w.cutPower(n)
	case x < 80 && w.cfg.cuts && len(w.nodes) > 1:
		w.cut(n)
	case len(w.nodes) > 1:
		w.stall(n)
	}
}

// cutPower stops a machine: some of the unsynced tail is lost, as much as the adversary's word allows.
func (w *World) cutPower(n *node) {
	keep := 0
	if len(n.disk.tail) > 0 && !w.cfg.lostWhole && w.rand.percent(40) {
		first := n.disk.tail[0].tick
		keep = w.rand.between(first, n.disk.tick)
	}
	left := n.disk.afterLoss(keep)
	if !w.oracle.mayLose(n, left) {
		w.stats.refused++
		return
	}
	w.oracle.loses(n, left)
	w.stats.losses++
	w.stop(n, left)
}

// stop ends a life: kill -9 when left is nil, else a power cut that leaves the state.
func (w *World) stop(n *node, left state) {
	w.trace("STOP node %d, tail lost: %v", n.index, left != nil)
	n.up = false
	n.lostTail = left != nil && !n.disk.always
	if left != nil {
		n.disk.lose(left)
	}
	for i, peer := range w.nodes {
		if i == n.index {
			continue
		}
		l, end := w.link(n.index, i)
		if n.session[i] != 0 && l.session == n.session[i] {
			l.ended[end] = true
		}
		n.session[i] = 0
		w.disconnect(peer, n, 1000)
	}
	w.disconnected(n)
	pause := w.rand.between(10, 600)
	if w.loadEnds == 0 && w.cfg.storm < calm {
		pause = w.rand.between(1, 40)
	} else if w.rand.percent(20) {
		pause = w.rand.between(600, 3000)
	}
	w.push(event{at: w.now + int64(pause), kind: evBoot, node: n.index})
}

func (w *World) bootAgain(n *node) {
	if n.up {
		return
	}
	w.trace("BOOT node %d", n.index)
	n.boot(n.lostTail)
	for _, x := range w.nodes {
		w.mayConnect(n, x)
	}
	if n.disk.ring == nil {
		w.push(event{at: w.now + 20, kind: evJoin, node: n.index, life: n.life})
	}
}

// accepted: while nodes join in a storm, the adversary waits for the moment that chance rarely meets: an acceptor has
// accepted, its answer is on the way, and neither it nor a third hears in time that the map is decided.
func (w *World) accepted(n *node, s *ring.AcceptorState) {
	if w.healing || w.cfg.storm >= calm || s.Accepted == (ring.Ballot{}) || s.Accepted.Node == n.id || !w.rand.percent(30) {
		return
	}
	if w.byID(s.Accepted.Node) < 0 {
		return
	}
	w.push(event{
		at: w.now + int64(w.rand.between(1, 4*w.cfg.latency)), kind: evAmbush,
		node: n.index, life: n.life, peer: w.byID(s.Accepted.Node),
	})
}

func (w *World) ambush(acceptor, proposer *node) {
	if w.healing {
		return
	}
	w.stats.kills++
	w.stop(acceptor, nil)
	until := w.now + int64(w.rand.between(300, 2000))
	for i, peer := range w.nodes {
		if peer != proposer {
			l, dir := w.link(proposer.index, i)
			l.cut[dir], l.cut[1-dir] = max(l.cut[dir], until), max(l.cut[1-dir], until)
			w.disconnect(proposer, peer, 1200)
			w.disconnect(peer, proposer, 1200)
		}
	}
}

// cut stops the frames from or to a node, on one link or all, one way or both.
func (w *World) cut(n *node) {
	until := w.now + int64(w.rand.between(50, 2500))
	all, way := w.rand.percent(60), w.rand.below(3)
	only := w.rand.below(len(w.nodes))
	w.stats.cuts++
	for i, peer := range w.nodes {
		if i == n.index || !all && i != only {
			continue
		}
		w.trace("CUT %d-%d way %d until %d", n.index, i, way, until)
		l, dir := w.link(n.index, i)
		if way != 1 {
			l.cut[dir] = max(l.cut[dir], until)
		}
		if way != 2 {
			l.cut[1-dir] = max(l.cut[1-dir], until)
		}
		if !w.cfg.wild || until > w.now+1000 {
			w.disconnect(n, peer, 1200)
			w.disconnect(peer, n, 1200)
		}
	}
}

// stall holds back the frames of one direction for a while, in order.
func (w *World) stall(n *node) {
	i := w.rand.below(len(w.nodes))
	if i == n.index {
		return
	}
	l, dir := w.link(n.index, i)
	l.stall[dir] = w.now + int64(w.rand.between(20, 1500))
	w.trace("STALL %d->%d until %d", n.index, i, l.stall[dir])
}

// join asks a member to get this node into the map.
func (w *World) join(n *node) {
	if n.disk.ring != nil {
		return
	}
	w.push(event{at: w.now + int64(w.rand.between(10, 150)), kind: evJoin, node: n.index, life: n.life})
	at := w.nodes[w.rand.below(len(w.nodes))]
	if at == n || !at.up || at.disk.ring == nil {
		return
	}
	if _, listed := at.disk.ring.Member(n.id); listed {
		w.stats.joins++
		if n.disk.replaces {
			w.stats.replaced++
		}
		n.adopt(at.disk.ring)
		return
	}
	next, err := w.mapWith(at, n)
	if next == nil && err == nil {
		return
	}
	if err != nil {
		w.fail("join: %v", err)
		return
	}
	e, err := at.agree.Propose(at.now(), next)
	if err != nil && !errors.Is(err, ring.ErrBusy) {
		w.fail("propose: %v", err)
	}
	at.perform(e)
	at.take(input{kind: evWork})
}
