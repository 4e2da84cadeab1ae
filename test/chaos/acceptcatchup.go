package main

import (
	"context"
	"time"

	"github.com/redis/go-redis/v9"
)

const catchUpBytes = 3 // times the bytes of the keys and values that changed

// catchUp changes a tenth of all keys while one node is down. What it then takes is counted by the proxy: all bytes that
// the others send to it, gossip and pings included.
func catchUp(ctx context.Context, h *house) error {
	f, s, err := h.filled(ctx, 3, h.some(1_000_000))
	if err != nil {
		return err
	}
	defer f.close() //nolint:errcheck // it returns none that matters here
	const victim = 2
	f.kill(victim)
	sleep(ctx, noticeAfter)
	changed := len(s.tried) / 10
	if err := s.fill(ctx, []*redis.Client{f.nodes[0].client, f.nodes[1].client}, upTo(changed)); err != nil {
		return err
	}
	before := f.net.received(victim)
	if err := f.start(victim); err != nil {
		return err
	}
	took, err := f.equal(ctx, 2*backWithin)
	if err != nil {
		return err
	}
	moved := float64(f.net.received(victim) - before)
	h.measured("whole and equal after its return", took.Seconds(), backWithin.Seconds(), "s")
	size := float64(changed * (len(s.key(0)) + valueSize))
	h.measured("bytes sent to it, per byte that changed", moved/size, catchUpBytes, "times")
	for _, n := range f.nodes {
		x := n.info(ctx, "repair")
		h.say("%s: repair_bytes %d, repair_log %d, repair_tree %d", n.name, x["repair_bytes"], x["repair_log"], x["repair_tree"])
	}
	f.answers(ctx, s, "afterwards", victim)
	f.alarms(ctx)
	return ctx.Err()
}

const (
	restFor   = 60 * time.Second // filling leaves a round of spilling behind, whose rows are gathered at leisure
	idleFor   = 60 * time.Second
	idleTicks = 100 // of processor time in a second, as Linux tells it to programs
	idleLimit = 0.6 // seconds of processor time of each process in idleFor
)

// idle measures what equal nodes use while nobody asks them anything.
func idle(ctx context.Context, h *house) error {
	f, _, err := h.filled(ctx, 3, h.some(1_000_000))
	if err != nil {
		return err
	}
	defer f.close() //nolint:errcheck // it returns none that matters here
	sleep(ctx, restFor)
	var before []int64
	for i := range f.nodes {
		before = append(before, used(f.pid(i)))
	}
	sleep(ctx, idleFor)
	for i, n := range f.nodes {
		h.measured(n.name+": processor time in 60 s of idleness", float64(used(f.pid(i))-before[i])/idleTicks, idleLimit, "s")
	}
	return ctx.Err()
}
