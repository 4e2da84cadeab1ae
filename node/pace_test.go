package node

import (
	"testing"
	"time"
)

func TestPaceShrinksAtOnceAndGrowsSlowly(t *testing.T) {
	var p pace
	if got := p.adjust(0, 0); got != fullPace {
		t.Fatalf("begins with %d", got)
	}
	for range 3 {
		p.adjust(paceLate+1, 0)
	}
	if p.share != fullPace/8 {
		t.Fatalf("after three late ticks %d", p.share)
	}
	for range 100 {
		p.adjust(0, paceSlow+1)
	}
	if p.share != leastPace {
		t.Fatalf("while clients wait %d", p.share)
	}
	ticks := 0
	for ; p.share < fullPace; ticks++ {
		p.adjust(time.Millisecond, 1)
	}
	if ticks != fullPace-leastPace {
		t.Fatalf("back after %d ticks", ticks)
	}
}
