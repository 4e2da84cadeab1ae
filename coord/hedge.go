package coord

import (
	"math/bits"

	"shoal/ring"
)

// patience decides how long an owner may take before another one is asked as well: about the 99th percentile of what
// answers took lately. Only a tenth of the operations may ask twice, so that a network or a cluster that has become
// slow as a whole is measured, not burdened.
type patience struct {
	counts [16]uint32 // answers that took less than 2^i ms
	total  uint32
	saved  int // hedges that may be made, in tenths
	endeds uint64
}

const (
	leastHedge  = 5    // ms: below it the timers are no finer
	lagsFor     = 1000 // ms that an owner which had to be hedged around is asked last
	hedgePrice  = 10
	savedHedges = 1000 * hedgePrice
	windowSize  = 4096 // answers, after which the older ones count half
)

// saw takes in how long an operation waited for its answers, ms, when it might have asked another owner and did not. A forwarded
// write is not taken in: it can only wait, and while its owner stands still hedges would be measured by that.
func (x *patience) saw(ms int64) {
	i := min(bits.Len64(uint64(max(ms, 0))), len(x.counts)-1)
	x.counts[i]++
	if x.total++; x.total < windowSize {
		return
	}
	x.total = 0
	for i := range x.counts {
		x.counts[i] /= 2
		x.total += x.counts[i]
	}
}

// ended notes that an operation ended, which earns a part of a hedge.
func (x *patience) ended() {
	x.saved = min(x.saved+1, savedHedges)
	x.endeds++
}

// Ended counts the operations that waited for other nodes and ended.
func (m *Machine) Ended() uint64 { return m.patience.endeds }

// spend reports whether a hedge may be made.
func (x *patience) spend() bool {
	if x.saved < hedgePrice {
		return false
	}
	x.saved -= hedgePrice
	return true
}

// delay is the time to wait, ms, at most most.
func (x *patience) delay(most int64) int64 { return min(most, max(leastHedge, x.p99())) }

// p99 is within which time all but a hundredth of the answers came, ms, rounded up to a power of two.
func (x *patience) p99() int64 {
	left := x.total / 100
	i := len(x.counts) - 1
	for ; i > 0; i-- {
		if x.counts[i] > left {
			break
		}
		left -= x.counts[i]
	}
	return int64(1) << i
}

// P99 is within which time, ms, all but a hundredth of the operations that saw measures lately had their answers, rounded up to a
// power of two.
func (m *Machine) P99() int64 { return m.patience.p99() }

// late notes that the owners which were asked and have not answered lag behind: for a while others are asked first, or
// each operation that they are asked for would wait for a hedge.
func (m *Machine) late(p *pending) {
	for i, owner := range p.owners {
		if p.asked.has(i) {
			m.lagging[owner] = m.now + lagsFor
		}
	}
}

// lags reports whether an owner had to be hedged around lately.
func (m *Machine) lags(owner ring.NodeID) bool {
	until, ok := m.lagging[owner]
	if ok && m.now >= until {
		delete(m.lagging, owner)
		ok = false
	}
	return ok
}

// inTurn calls f with the position of each owner that can be asked, this node apart, until it returns false: those that
// lag behind come last.
func (m *Machine) inTurn(p *pending, f func(i int) bool) {
	for _, lagging := range []bool{false, true} {
		if lagging && len(m.lagging) == 0 {
			return
		}
		for i, owner := range p.owners {
			if i != p.self && m.reaches(owner, p.op.Partition) && m.lags(owner) == lagging && !f(i) {
				return
			}
		}
	}
}
