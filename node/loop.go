package node

import (
	"time"

	"shoal/wire"
	"shoal/wire/loop"
)

// Start is Exec for a client that the loop serves: see resp.Starter.
func (n *Node) Start(ops []wire.Op, out []wire.Result, task *loop.Conn) (later bool) {
	if len(ops) == 0 {
		return false
	}
	v := vectorPool.Get().(*vector)
	v.out, v.left, v.task = out, len(ops), task
	n.step(func(now int64) { later = n.begin(now, v, ops) })
	if !later {
		v.release()
	}
	return later
}

func (b backend) Start(ops []wire.Op, out []wire.Result, task *loop.Conn) (later bool) {
	return b.n.Start(ops, out, task)
}

// endRound ends the tick that the loop's clients and peers made in a round, and lets those clients go on whose vectors
// have ended with it or with somebody else's tick. What they begin then is a new tick: it ends after a round that waits
// for nothing, which more may join. It returns how long the loop may rest.
func (n *Node) endRound() (rest time.Duration) {
	n.mu.Lock()
	n.mu.inRound = true
	if n.mu.lazyWaits && !time.Now().Before(n.mu.lazyBy) {
		n.mu.open, n.mu.lazyDue, n.mu.lazyWaits = true, true, false
	}
	if n.mu.open {
		n.endTick()
		n.mu.company.joins = 0
	}
	n.mu.inRound = false
	ended := n.mu.vectors.ended
	n.mu.vectors.ended = n.resumed[:0]
	n.mu.Unlock()
	for i, v := range ended {
		task := v.task
		ended[i] = nil
		v.release()
		task.Resume()
	}
	n.resumed = ended
	return n.rest()
}

// rest is how long the loop may wait.
func (n *Node) rest() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	switch {
	case n.mu.open || len(n.mu.vectors.ended) > 0:
		return 0
	case n.mu.lazyWaits:
		return max(0, time.Until(n.mu.lazyBy))
	}
	return -1
}

// tellLoop makes the loop resume tasks, if the tick was not its own.
func (n *Node) tellLoop() {
	if len(n.mu.vectors.ended) > 0 {
		n.loop.Kick()
	}
}
