package antientropy

import (
	"slices"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// A replica is behind another owner when its clock does not cover that one's horizon: it has gone back in time, or the
// log that would tell it what it lacks was trimmed. Pulls cannot help then: it is filled.

// lag is a replica of this node that is behind a peer's.
type lag struct {
	partition ring.Partition
	peer      ring.NodeID
}

const maxLags = 64 // the next pull finds again what is beyond

// refuse answers a pull of a replica that is behind this one. While this one is being filled it stays silent: it is not
// the one to judge, and two sides of a long cut, each behind the other, need not both be filled at once.
func (m *Puller) refuse(from ring.NodeID, it *wire.Item, rep *causal.Replica) {
	if rep.Filling {
		return
	}
	m.out = append(m.out, Out{To: from, Item: wire.Item{
		Kind: wire.ItemPulled, Flags: wire.FlagRefused, ID: it.ID, Partition: it.Partition, Life: rep.Life, Horizon: rep.Horizon,
		Repair: m.durable(it.Partition),
	}})
}

// fallBehind takes in that a peer's horizon was above the clock that was shown to it. What was processed meanwhile may
// have closed the gap: then the pull is repeated.
func (m *Puller) fallBehind(now int64, e *pull, rep *causal.Replica, horizon causal.Vector) {
	m.Stats.Behind++
	e.due = now
	x := lag{e.partition, e.peer}
	if rep.Clock.CoversVector(horizon) || slices.Contains(m.lags, x) {
		return
	}
	e.due = now + m.cfg.Retry
	if len(m.lags) < maxLags {
		m.lags = append(m.lags, x)
	}
}

// takeLags hands out which replicas were found to be behind, each once.
func (m *Puller) takeLags() []lag {
	out := m.lags
	m.lags = nil
	return out
}

// restart makes a replica not whole: it is being filled, or was. What was pulled before counts no more.
func (m *Puller) restart(now int64, p ring.Partition) {
	if int(p) >= len(m.pulls) {
		return
	}
	m.whole[p] = false
	for i := range m.pulls[p] {
		e := &m.pulls[p][i]
		m.close(e)
		e.pulled, e.sound, e.current, e.quiet, e.due = false, false, false, 0, now
	}
	if len(m.pulls[p]) == 0 && m.ring.Position(p, m.cfg.Self) >= 0 {
		m.judge(p)
	}
}
