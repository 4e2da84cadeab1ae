package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	grace       = 3 * time.Second        // after a fault; from then on clients must see none of it
	aloneWithin = 100 * time.Millisecond // for each answer of a node that is left alone, over what the machine's noise adds
	readyWithin = 30 * time.Second       // for a killed node to be back
	pause       = 5 * time.Second        // of a stopped process
	pauseSeen   = 2500 * time.Millisecond
)

// trial is a cluster of three under load while its nodes fail.
type trial struct {
	*house
	nodes []*node // a and c read what is there; b is strict
	load  *load
	probe *watcher
}

// failover runs through the faults of three nodes, under load all the while.
func failover(ctx context.Context, h *house) error {
	t := &trial{house: h, nodes: []*node{h.node(0, "a"), h.node(1, "b", "--strict"), h.node(2, "c")}}
	quiet := h.node(3, "quiet")
	if err := cluster(ctx, t.nodes...); err != nil {
		return err
	}
	if err := cluster(ctx, quiet); err != nil {
		return err
	}
	var err error
	if t.probe, err = watch(quiet.addr); err != nil {
		return err
	}
	defer t.probe.close()
	t.load = begin(ctx, t.nodes)
	defer t.load.end()
	for turn := range t.turns {
		t.say("round %d of %d", turn+1, t.turns)
		for _, step := range []func(context.Context) error{
			t.calm,
			func(ctx context.Context) error { return t.killTwo(ctx, 2, 1, 0) },
			func(ctx context.Context) error { return t.killTwo(ctx, 0, 2, 1) }, // the founder first
			func(ctx context.Context) error { return t.pauseOne(ctx, 1) },
		} {
			if err := step(ctx); err != nil {
				return err
			}
		}
	}
	t.load.end()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	acknowledged, tried := t.load.written()
	if err := t.load.verify(ctx); err != nil {
		t.fault("after all faults: %v", err)
	} else {
		t.say("every acknowledged write reads back on each node: %d keys, %d of %d SETs acknowledged", len(t.load.book.keys), acknowledged, tried)
	}
	return nil
}

// watch lets the load run and returns when that began and ended.
func (t *trial) watch(ctx context.Context, d time.Duration) (from, to time.Time, err error) {
	from = time.Now()
	select {
	case <-time.After(d):
		return from, time.Now(), nil
	case <-ctx.Done():
		return from, from, ctx.Err()
	}
}

// calm: without a fault there is no error.
func (t *trial) calm(ctx context.Context) error {
	from, to, err := t.watch(ctx, t.hold)
	if err == nil {
		t.flawless("all three up", from, to, 0, 1, 2)
	}
	return err
}

// killTwo kills one node, then another, watches what the third answers alone, and restarts both.
func (t *trial) killTwo(ctx context.Context, first, second, last int) error {
	name := func(i int) string { return t.nodes[i].name }
	killed := time.Now()
	t.nodes[first].kill()
	if _, _, err := t.watch(ctx, grace); err != nil {
		return err
	}
	t.tell(name(first)+" killed, the first 3 s", killed, second, last)
	from, to, err := t.watch(ctx, t.hold)
	if err != nil {
		return err
	}
	t.flawless(name(first)+" killed, from then on", from, to, second, last)

	killed = time.Now()
	t.nodes[second].kill()
	if _, _, err := t.watch(ctx, grace); err != nil {
		return err
	}
	t.tell(name(second)+" killed too, the first 3 s", killed, last)
	if _, err := t.probe.take(); err != nil {
		return err
	}
	if from, to, err = t.watch(ctx, t.hold); err != nil {
		return err
	}
	noise, err := t.probe.take()
	if err != nil {
		return err
	}
	t.alone(last, from, to, noise[0])

	for _, i := range []int{second, first} {
		if err := t.nodes[i].start(); err != nil {
			return err
		}
	}
	back, err := live(ctx, 3, readyWithin, t.nodes...)
	if err != nil {
		return err
	}
	t.say("%s and %s are back after %v", name(first), name(second), back.Round(time.Millisecond))
	if from, to, err = t.watch(ctx, t.hold); err == nil {
		t.flawless("all three up again", from, to, 0, 1, 2)
	}
	return err
}

