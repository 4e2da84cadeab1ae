package sim

// A clock that is set while its node runs. The node's own time goes on, and it knows at once that its clock has jumped, so
// it reaps nothing by it; but until it has compared its clock with the others' it coordinates with it, and its hlc and the
// ends of its versions may be an hour off. No check is weaker for that: causality never goes by a clock, and no promise is
// made for a version with an end but that it is not reaped before it.

const (
	hour    = 3_600_000
	noticed = 1000 // ms, at most, until a node has compared its clock
)

// skewed says whether a node's clock is so far off that it is to be passed over as coordinator.
func (n *node) skewed() bool { return n.wrongBy(n.drift) }

func (n *node) wrongBy(drift int64) bool {
	return n.offset+drift > skewBound || n.offset+drift < -skewBound
}

// jump sets a node's clock, while most are right, and plans that it is set right again.
func (w *World) jump(n *node) bool {
	to := int64(w.rand.between(-hour, hour))
	if w.rand.percent(30) {
		to = int64(w.rand.between(-3000, 3000))
	}
	wrong := 0
	for _, x := range w.nodes {
		if x == n && x.wrongBy(to) || x != n && x.skewed() {
			wrong++
		}
	}
	if wrong*2 >= len(w.nodes) {
		return false
	}
	w.stats.jumps++
	w.setClock(n, to)
	if w.rand.percent(70) {
		w.push(event{at: w.now + int64(w.rand.between(10, 3000)), kind: evClock, node: n.index})
	}
	return true
}

func (w *World) setClock(n *node, drift int64) {
	if n.drift == drift {
		return
	}
	w.trace("CLOCK of node %d: %+d ms", n.index, n.offset+drift)
	n.drift = drift
	n.jumps++
	if n.up {
		n.drifted()
		w.push(event{at: w.now + int64(w.rand.between(0, noticed)), kind: evJudge, node: n.index, life: n.life})
	}
}

// drifted tells the machines, as package node does.
func (n *node) drifted() {
	drift := n.wall() - n.now()
	n.machine.Drift(drift)
	n.comparer.Drift(drift)
	n.reaper.Drift(drift)
	n.reaper.ClockOff(n.skewed() && !bug(ReapedByWrongClock))
}

// bootClock is a new life's knowledge of its clock.
func (n *node) bootClock() {
	n.jumps, n.off = 0, n.wrongBy(0)
	n.machine.PassOver(n.id, n.off)
	n.drifted()
	if n.off != n.skewed() {
		n.w.push(event{at: n.w.now + int64(n.w.rand.between(0, noticed)), kind: evJudge, node: n.index, life: n.life})
	}
}

// judgeClock ends the time in which a node does not know. Who is right again has missed what others coordinated.
func (n *node) judgeClock(now int64) {
	if n.off == n.skewed() {
		return
	}
	n.off = !n.off
	n.w.trace("  node %d knows: its clock is off: %v", n.index, n.off)
	n.machine.PassOver(n.id, n.off)
	for peer, s := range n.session {
		if s == 0 {
			continue
		}
		n.tell(peer)
		if !n.off && !bug(RightUnpulled) {
			n.puller.Up(now, n.known[peer])
		}
	}
}

// outwait waits while a version of the key is about to end: nodes whose clocks differ may then answer differently.
func (w *World) outwait(key string) {
	for w.broken == nil && w.cfg.jumps > 0 && w.oracle.ends(key) {
		w.advance(w.now + 500)
	}
}

func (o *oracle) ends(key string) bool {
	for _, n := range o.w.ownersOf(key) {
		if r := n.disk.live[o.w.partition(key)]; r != nil {
			for _, v := range r.rows[key].Versions {
				if at := v.Expiry - o.w.now - epochMs; v.Expiry != 0 && at > -2000 && at < 10_000 {
					return true
				}
			}
		}
	}
	return false
}
