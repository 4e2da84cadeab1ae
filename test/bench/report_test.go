//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

// measured is results of a suite with two rounds: every row takes so much CPU more than the reference's 10 µs.
func measured(t *testing.T, name string, factor float64) *results {
	t.Helper()
	r := &results{Suite: name, About: "a <test> & no more", Rounds: 2}
	for _, s := range suites {
		if s.name != name {
			continue
		}
		for round := 1; round <= 2; round++ {
			for _, stage := range s.stages {
				for _, system := range stage.systems {
					r.Loads = append(r.Loads, loaded{Round: round, System: system, Data: stage.data, PeakRSS: 300 << 20})
					for _, x := range stage.cells(system) {
						one := sample{Round: round, System: system, cell: x, Ops: 1, CPU: 10 * float64(round),
							latency: latency{P50: 10, P99: 20, P999: 30}}
						if strings.HasPrefix(system, "shoal") {
							one.CPU *= factor
							one.P50 *= factor
							one.Writes.P999 = 1000 * factor
						}
						wrong := one
						wrong.CPU, wrong.Discarded = 1e6, true
						r.Samples = append(r.Samples, wrong, one)
					}
				}
			}
		}
	}
	if len(r.Samples) == 0 {
		t.Fatalf("no suite is called %s", name)
	}
	return r
}

// TestJudge checks that verdicts come from the figures.
func TestJudge(t *testing.T) {
	for factor, want := range map[float64]string{1.5: "met", 5: "missed"} {
		for _, j := range measured(t, "core", factor).judge() {
			expect := want
			if j.unit == "MiB" {
				expect = "met"
			}
			if strings.HasPrefix(j.claim, "always") {
				expect = "met" // both sides of it are systems of their own; see below
				if factor > j.limit {
					expect = "missed"
				}
			}
			if j.verdict() != expect {
				t.Errorf("factor %v: %s: %v, %s, want %s", factor, j.claim, j.spread, j.verdict(), expect)
			}
			if j.unit == "x" && (j.median != factor || j.n != 2) {
				t.Errorf("factor %v: %s: %v", factor, j.claim, j.spread)
			}
		}
	}
	r := measured(t, "core", 2)
	r.Samples, r.Loads = nil, nil
	for _, j := range r.judge() {
		if j.verdict() != "not measured" {
			t.Errorf("%s: %s without a figure", j.claim, j.verdict())
		}
	}
}

// TestMusts checks that every must names a row that its suite measures.
func TestMusts(t *testing.T) {
	for _, s := range suites {
		for _, j := range measured(t, s.name, 2).judge() {
			if j.n != 2 {
				t.Errorf("%s: %s: %d figures", s.name, j.claim, j.n)
			}
		}
	}
	growth := measured(t, "growth", 2).judge()
	if len(growth) == 0 || growth[0].median != 0 {
		t.Errorf("as many nodes as before: %v %% more", growth)
	}
}

// TestPlan checks that the reference is measured in every cell that another system is compared in.
func TestPlan(t *testing.T) {
	for _, s := range suites {
		r := measured(t, s.name, 2)
		seen := map[row]int{}
		for i := range r.Samples {
			one := &r.Samples[i]
			if one.Round == 1 && !one.Discarded {
				seen[row{one.System, one.key()}]++
			}
			if _, ok := shapes[one.Shape]; !ok {
				t.Errorf("%s: no shape %q", s.name, one.Shape)
			}
		}
		for of, n := range seen {
			if n != 1 {
				t.Errorf("%s: %v is measured %d times in a round", s.name, of, n)
			}
			if s.name != "stop" && seen[r.compared(of)] == 0 {
				t.Errorf("%s: %v has no %v to compare with", s.name, of, r.compared(of))
			}
		}
	}
}

func TestReport(t *testing.T) {
	for _, s := range suites {
		r := measured(t, s.name, 2)
		text := r.markdown()
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, "|") && !strings.HasSuffix(line, "|\n") {
				t.Errorf("%s: a torn line: %s", s.name, line)
			}
		}
		raw, err := r.json()
		if err != nil {
			t.Fatal(err)
		}
		var back struct {
			Samples []struct {
				System string
				Shape  string
				CPU    float64 `json:"cpu_us_per_op"`
			}
		}
		if err := json.Unmarshal(raw, &back); err != nil {
			t.Fatal(err)
		}
		if len(back.Samples) != len(r.Samples) || back.Samples[1].CPU != r.Samples[1].CPU || back.Samples[1].Shape == "" {
			t.Errorf("%s: JSON has %d samples of %d, or not their figures", s.name, len(back.Samples), len(r.Samples))
		}
	}
}

func TestSVG(t *testing.T) {
	for _, s := range suites {
		r := measured(t, s.name, 2)
		picture, err := r.svg()
		if err != nil {
			t.Fatal(err)
		}
		bars := 0
		for d := xml.NewDecoder(bytes.NewReader(picture)); ; {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: not well-formed: %v", s.name, err)
			}
			if e, ok := token.(xml.StartElement); ok && e.Name.Local == "g" {
				bars++
			}
		}
		want := 0
		for _, g := range r.groups() {
			want += len(g.bars)
		}
		if bars != want || bars == 0 {
			t.Errorf("%s: %d bars, want %d", s.name, bars, want)
		}
		if bytes.Contains(picture, []byte("NaN")) || bytes.Contains(picture, []byte("Inf")) {
			t.Errorf("%s: no number", s.name)
		}
	}
}