// pauseOne stops a process without ending it: the others must notice by its silence.
func (t *trial) pauseOne(ctx context.Context, paused int) error {
	n := t.nodes[paused]
	var others []int
	for i := range t.nodes {
		if i != paused {
			others = append(others, i)
		}
	}
	stopped := time.Now()
	if err := n.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	defer n.signal(syscall.SIGCONT) //nolint:errcheck // also when it goes on already
	seen, err := live(ctx, 2, pauseSeen, t.nodes[others[0]], t.nodes[others[1]])
	if err != nil {
		t.fault("%s stopped: %v", n.name, err)
	} else {
		t.say("%s stopped: the others take it for down after %v", n.name, seen.Round(time.Millisecond))
	}
	if _, _, err := t.watch(ctx, time.Until(stopped.Add(grace))); err != nil {
		return err
	}
	t.tell(n.name+" stopped, the first 3 s", stopped, others...)
	from, to, err := t.watch(ctx, time.Until(stopped.Add(pause)))
	if err != nil {
		return err
	}
	t.flawless(n.name+" stopped, from then on", from, to, others...)
	resumed := time.Now()
	if err := n.signal(syscall.SIGCONT); err != nil {
		return err
	}
	back, err := live(ctx, 3, readyWithin, t.nodes...)
	if err != nil {
		return err
	}
	t.say("%s goes on: all see each other after %v", n.name, back.Round(time.Millisecond))
	if _, _, err := t.watch(ctx, time.Until(resumed.Add(grace))); err != nil {
		return err
	}
	if from, to, err = t.watch(ctx, t.hold); err == nil {
		t.flawless("all three up again", from, to, 0, 1, 2)
	}
	return err
}

// tell reports what clients saw during the grace. Errors are allowed, stale values are not.
func (t *trial) tell(what string, from time.Time, nodes ...int) {
	v := t.load.view(from, time.Now(), true, true, nodes...)
	t.say("%-34s %5d operations, %d errors%s, worst %s", what, v.ops, v.failed(), texts(v.errors), ms(v.latency.Worst))
	if len(nodes) > 1 && len(v.stale) > 0 {
		t.fault("%s: %d stale reads: %s", what, len(v.stale), v.stale[0])
	}
}

// flawless wants no error and no stale value from these nodes.
func (t *trial) flawless(what string, from, to time.Time, nodes ...int) {
	v := t.load.view(from, to, true, true, nodes...)
	t.say("%-34s %5d operations, %d errors, p99 %s worst %s", what, v.ops, v.failed(), ms(v.latency.P99), ms(v.latency.Worst))
	switch {
	case v.ops == 0:
		t.fault("%s: no operation ended", what)
	case v.failed() > 0:
		t.fault("%s: errors%s", what, texts(v.errors))
	case len(v.stale) > 0:
		t.fault("%s: %d stale reads: %s", what, len(v.stale), v.stale[0])
	}
}

// alone checks the answers of the one node that is left.
func (t *trial) alone(i int, from, to time.Time, noise latency) {
	n, within := t.nodes[i], aloneWithin+noise.Worst
	strict := slices.Contains(n.args, "--strict")
	what := n.name + " alone"
	if strict {
		what += ", strict"
	}
	for _, kind := range []struct {
		name        string
		write       bool
		wantPrefix  string
		mustSucceed bool
	}{
		{"writes", true, "NOREPLICAS", false},
		{"reads", false, "CLUSTERDOWN", !strict},
	} {
		v := t.load.view(from, to, kind.write, !kind.write, i)
		t.say("%-34s %5d %s, %d errors%s, p99 %s worst %s (the machine's noise: worst %s)", what, v.ops, kind.name, v.failed(),
			texts(v.errors), ms(v.latency.P99), ms(v.latency.Worst), ms(noise.Worst))
		switch {
		case v.ops == 0:
			t.fault("%s: no %s ended", what, kind.name)
		case kind.mustSucceed && v.failed() > 0:
			t.fault("%s: %s fail%s", what, kind.name, texts(v.errors))
		case !kind.mustSucceed && !all(v, kind.wantPrefix):
			t.fault("%s: want -%s for all %s, got %d of %d%s", what, kind.wantPrefix, kind.name, v.failed(), v.ops, texts(v.errors))
		}
		if v.latency.Worst > within {
			t.fault("%s: %s take up to %s, want %s", what, kind.name, ms(v.latency.Worst), ms(within))
		}
	}
}

// all says whether every operation failed with an error of this prefix.
func all(v view, prefix string) bool {
	for text := range v.errors {
		if !strings.HasPrefix(text, prefix+" ") {
			return false
		}
	}
	return v.failed() == v.ops
}

// texts lists errors with their counts, " (n x text; ...)".
func texts(errors map[string]int) string {
	if len(errors) == 0 {
		return ""
	}
	var parts []string
	for _, text := range slices.Sorted(maps.Keys(errors)) {
		if len(parts) == 4 {
			parts = append(parts, "...")
			break
		}
		parts = append(parts, fmt.Sprintf("%d x %s", errors[text], text))
	}
	return " (" + strings.Join(parts, "; ") + ")"
}
