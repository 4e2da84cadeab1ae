//go:build planted

package sim

import (
	"flag"
	"testing"
)

var onlyBug = flag.Int("bug", 0, "plant only this bug")

// A checker that cannot fail is a defect. Each planted bug must be found within so many seeds.
const enough = 10_000

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
