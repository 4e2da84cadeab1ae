//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// table is lines of cells; the first is the heading.
type table [][]string

func (t *table) add(cells ...string) { *t = append(*t, cells) }

// markdown is the table with columns of equal width: it can be read as it is, too.
func (t table) markdown() string {
	width := make([]int, len(t[0]))
	for _, line := range t {
		for i, s := range line {
			width[i] = max(width[i], utf8.RuneCountInString(s))
		}
	}
	var b strings.Builder
	for n, line := range t {
		for i, s := range line {
			b.WriteString("| " + s + strings.Repeat(" ", width[i]-utf8.RuneCountInString(s)+1))
		}
		b.WriteString("|\n")
		if n == 0 {
			for _, w := range width {
				b.WriteString("|" + strings.Repeat("-", w+2))
			}
			b.WriteString("|\n")
		}
	}
	return b.String()
}

// markdown is the report for people.
func (r *results) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n\n%s.\n\n", r.Suite, r.About, r.Machine)
	fmt.Fprintf(&b, "Written by `go run ./test/bench -suite %s`; README.md says what the columns mean. ", r.Suite)
	fmt.Fprintf(&b, "Medians of %d rounds [smallest-largest]. ", r.Rounds)
	b.WriteString("Ratios are to redis-server (appendfsync everysec, one process, plain clients) in the same round.\n")
	if all := r.judge(); len(all) > 0 {
		t := table{{"must", "at most", "measured", ""}}
		for _, j := range all {
			verdict := j.verdict()
			if r.disturbed(j.row)+r.disturbed(r.compared(j.row)) > 0 {
				verdict += " *"
			}
			t.add(j.claim, fmt.Sprintf("%g %s", j.limit, j.unit), j.format(j.digits())+" "+j.unit, verdict)
		}
		b.WriteString("\n## What must hold\n\n" + t.markdown())
	}
	b.WriteString("\n## Figures\n\n" + r.figures().markdown())
	if t := r.apart(); len(t) > 1 {
		b.WriteString("\n## Reads and writes apart, latencies in µs\n\n" + t.markdown())
	}
	b.WriteString("\n## Loading\n\n" + r.loading().markdown())
	b.WriteString("\n## Disturbances\n\n" + r.disturbances())
	return b.String()
}

// digits after the point: ratios have two.
func (m must) digits() int {
	if m.unit == "x" {
		return 2
	}
	return 1
}

func (r *results) figures() table {
	t := table{{"keys x bytes", "shape", "operation", "client", "system", "ops/s", "p50 µs", "p99 µs", "p99.9 µs",
		"CPU µs/op", "CPU ratio", "must", "ops/s ratio", "p50 ratio", "p99 ratio", "generator µs/op", "peak RSS MiB"}}
	limits := map[row]string{}
	for _, j := range r.judge() {
		if j.group == "" {
			limits[j.row] = fmt.Sprintf("<= %g: %s", j.limit, j.verdict())
		}
	}
	for _, of := range r.rows() {
		ratio := func(m metric) string {
			if of.system == reference {
				return ""
			}
			return r.ratio(of, r.compared(of), m).format(2)
		}
		star := ""
		if r.disturbed(of) > 0 {
			star = " *"
		}
		t.add(of.cell.Data.String(), of.cell.Shape, of.cell.Op, of.cell.Mode, of.system+star,
			r.spread(of, opsOf).format(0), r.spread(of, p50Of).format(0), r.spread(of, p99Of).format(0),
			r.spread(of, p999Of).format(0), r.spread(of, cpuOf).format(1), ratio(cpuOf), limits[of], ratio(opsOf),
			ratio(p50Of), ratio(p99Of), r.spread(of, generatorOf).format(1), r.spread(of, peakOf).format(0))
	}
	return t
}

func (d dataset) String() string { return fmt.Sprintf("%d x %d", d.Keys, d.ValueSize) }

// apart is the latencies of cells that have reads and writes.
func (r *results) apart() table {
	t := table{{"shape", "operation", "client", "system", "reads p50", "p99", "p99.9", "writes p50", "p99", "p99.9"}}
	for _, of := range r.rows() {
		if !r.mixed(of) {
			continue
		}
		line := []string{of.cell.Shape, of.cell.Op, of.cell.Mode, of.system}
		for _, m := range []metric{
			func(s *sample) float64 { return s.Reads.P50 },
			func(s *sample) float64 { return s.Reads.P99 },
			func(s *sample) float64 { return s.Reads.P999 },
			func(s *sample) float64 { return s.Writes.P50 },
			func(s *sample) float64 { return s.Writes.P99 },
			func(s *sample) float64 { return s.Writes.P999 },
		} {
			line = append(line, r.spread(of, m).format(0))
		}
		t.add(line...)
	}
	return t
}

func (r *results) loading() table {
	t := table{{"keys x bytes", "system", "seconds", "peak RSS MiB, all processes", "idle CPU afterwards, ms/s"}}
	type loading struct {
		system string
		data   dataset
	}
	seen := map[loading]bool{}
	for _, one := range r.Loads {
		key := loading{one.System, one.Data}
		if seen[key] {
			continue
		}
		seen[key] = true
		var seconds, idle []float64
		for _, l := range r.Loads {
			if (loading{l.System, l.Data}) == key {
				seconds, idle = append(seconds, l.Seconds), append(idle, 1000*l.IdleCPU)
			}
		}
		t.add(one.Data.String(), one.System, spreadOf(seconds).format(1), r.loadedPeak(one.System, one.Data).format(0),
			spreadOf(idle).format(0))
	}
	return t
}

// disturbances says what others did, measured or not.
func (r *results) disturbances() string {
	var shares []float64
	repeated, kept, alone, late := 0, 0, 0, 0
	for i := range r.Samples {
		s := &r.Samples[i]
		if s.Discarded {
			repeated++
			continue
		}
		shares = append(shares, 100*s.Foreign)
		alone += s.Alone
		late += s.Late
		if s.Disturbed {
			kept++
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Others took %s %% of the machine's CPU time during the measurements that count; more than %g %% is a "+
		"disturbance. %d measurements were repeated for it.", spreadOf(shares).format(1), 100*r.Foreign, repeated)
	if kept > 0 {
		fmt.Fprintf(&b, " **%d of %d count although they were disturbed in every try** (rows with a *).", kept, len(shares))
	}
	if alone > 0 {
		fmt.Fprintf(&b, " %d WAITs were answered before any replica had the write.", alone)
	}
	if late > 0 {
		fmt.Fprintf(&b, " %d requests of a fixed rate waited for a client to be free; their latency says so.", late)
	}
	return b.String() + "\n"
}

// json is every sample, and the musts as they were judged.
func (r *results) json() ([]byte, error) {
	type verdict struct {
		Claim   string  `json:"claim"`
		Unit    string  `json:"unit"`
		AtMost  float64 `json:"at_most"`
		Median  float64 `json:"median"`
		Min     float64 `json:"min"`
		Max     float64 `json:"max"`
		Rounds  int     `json:"rounds"`
		Verdict string  `json:"verdict"`
	}
	all := struct {
		*results
		Musts []verdict `json:"musts"`
	}{results: r}
	for _, j := range r.judge() {
		all.Musts = append(all.Musts, verdict{j.claim, j.unit, j.limit, j.median, j.min, j.max, j.n, j.verdict()})
	}
	b, err := json.MarshalIndent(all, "", " ")
	return append(b, '\n'), err
}
