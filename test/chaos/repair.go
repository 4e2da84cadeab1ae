package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	equalWithin   = 60 * time.Second // after the last fault
	settledWithin = 60 * time.Second // for hints and tombstones to go, after that
	lingering     = 3 * time.Second  // after the last fault: by then what a stopped process had not read is read and done
)

// repair makes faults under load, stretch by stretch. After each the replicas must become equal by themselves, and every
// node must answer what was acknowledged.
func repair(ctx context.Context, h *house) error {
	kinds, err := readKinds(h.faultList)
	if err != nil {
		return err
	}
	if h.count != 3 && h.count != 5 {
		return fmt.Errorf("--nodes %d: want 3 or 5", h.count)
	}
	var flags []string
	if h.strict {
		flags = append(flags, "--strict")
	}
	f, err := h.newFleet(ctx, h.count, flags...)
	if err != nil {
		return err
	}
	defer f.close() //nolint:errcheck // it returns none that matters here
	d := newDriver(f, kinds, h.seed)
	sloppy := f.count > ownersOf && !f.strict && f.has(ctx, "sloppy_writes")
	regs := newRegisters(f.count*writersPerNode, func() bool { return sloppy })
	works := []workload{newUniqueKeys(), &growSets{}, regs}
	h.say("%d nodes, seed %d, faults %s, stretches of %v until %v have passed", f.count, h.seed, strings.Join(kinds, ", "), h.stretch, h.span)
	t := &tale{score: map[string]*score{}}
	end := time.Now().Add(h.span)
	for turn := 0; turn == 0 || time.Now().Before(end); turn++ {
		if err := f.stretchOf(ctx, d, works, turn, min(h.stretch, max(time.Until(end), 2*time.Second)), t); err != nil {
			return err
		}
	}
	f.settled(ctx)
	f.alarms(ctx)
	t.tell(h, works, d)
	h.say("%d DELs and EXPIREs were told that there is no key where one had been acknowledged before", regs.unseen)
	return nil
}

// tale is what a run came to.
type tale struct {
	score map[string]*score
	equal []time.Duration
}

// stretchOf is faults under load, and then the look at what is left.
func (f *fleet) stretchOf(ctx context.Context, d *driver, works []workload, turn int, length time.Duration, t *tale) error {
	crew := f.employ(ctx, f.seed+uint64(turn), works)
	healed, err := d.drive(ctx, length, turn)
	for name, s := range crew.end() {
		if t.score[name] == nil {
			t.score[name] = &score{}
		}
		for o, n := range s {
			t.score[name][o] += n
		}
	}
	if err != nil {
		return err
	}
	_, err = f.equal(ctx, equalWithin)
	if took := time.Since(healed); err == nil {
		t.equal = append(t.equal, took)
		f.say("stretch %d: all whole and equal %.1f s after the last fault", turn+1, took.Seconds())
		sleep(ctx, time.Until(healed.Add(lingering)))
		_, err = f.equal(ctx, equalWithin-time.Since(healed))
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, errExited) {
		return err
	}
	if err != nil {
		f.fault("stretch %d: replicas do not become equal: %v", turn+1, err)
	}
	for _, w := range works {
		for _, n := range f.nodes {
			for _, what := range w.check(ctx, n) {
				f.fault("stretch %d, %s through %s: %s", turn+1, w.name(), n.name, what)
			}
		}
		w.settle()
	}
	return ctx.Err()
}

// has reports whether the nodes count such a thing at all.
func (f *fleet) has(ctx context.Context, name string) bool {
	_, known := f.sum(ctx, name)
	return known
}

// settled waits until nothing is left to be done: no hint waits and no tombstone is kept. A number that the nodes do not
// give is not looked at, and that is said.
func (f *fleet) settled(ctx context.Context) {
	for _, name := range []string{"repair_hints_waiting", "tombstones"} {
		if !f.has(ctx, name) {
			f.say("INFO has no %s: not looked at", name)
			continue
		}
		took, err := f.until(ctx, settledWithin, func() string {
			switch n, known := f.sum(ctx, name); {
			case !known:
				return "a node does not answer"
			case n > 0:
				return fmt.Sprintf("%s is %d", name, n)
			}
			return ""
		})
		if err != nil {
			f.fault("at the end %v", err)
		} else {
			f.say("%s is 0 everywhere, after %.1f s", name, took.Seconds())
		}
	}
}

// alarms wants no node that runs to have seen two values under one dot.
func (f *fleet) alarms(ctx context.Context) {
	for _, i := range f.up() {
		if count, known := f.nodes[i].info(ctx, "stats")["alarms_two_values"]; !known || count != 0 {
			f.fault("%s: alarms_two_values is %d", f.nodes[i].name, count)
		}
	}
}

// tell prints the counts.
func (t *tale) tell(h *house, works []workload, d *driver) {
	for _, w := range works {
		s := t.score[w.name()]
		h.say("%-12s %6d operations, %6d acknowledged, %5d refused, %5d unknown", w.name(), s.total(), s[acknowledged], s[refused], s[unknown])
	}
	var faults []string
	for _, k := range faultKinds {
		if slices.Contains(d.kinds, k) {
			faults = append(faults, fmt.Sprintf("%d %s", d.count[k], k))
		}
	}
	h.say("faults: %s", strings.Join(faults, ", "))
	if len(t.equal) > 0 {
		h.say("seconds to equality: worst %.1f of %d", slices.Max(t.equal).Seconds(), len(t.equal))
	}
	if lost := d.net.lost.Load(); lost > 0 {
		h.say("%d connections of nobody known were closed by the proxy", lost)
	}
}
