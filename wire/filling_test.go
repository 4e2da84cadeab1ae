package wire

import (
	"slices"
	"testing"

	"shoal/ring"
)

func TestFillingIsThePeersNewestWord(t *testing.T) {
	list := []ring.Partition{0, 9, 300}
	var f Filling
	first, second := FillingItem(1, list), FillingItem(2, nil)
	if !f.Take(&first) || f.Count() != len(list) {
		t.Fatal("not taken")
	}
	for p := range ring.Partition(ring.Slots) {
		if f.Has(p) != slices.Contains(list, p) {
			t.Fatalf("partition %d: %v", p, f.Has(p))
		}
	}
	if !f.Take(&second) || f.Take(&first) || f.Has(9) {
		t.Fatal("an older word counts")
	}
}
