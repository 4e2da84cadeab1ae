package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// The durable clock is never ahead of what a power cut leaves, only grows, and is the clock when all is fsynced.
func TestTheDurableClockIsWhatAPowerCutLeaves(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 4))
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	defer func() { must(t, s.Close()) }()
	if s.Durable(0) != nil {
		t.Fatal("a replica that is not here has a durable clock")
	}
	must(t, s.Create(0))
	last := s.Durable(0).Clone()
	behind, cuts := 0, 0
	for i := range 400 {
		for range rng.IntN(3) {
			set(t, s, 0, fmt.Sprint("key", rng.IntN(20)), "v", 0)
		}
		if rng.IntN(3) > 0 {
			must(t, s.EndTick())
		}
		if rng.IntN(10) == 0 {
			must(t, s.EndTick())
			must(t, s.Sync())
			if !s.Durable(0).Equal(&s.Replica(0).Clock) {
				t.Fatal("after a sync the durable clock is not the clock")
			}
		}
		if rng.IntN(2) == 0 {
			continue
		}
		d := s.Durable(0)
		if !d.Covers(&last) {
			t.Fatalf("step %d: the durable clock went back", i)
		}
		last = d.Clone()
		if !d.Equal(&s.Replica(0).Clock) {
			behind++
		}
		if rng.IntN(8) > 0 {
			continue
		}
		cuts++
		cut := mustOpen(t, testOptions(fs.CrashClone(vfs.CrashCloneCfg{}), uint64(i), EverySec))
		if !cut.Replica(0).Clock.Covers(d) {
			t.Fatalf("step %d: told %v, a power cut leaves %v", i, d.Entries(), cut.Replica(0).Clock.Entries())
		}
		if !cut.Durable(0).Equal(&cut.Replica(0).Clock) {
			t.Fatal("what Open recovered is not durable")
		}
		must(t, cut.Close())
	}
	if behind == 0 || cuts == 0 {
		t.Fatalf("%d times behind, %d cuts", behind, cuts)
	}
}

// With Always the clock is durable when the tick has ended, and not before.
func TestTheDurableClockInsideATick(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, Always))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	d := set(t, s, 0, "key", "v", 0)
	if s.Durable(0).Contains(d) {
		t.Fatal("durable before its tick has ended")
	}
	must(t, s.EndTick())
	if !s.Durable(0).Contains(d) {
		t.Fatal("not durable with Always")
	}
}
