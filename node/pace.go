package node

import "time"

// pace says how much background work a timer tick may do: repair of all kinds (pulls, comparisons, refill, hints, reaping)
// draws on this one budget, which shrinks at once when clients wait longer and grows back slowly (the paper's section
// 6.5). It is a value: what it is told decides what it says.
type pace struct{ share int }

const (
	fullPace  = 64 // the share of an undisturbed tick
	leastPace = 4  // repair never stops: it is what keeps the promises
	paceGrows = 1  // per tick: from the least to the full within a second
	paceLate  = 4 * time.Millisecond
	paceSlow  = 16 // ms
)

// adjust takes in how late a timer tick came (what it waited for the lock and for a processor is what a client would have
// waited, too) and the 99th percentile of how long operations waited for other nodes lately, ms. It returns the share of
// the tick's full amount of background work, of fullPace.
func (p *pace) adjust(late time.Duration, p99 int64) int {
	switch {
	case p.share == 0:
		p.share = fullPace
	case late > paceLate || p99 > paceSlow:
		p.share = max(leastPace, p.share/2)
	default:
		p.share = min(fullPace, p.share+paceGrows)
	}
	return p.share
}

// paced is a machine whose work per tick can be made less.
type paced interface{ Pace(share, of int) }
