//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"syscall"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// latency is percentiles in µs.
type latency struct {
	P50  float64 `json:"p50_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p999_us"`
}

// newHistogram takes latencies in ns, with three significant digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, maxLatency, 3) }

func latencyOf(h *hdrhistogram.Histogram) latency {
	at := func(percentile float64) float64 { return float64(h.ValueAtQuantile(percentile)) / 1000 }
	return latency{at(50), at(99), at(99.9)}
}

// sample is one measurement as it was made: the JSON file has every one.
type sample struct {
	Round  int    `json:"round"`
	System string `json:"system"`
	cell
	Try       int     `json:"try"`       // from 1
	Disturbed bool    `json:"disturbed"` // others took more of the machine than -foreign allows
	Discarded bool    `json:"discarded"` // a later try counts instead
	Ops       int     `json:"ops"`
	Seconds   float64 `json:"seconds"`
	OpsPerSec float64 `json:"ops_per_sec"`
	latency           // of all commands
	Reads     latency `json:"reads"`
	Writes    latency `json:"writes"`

	CPU          float64 `json:"cpu_us_per_op"`           // of the servers, what they did after the run included
	CPUAfter     float64 `json:"cpu_us_per_op_after"`     // of that, after the run
	GeneratorCPU float64 `json:"generator_cpu_us_per_op"` // of the load generator
	IdleCPU      float64 `json:"idle_cpu"`                // what the servers take when nobody asks: CPU seconds per second
	PeakRSS      int64   `json:"peak_rss_bytes"`          // of all servers, since the run's start
	Foreign      float64 `json:"foreign"`                 // others' share of the machine's CPU time during the run
	Alone        int     `json:"waits_without_replica"`   // WAITs that no replica answered in time
	Late         int     `json:"late"`                    // requests of a fixed rate that no client was free for
}

// loaded is what loading took.
type loaded struct {
	Round   int     `json:"round"`
	System  string  `json:"system"`
	Data    dataset `json:"data"`
	Seconds float64 `json:"seconds"`
	PeakRSS int64   `json:"peak_rss_bytes"` // of all servers, from their start to idle after loading
	IdleCPU float64 `json:"idle_cpu"`       // afterwards: CPU seconds per second
}

// meter measures one running system.
type meter struct {
	c       *cluster
	values  *values
	plain   *keyspace
	owned   *keyspace // nil when the system is no cluster
	idle    float64   // CPU seconds per second
	seconds time.Duration
	limit   int // commands, 0: none
}

// newMeter loads a system's data, one SET per key in pipelines of 16, and waits until it has settled.
func newMeter(ctx context.Context, c *cluster, d dataset) (*meter, loaded, error) {
	m := &meter{c: c, values: newValues(d.ValueSize), plain: newKeyspace(d.Keys, 1, nil)}
	t := traffic{addrs: c.addrs[:1], clients: 50, pipeline: 16, multi: 1, writes: 100, values: m.values,
		source: newSequence(m.plain), duration: 10 * time.Minute}
	if c.route != nil {
		m.owned = newKeyspace(d.Keys, len(c.addrs), c.route)
		t.addrs, t.cluster, t.source = c.addrs, true, newSequence(m.owned)
	}
	if d.ValueSize > 1<<13 {
		t.pipeline = 1 // else 50 clients have more under way than servers may buffer
	}
	l, err := newLoop(t)
	if err != nil {
		return nil, loaded{}, err
	}
	defer l.close()
	tally, err := l.run(ctx)
	if err != nil {
		return nil, loaded{}, errors.Join(c.check(), fmt.Errorf("loading: %w", err))
	}
	if tally.ops != d.Keys {
		return nil, loaded{}, fmt.Errorf("loading: %d of %d keys", tally.ops, d.Keys)
	}
	if m.idle, err = c.settle(ctx); err != nil {
		return nil, loaded{}, err
	}
	peak, err := c.peak()
	return m, loaded{Data: d, Seconds: tally.took.Seconds(), PeakRSS: peak, IdleCPU: m.idle}, err
}

// traffic is what a cell means.
func (m *meter) traffic(x cell, seed uint64) traffic {
	s := shapes[x.Shape]
	t := traffic{addrs: m.c.addrs[:1], clients: s.clients, pipeline: s.pipeline, multi: max(1, x.multi), writes: x.writes,
		wait: x.Op == setAndWait, readonly: x.readonly, values: m.values, seed: seed, rate: s.rate,
		duration: max(m.seconds, s.atLeast), limit: m.limit}
	if m.limit > 0 && s.rate == 0 {
		t.duration = 10 * time.Minute
	}
	space := m.plain
	switch {
	case x.Mode == clustered:
		t.addrs, t.cluster, space = m.c.addrs, true, m.owned
	case s.stops:
		t.addrs = m.c.addrs[:len(m.c.addrs)-1]
	}
	rng := rand.New(rand.NewPCG(seed, 2))
	if t.source = (&uniform{space, rng}); x.zipf {
		t.source = newZipfian(space, rng)
	}
	return t
}

// measure runs one cell. Before it returns the servers are idle again.
func (m *meter) measure(ctx context.Context, x cell, seed uint64) (sample, error) {
	l, err := newLoop(m.traffic(x, seed))
	if err != nil {
		return sample{}, err
	}
	defer l.close()
	if err := m.c.resetPeaks(); err != nil {
		return sample{}, err
	}
	runtime.GC() // not while the run goes on
	before, err := m.c.usage()
	if err != nil {
		return sample{}, err
	}
	stop := func() {}
	if shapes[x.Shape].stops {
		stop = m.c.standStill()
	}
	tally, err := l.run(ctx)
	stop()
	if err != nil {
		return sample{}, errors.Join(m.c.check(), err)
	}
	after, err := m.c.usage()
	if err != nil {
		return sample{}, err
	}
	more, err := m.c.quiet(ctx, after, m.idle)
	if err != nil {
		return sample{}, err
	}
	peak, err := m.c.peak()
	if err != nil {
		return sample{}, err
	}
	perOp := func(d time.Duration) float64 { return float64(d) / 1000 / float64(tally.ops) }
	all := newHistogram()
	all.Merge(tally.reads)
	all.Merge(tally.writes)
	return sample{
		cell: x, Ops: tally.ops, Seconds: tally.took.Seconds(), OpsPerSec: float64(tally.ops) / tally.took.Seconds(),
		latency: latencyOf(all), Reads: latencyOf(tally.reads), Writes: latencyOf(tally.writes),
		CPU:      perOp(after.servers - before.servers + more),
		CPUAfter: perOp(more), GeneratorCPU: perOp(after.generator - before.generator),
		IdleCPU: m.idle, PeakRSS: peak, Foreign: foreign(before, after), Alone: tally.alone, Late: tally.late,
	}, nil
}

// standStill stops the last process for 100 ms in every second, until the function that it returns is called.
func (c *cluster) standStill() (stop func()) {
	const (
		every = time.Second
		still = 100 * time.Millisecond
	)
	pid := c.procs[len(c.procs)-1].pid()
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-time.After(every - still):
			case <-over:
				return
			}
			_ = syscall.Kill(pid, syscall.SIGSTOP) // fails only when it has ended, which the run notices
			select {
			case <-time.After(still):
			case <-over:
			}
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}()
	return func() {
		close(over)
		<-ended
	}
}
