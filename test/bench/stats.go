//go:build linux

package main

import (
	"fmt"
	"math"
	"slices"
)

// spread is the middle of some figures and how far apart they are. n is 0 when there are none.
type spread struct {
	median, min, max float64
	n                int
}

// spreadOf ignores the order of its argument and keeps it. NaN counts as no figure. Of an even number of figures the
// median is the mean of the two in the middle.
func spreadOf(figures []float64) spread {
	sorted := slices.DeleteFunc(slices.Clone(figures), math.IsNaN)
	if len(sorted) == 0 {
		return spread{}
	}
	slices.Sort(sorted)
	mid := len(sorted) / 2
	s := spread{median: sorted[mid], min: sorted[0], max: sorted[len(sorted)-1], n: len(sorted)}
	if len(sorted)%2 == 0 {
		s.median = (sorted[mid-1] + sorted[mid]) / 2
	}
	return s
}

// format is "median [min-max]", or the figure alone when there is one.
func (s spread) format(digits int) string {
	switch s.n {
	case 0:
		return "-"
	case 1:
		return fmt.Sprintf("%.*f", digits, s.median)
	}
	return fmt.Sprintf("%.*f [%.*f-%.*f]", digits, s.median, digits, s.min, digits, s.max)
}

// ratios divides two figures of the same round, for each round that has both. A ratio of medians would mix rounds, and
// with them whatever else the machine did.
func ratios(of, to map[int]float64) []float64 {
	var all []float64
	for round, a := range of {
		if b, ok := to[round]; ok && b > 0 {
			all = append(all, a/b)
		}
	}
	return all
}
