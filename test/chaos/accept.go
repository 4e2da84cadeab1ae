package main

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// scenarios are what is run by `chaos accept`. Each says its figures and notes a fault where one is beyond its limit.
// Not here: clocks that are wrong, and rows that vanish, since the program has no flag for either (test/cluster and
// test/sim have them).
var scenarios = map[string]func(context.Context, *house) error{
	"down-minute": func(ctx context.Context, h *house) error { return awayUnderLoad(ctx, h, false) },
	"wiped":       func(ctx context.Context, h *house) error { return awayUnderLoad(ctx, h, true) },
	"cut":         cutInTwo,
	"catchup":     catchUp,
	"idle":        idle,
	"flip":        flip,
	"settled":     settleDown,
}

const (
	backWithin  = 60 * time.Second // for a node that was away to be whole and equal
	valueSize   = 100              // bytes
	noticeAfter = 3 * time.Second  // by when nodes know who is down
)

// some is the number of keys of this run.
func (h *house) some(def int) int {
	if h.keys > 0 {
		return h.keys
	}
	return def
}

// measured says a figure and notes a fault when it is beyond the limit.
func (h *house) measured(what string, got, limit float64, unit string) {
	if got > limit {
		h.fault("%s: %.2f %s, limit %.2f", what, got, unit, limit)
		return
	}
	h.say("pass: %s: %.2f %s, limit %.2f", what, got, unit, limit)
}

// answers wants every key right through each of the nodes.
func (f *fleet) answers(ctx context.Context, s *shelf, what string, nodes ...int) {
	for _, i := range nodes {
		bad := s.readAll(ctx, f.nodes[i])
		for _, b := range bad {
			f.fault("%s, through %s: %s", what, f.nodes[i].name, b)
		}
		if len(bad) == 0 {
			f.say("pass: %s, through %s: all %d keys are right", what, f.nodes[i].name, len(s.tried))
		}
	}
}

// filled starts a fleet that holds so many keys, whole and equal.
func (h *house) filled(ctx context.Context, nodes, keys int, flags ...string) (*fleet, *shelf, error) {
	f, err := h.newFleet(ctx, nodes, flags...)
	if err != nil {
		return nil, nil, err
	}
	s, from := newShelf(keys, valueSize), time.Now()
	var clients []*redis.Client
	for _, n := range f.nodes {
		clients = append(clients, n.client)
	}
	if err = s.fill(ctx, clients, upTo(keys)); err == nil {
		_, err = f.equal(ctx, 2*time.Minute)
	}
	if err != nil {
		_ = f.close()
		return nil, nil, err
	}
	h.say("%d nodes, %d keys of %d bytes, whole and equal after %.1f s", nodes, keys, valueSize, time.Since(from).Seconds())
	return f, s, nil
}

// awayUnderLoad kills a node, lets the others take writes, and starts it again, with an empty folder if wiped. It must be
// whole in time by itself, and then answer everything alone.
func awayUnderLoad(ctx context.Context, h *house, wiped bool) error {
	f, s, err := h.filled(ctx, 3, h.some(30_000))
	if err != nil {
		return err
	}
	defer f.close()  //nolint:errcheck // it returns none that matters here
	const victim = 0 // the founder
	f.kill(victim)
	if wiped {
		if err := f.wipe(victim); err != nil {
			return err
		}
	}
	load, stop := context.WithTimeout(ctx, h.away)
	sc := s.disturb(load, f.hasty[1:])
	stop()
	h.say("while %s was away for %v: %d SETs acknowledged, %d refused, %d unknown", f.nodes[victim].name, h.away, sc[acknowledged], sc[refused], sc[unknown])
	before := f.net.received(victim)
	if err := f.start(victim); err != nil {
		return err
	}
	took, err := f.equal(ctx, 2*backWithin)
	if err != nil {
		return fmt.Errorf("%s came back but is not whole and equal: %w", f.nodes[victim].name, err)
	}
	h.measured("whole and equal after its return", took.Seconds(), backWithin.Seconds(), "s")
	h.say("%d bytes went to it", f.net.received(victim)-before)
	f.kill(1)
	f.kill(2)
	sleep(ctx, noticeAfter)
	f.answers(ctx, s, "alone", victim)
	f.alarms(ctx)
	return ctx.Err()
}
