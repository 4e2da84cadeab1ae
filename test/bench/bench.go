//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
)

// tries is how often a disturbed measurement is made at most.
const tries = 3

// bench runs suites.
type bench struct {
	launcher *launcher
	machine  machine
	rounds   int
	systems  []string // empty: all
	seconds  time.Duration
	limit    int
	foreign  float64
	progress io.Writer
}

// run measures one suite. It returns what there is so far with an error.
func (b *bench) run(ctx context.Context, s suite) (*results, error) {
	r := &results{Suite: s.name, About: s.about, Machine: b.machine, Rounds: b.rounds, Foreign: b.foreign}
	for round := 1; round <= b.rounds; round++ {
		for _, stage := range s.stages {
			for _, name := range stage.systems {
				if len(b.systems) > 0 && !slices.Contains(b.systems, name) {
					continue
				}
				if err := b.turn(ctx, r, round, stage, name); err != nil {
					return r, fmt.Errorf("suite %s, round %d, %s: %w", s.name, round, name, err)
				}
			}
		}
	}
	return r, nil
}

// turn starts a system, loads it, measures all its cells and stops it.
func (b *bench) turn(ctx context.Context, r *results, round int, s stage, name string) error {
	system := systems[slices.IndexFunc(systems, func(s system) bool { return s.name == name })]
	c, err := b.launcher.launch(ctx, system)
	if err != nil {
		return err
	}
	defer c.stop()
	m, load, err := newMeter(ctx, c, s.data)
	if err != nil {
		return err
	}
	m.seconds, m.limit = b.seconds, b.limit
	load.Round, load.System = round, name
	r.Loads = append(r.Loads, load)
	b.say("%s %d  %-14s loaded %d keys of %d bytes in %.1f s, peak %d MiB, idle CPU %.3f",
		r.Suite, round, name, s.data.Keys, s.data.ValueSize, load.Seconds, load.PeakRSS>>20, load.IdleCPU)
	for i, x := range s.cells(name) {
		samples, err := b.measure(ctx, m, x, uint64(round*1000+i))
		if err != nil {
			return fmt.Errorf("%s %s, %s: %w", x.Shape, x.Op, x.Mode, err)
		}
		for _, sample := range samples {
			sample.Round, sample.System = round, name
			r.Samples = append(r.Samples, sample)
			b.tell(r.Suite, &sample)
		}
	}
	return noSiblings(ctx, c, s)
}

// measure measures a cell until nothing disturbs it, at most tries times. If all are disturbed the least disturbed one
// counts; the others are marked.
func (b *bench) measure(ctx context.Context, m *meter, x cell, seed uint64) ([]sample, error) {
	var all []sample
	best := 0
	for try := 1; try <= tries; try++ {
		s, err := m.measure(ctx, x, seed)
		if err != nil {
			return nil, err
		}
		s.Try, s.Disturbed, s.Discarded = try, s.Foreign > b.foreign, true
		all = append(all, s)
		if s.Foreign < all[best].Foreign {
			best = len(all) - 1
		}
		if !s.Disturbed {
			best = len(all) - 1
			break
		}
	}
	all[best].Discarded = false
	return all, nil
}

func (b *bench) tell(suite string, s *sample) {
	note := ""
	switch {
	case s.Discarded:
		note = fmt.Sprintf("  others took %.0f %%: again", 100*s.Foreign)
	case s.Disturbed:
		note = fmt.Sprintf("  others took %.0f %%", 100*s.Foreign)
	}
	if s.Alone > 0 {
		note += fmt.Sprintf("  %d WAITs without a replica", s.Alone)
	}
	if s.Late > 0 {
		note += fmt.Sprintf("  %d requests waited for a client", s.Late)
	}
	b.say("%s %d  %-14s %-5s%-12s%-8s%9.0f/s  p50 %6.0f  p99 %6.0f  p99.9 %6.0f µs  CPU %6.2f µs  generator %5.2f µs%s",
		suite, s.Round, s.System, s.Shape, s.Op, s.Mode, s.OpsPerSec, s.P50, s.P99, s.P999, s.CPU, s.GeneratorCPU, note)
}

func (b *bench) say(format string, args ...any) {
	_, _ = fmt.Fprintf(b.progress, format+"\n", args...) // progress only
}

// noSiblings fails when shoal kept concurrent versions although nothing was wrong: figures of a cluster that does more
// work than it should are not worth having. A node that stands still is something wrong.
func noSiblings(ctx context.Context, c *cluster, s stage) error {
	if c.route == nil || slices.ContainsFunc(s.cells("shoal"), func(x cell) bool { return shapes[x.Shape].stops }) {
		return nil
	}
	for _, p := range c.procs {
		err := p.ask(func(r *redis.Client) error {
			info, err := r.Info(ctx, "siblings").Result()
			if err != nil {
				return err
			}
			if n := infoField(info, "siblings_keys"); n != "" && n != "0" {
				return fmt.Errorf("%s has %s keys with siblings", p.name, n)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
