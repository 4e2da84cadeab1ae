//go:build planted

package sim

import (
	"flag"
	"fmt"
	"testing"
)

var onlyBug = flag.Int("bug", 0, "plant only this bug")

// A checker that cannot fail is a defect. Each planted bug must be found within so many seeds.
const enough = 10_000

// directed are the histories that find what random search is blind to, or meets too rarely.
var directed = map[Bug]func(testing.TB){
	WholeByNotWhole:      twoLostTails,
	VectorNotHashed:      robbedVector,
	RestoreReaped:        lateComparison,
	ClosedWithoutVectors: onlyNamed,
	ClosedUnasked:        heldElsewhere,
	ClosedUnchecked:      closedBehind,
	ClosedWithoutFence:   lateFrame,
	ClosedByActorAlone:   toldAndLost,
	RightUnpulled:        rightAgain,
}

// witness is a test that is to fail.
type witness struct {
	testing.TB
	said string
}

func (w *witness) Helper()                      {}
func (w *witness) Log(...any)                   {}
func (w *witness) Fatal(args ...any)            { w.said = fmt.Sprint(args...); panic(w) }
func (w *witness) Fatalf(f string, args ...any) { w.said = fmt.Sprintf(f, args...); panic(w) }

// witnessed runs a history and says how it failed; "" when it did not.
func witnessed(t *testing.T, history func(testing.TB)) (said string) {
	w := &witness{TB: t}
	defer func() {
		if r := recover(); r != nil && r != any(w) {
			panic(r)
		}
		said = w.said
	}()
	history(w)
	return ""
}

func TestPlantedBugsAreFound(t *testing.T) {
	defer func() { Planted = NoBug }()
	for b := NoBug + 1; b < bugs; b++ {
		if *onlyBug != 0 && b != Bug(*onlyBug) {
			continue
		}
		if b == FillingReads && *onlyBug == 0 {
			continue // chance rarely meets it: see TestAReadOfAFillingReplicaIsFound
		}
		Planted = b
		if history := directed[b]; history != nil {
			if said := witnessed(t, history); said != "" {
				t.Logf("%-45s directed: %s", b, said)
			} else {
				t.Errorf("%-45s not found by its history", b)
			}
			continue
		}
		for seed := uint64(1); ; seed++ {
			if seed > enough {
				t.Errorf("%-45s not found in %d seeds", b, enough)
				break
			}
			if f, _, _ := Run(seed, nil); f != nil {
				t.Logf("%-45s %5d seeds: %s", b, seed, f.Check)
				break
			}
		}
	}
}
