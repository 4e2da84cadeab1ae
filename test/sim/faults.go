package sim

import (
	"errors"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
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
	if n.up && n.disk.suspect && w.cfg.kills && w.rand.percent(30) {
		w.stop(n, nil) // a second time before it has pulled
		w.stats.kills++
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
	if len(n.disk.tail) > 0 && w.rand.percent(40) {
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
		n.adopt(at.disk.ring)
		return
	}
	next, err := at.disk.ring.WithMember(n.member)
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

// reap removes rows of nothing but tombstones at some owner when every owner has processed all of them durably: what
// a later version of the cores will do, so that the late-message rule is needed now.
func (w *World) reap() {
	w.push(event{at: w.now + int64(w.rand.between(50, 400)), kind: evReap})
	for _, key := range w.keys {
		p := w.partition(key)
		for _, n := range w.ownersOf(key) {
			if n.up && w.rand.percent(60) && w.mayReap(n, p, key) {
				w.stats.reap++
				w.reaped = true
				row := n.disk.live[p].rows[key]
				for i := range row.Versions {
					w.oracle.reap(w.oracle.byDot[row.Versions[i].Dot])
				}
				w.trace("REAP key %s on node %d: %s", key, n.index, w.oracle.names(row))
				n.disk.do(change{kind: changeReap, partition: p, key: key})
				n.disk.endTick()
			}
		}
	}
}

func (w *World) mayReap(n *node, p ring.Partition, key string) bool {
	row := n.disk.live[p].rows[key]
	if len(row.Versions) == 0 {
		return false
	}
	for i := range row.Versions {
		if row.Versions[i].Kind != causal.KindTombstone {
			return false
		}
	}
	for _, o := range w.ownersOf(key) {
		s := o.disk.synced[p]
		if s == nil || !s.Clock.CoversVector(row.Vector) {
			return false
		}
	}
	return true
}

// run is the history of a world: joins, load under faults, healing, rest, and a last look through every node.
func (w *World) run() {
	if w.cfg.faults {
		w.push(event{at: int64(w.rand.between(1, 700)), kind: evFault})
	}
	for limit := int64(0); !w.joined(); limit += 100 {
		if limit == 5000 {
			w.heal() // joins need no luck, only a majority in the end
		}
		if limit > 60_000 {
			w.fail("join: the nodes have not joined within a minute")
		}
		if w.advance(w.now + 100); w.broken != nil {
			return
		}
	}
	w.advance(w.now + 200)
	for limit := w.now + 10_000; !w.cfg.faults && w.now < limit && !w.ready(); {
		w.advance(w.now + 50)
	}
	w.healing = false
	if w.cfg.reaps {
		w.push(event{at: w.now, kind: evReap})
	}
	w.loadEnds = w.now + w.cfg.load
	for i, c := range w.clients {
		if len(c.keys) > 0 {
			w.push(event{at: w.now + int64(w.rand.below(50)), kind: evClient, node: i})
		}
	}
	w.advance(w.loadEnds)
	w.heal()
	w.advance(w.now + 2*w.cfg.timeout)
	w.rest()
	for _, key := range w.keys {
		if !w.cfg.contexts && w.ownersOf(key)[0].disk.live[w.partition(key)].rows[key].LiveCount(w.now+epochMs) > 1 {
			w.stats.left++
		}
	}
	w.lastLook()
}

func (w *World) joined() bool {
	for _, n := range w.nodes {
		if n.disk.ring == nil || len(n.disk.ring.Members) != len(w.nodes) {
			return false
		}
	}
	return true
}

// ready reports whether all nodes are connected with each other and whole.
func (w *World) ready() bool {
	for _, n := range w.nodes {
		for peer, s := range n.session {
			if s == 0 && peer != n.index {
				return false
			}
		}
		if !n.allWhole() {
			return false
		}
	}
	return true
}

// heal ends all faults.
func (w *World) heal() {
	w.healing = true
	for i := range w.links {
		l := &w.links[i]
		l.cut, l.stall = [2]int64{}, [2]int64{}
	}
	for _, n := range w.nodes {
		if !n.up {
			w.bootAgain(n)
		}
	}
}

// rest proves that after the last fault replicas become equal, and whole, by pulls alone and within bounded time (G6).
func (w *World) rest() {
	for limit := w.now + 20_000; w.broken == nil; {
		w.advance(w.now + 200)
		whole := true
		for _, n := range w.nodes {
			whole = whole && n.allWhole() && n.machine.Pending() == 0
		}
		if whole && w.oracle.equal() {
			break
		}
		if w.now > limit {
			w.fail("not equal: 20 s after the last fault replicas differ or are not whole (whole: %v)", whole)
		}
	}
	if w.broken == nil {
		w.oracle.settled()
	}
}

// lastLook proves that every node answers the same (G5), and that a healed cluster is Redis again: a SET leaves one
// version, a DEL none, whichever nodes are asked.
func (w *World) lastLook() {
	for _, key := range w.keys {
		first := ""
		for i := range w.nodes {
			r := w.ask(i, wire.OpGet, key)
			if got := string(r.Value); i == 0 {
				first = got
			} else if got != first {
				w.fail("different answers: GET %s is %q on node 0 and %q on node %d", key, first, got, i)
			}
		}
		w.ask(w.rand.below(len(w.nodes)), wire.OpSet, key)
		if r := w.ask(w.rand.below(len(w.nodes)), wire.OpVGet, key); w.broken == nil && len(r.Siblings) != 1 {
			w.fail("not one version: after a SET in a healed cluster key %s has %d", key, len(r.Siblings))
		}
		w.ask(w.rand.below(len(w.nodes)), wire.OpDel, key)
		if r := w.ask(w.rand.below(len(w.nodes)), wire.OpGet, key); w.broken == nil && r.Found {
			w.fail("not deleted: after a DEL in a healed cluster key %s is %q", key, r.Value)
		}
	}
}

// ask runs one operation to its end and proves that it ends without an error.
func (w *World) ask(at int, code wire.Code, key string) wire.Result {
	if w.broken != nil {
		return wire.Result{}
	}
	op := w.newOp(code, key)
	op.node, op.begun = at, w.now
	w.trace("last look: node %d op %d %s key %s", at, op.id, codeName(code), key)
	w.nodes[at].take(input{kind: evClient, ops: []*operation{op}})
	for limit := w.now + 5000; !op.done && w.now < limit && w.broken == nil; {
		w.advance(w.now + 5)
	}
	if w.broken == nil && op.status != wire.OK || !op.done {
		w.fail("error after healing: op %d %s was answered with status %d %s", op.id, codeName(code), op.status, op.result.Err)
	}
	return op.result
}

func (w *World) finalStats() Stats {
	s := w.stats
	s.Seeds = 1
	for _, f := range w.oracle.facts {
		if f.acked {
			s.acked++
		}
		if f.flush {
			s.flushed++
		}
	}
	for _, op := range w.ops {
		if op.done && op.status == wire.Uncertain {
			s.uncertain++
		}
		if len(op.result.Siblings) > 1 {
			s.siblings++
		}
	}
	for _, n := range w.nodes {
		m := &n.machine.Stats
		s.repaired += int(m.ReadRepairs)
		s.sloppy += int(m.SloppyReads)
		s.readFirst += int(m.ReadFirst)
		s.pulledKeys += int(n.puller.Stats.KeysTaken)
	}
	return s
}
