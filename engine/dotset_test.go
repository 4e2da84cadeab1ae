package engine

import (
	"math/rand/v2"
	"testing"

	"shoal/causal"
)

// A set of dots does what a map does, and its encoding comes back, or is refused.
func TestSetsOfDots(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 300 {
		var x dotSet
		want := map[causal.Dot]bool{}
		spread := uint64(5 + rng.IntN(60))
		for range 200 {
			d := causal.Dot{Actor: causal.Actor(1 + rng.IntN(3)), Seq: 1 + rng.Uint64N(spread)}
			if rng.IntN(10) == 0 {
				cut := 0
				for w := range want {
					if w.Actor == d.Actor && w.Seq <= d.Seq {
						delete(want, w)
						cut++
					}
				}
				if got := x.cut(d.Actor, d.Seq); got != cut {
					t.Fatalf("cut %d dots, want %d", got, cut)
				}
			} else if got := x.add(d); got == want[d] {
				t.Fatalf("added %v: %v", d, got)
			} else {
				want[d] = true
			}
			n := 0
			for _, e := range x.actors {
				for i, r := range e.runs {
					if i > 0 && r.From <= e.runs[i-1].To+1 {
						t.Fatalf("runs %v", e.runs)
					}
					for seq := r.From; seq <= r.To; seq++ {
						if n++; !want[causal.Dot{Actor: e.actor, Seq: seq}] {
							t.Fatalf("holds %d/%d", e.actor, seq)
						}
					}
				}
			}
			if n != len(want) || x.n != n {
				t.Fatalf("%d dots, counted %d, want %d", n, x.n, len(want))
			}
		}
		b := x.append(nil)
		back, err := decodeDotSet(b)
		must(t, err)
		if string(back.append(nil)) != string(b) || back.n != x.n {
			t.Fatal("came back otherwise")
		}
		for n := range b {
			if _, err := decodeDotSet(b[:n]); err == nil && n < len(b) && n > 0 {
				t.Fatalf("%d of %d bytes decode", n, len(b))
			}
		}
	}
}
