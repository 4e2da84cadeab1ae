//go:build linux

package main

import (
	"math"
	"slices"
	"testing"
)

func TestSpread(t *testing.T) {
	for _, test := range []struct {
		in   []float64
		want spread
		text string
	}{
		{nil, spread{}, "-"},
		{[]float64{math.NaN()}, spread{}, "-"},
		{[]float64{4}, spread{4, 4, 4, 1}, "4.0"},
		{[]float64{9, 1, 4}, spread{4, 1, 9, 3}, "4.0 [1.0-9.0]"},
		{[]float64{9, 1, 4, 5}, spread{4.5, 1, 9, 4}, "4.5 [1.0-9.0]"},
	} {
		before := slices.Clone(test.in)
		if got := spreadOf(test.in); got != test.want || got.format(1) != test.text {
			t.Errorf("%v: %v, %q; want %v, %q", test.in, got, got.format(1), test.want, test.text)
		}
		if len(before) > 1 && !slices.Equal(before, test.in) {
			t.Errorf("%v became %v", before, test.in)
		}
	}
}

// TestRatios has rounds that only one side was measured in.
func TestRatios(t *testing.T) {
	got := ratios(map[int]float64{1: 10, 2: 30, 3: 5, 5: 7}, map[int]float64{1: 5, 2: 10, 4: 1, 5: 0})
	slices.Sort(got)
	if !slices.Equal(got, []float64{2, 3}) {
		t.Errorf("%v", got)
	}
}

// TestLatency feeds 1..10,000 µs: percentiles are known.
func TestLatency(t *testing.T) {
	h := newHistogram()
	for us := int64(1); us <= 10_000; us++ {
		if err := h.RecordValue(us * 1000); err != nil {
			t.Fatal(err)
		}
	}
	got := latencyOf(h)
	for _, p := range []struct{ got, want float64 }{{got.P50, 5000}, {got.P99, 9900}, {got.P999, 9990}} {
		if math.Abs(p.got-p.want) > p.want/1000 {
			t.Errorf("%v, want %v", p.got, p.want)
		}
	}
	if err := h.RecordValue(maxLatency); err != nil {
		t.Error(err)
	}
}
