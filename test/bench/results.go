//go:build linux

package main

import (
	"fmt"
	"maps"
	"slices"
)

// results is everything that one suite measured, and the form of the JSON file.
type results struct {
	Suite   string   `json:"suite"`
	About   string   `json:"about"`
	Machine machine  `json:"machine"`
	Rounds  int      `json:"rounds"`
	Foreign float64  `json:"foreign_allowed"`
	Loads   []loaded `json:"loads"`
	Samples []sample `json:"samples"`
}

// row is a cell of a system.
type row struct {
	system string
	cell   cell // a key
}

// label names the row in the picture.
func (r row) label() string { return fmt.Sprintf("%s: %s, %s", r.system, r.cell.Op, r.cell.Mode) }

// metric is one figure of a sample.
type metric func(*sample) float64

func cpuOf(s *sample) float64        { return s.CPU }
func opsOf(s *sample) float64        { return s.OpsPerSec }
func p50Of(s *sample) float64        { return s.P50 }
func p99Of(s *sample) float64        { return s.P99 }
func p999Of(s *sample) float64       { return s.P999 }
func peakOf(s *sample) float64       { return float64(s.PeakRSS) / (1 << 20) }
func generatorOf(s *sample) float64  { return s.GeneratorCPU }
func readsP999Of(s *sample) float64  { return s.Reads.P999 / 1000 }  // ms
func writesP999Of(s *sample) float64 { return s.Writes.P999 / 1000 } // ms

// rows is what was measured, in the order of the first round.
func (r *results) rows() (rows []row) {
	for i := range r.Samples {
		if one := (row{r.Samples[i].System, r.Samples[i].key()}); !slices.Contains(rows, one) {
			rows = append(rows, one)
		}
	}
	return rows
}

// byRound is one figure of each round.
func (r *results) byRound(of row, m metric) map[int]float64 {
	figures := map[int]float64{}
	for i := range r.Samples {
		s := &r.Samples[i]
		if !s.Discarded && s.System == of.system && s.key() == of.cell {
			figures[s.Round] = m(s)
		}
	}
	return figures
}

func (r *results) spread(of row, m metric) spread {
	return spreadOf(slices.Collect(maps.Values(r.byRound(of, m))))
}

// ratio is what one row has for each unit of another in the same round.
func (r *results) ratio(of, to row, m metric) spread {
	return spreadOf(ratios(r.byRound(of, m), r.byRound(to, m)))
}

// compared is the row of the reference system that a row is compared with.
func (r *results) compared(of row) row {
	for i := range r.Samples {
		if s := &r.Samples[i]; s.System == of.system && s.key() == of.cell {
			return row{reference, s.reference()}
		}
	}
	return row{}
}

// disturbed counts the samples of a row that count although others took more of the machine than is allowed.
func (r *results) disturbed(of row) (n int) {
	for i := range r.Samples {
		s := &r.Samples[i]
		if s.Disturbed && !s.Discarded && s.System == of.system && s.key() == of.cell {
			n++
		}
	}
	return n
}

// loadedPeak is the memory that a system's processes needed together to load data, in MiB.
func (r *results) loadedPeak(system string, d dataset) spread {
	var peaks []float64
	for _, l := range r.Loads {
		if l.System == system && l.Data == d {
			peaks = append(peaks, float64(l.PeakRSS)/(1<<20))
		}
	}
	return spreadOf(peaks)
}

// mixed reports whether a row has reads and writes.
func (r *results) mixed(of row) bool {
	for i := range r.Samples {
		if s := &r.Samples[i]; s.System == of.system && s.key() == of.cell {
			return s.writes > 0 && s.writes < 100
		}
	}
	return false
}
