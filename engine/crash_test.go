package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// randomTick writes a few keys, and now and then reaps, trims, adopts, fills or hints; size makes the log files change now and
// then. A filling ends the tick.
func (m *model) randomTick(t *testing.T, s *Store, rng *rand.Rand, size int) {
	c := m.change(s, rng)
	for range 1 + rng.IntN(4) {
		key := fmt.Sprint("key", rng.IntN(40))
		switch dice := rng.IntN(30); {
		case dice == 0:
			c.reap(t, key)
		case dice == 1:
			c.trim()
		case dice == 2:
			c.adopt()
		case dice < 5:
			c.hint(key, size)
		case dice < 7:
			c.dropHint(key)
		default:
			c.write(t, key, size)
		}
	}
	c.each(t)
	m.states = append(m.states, c.next)
	if rng.IntN(40) == 0 {
		m.last().filling = rng.IntN(2) == 0
		must(t, s.Fill(0, m.last().filling))
		m.filled = true
		m.durable = len(m.states) - 1
	}
}

func crashClone(fs *vfs.MemFS, rng *rand.Rand) (*vfs.MemFS, int) {
	percent := []int{0, 20, 60, 95, 100}[rng.IntN(5)]
	return fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng}), percent
}

// A power cut, again and again: what comes back is a prefix of the ticks with its rows, log and clock in agreement; it
// lacks nothing that was synced, with Always nothing that was acknowledged; and no actor comes back.
func TestPowerCutsLoseASuffixAtMost(t *testing.T) {
	for _, durability := range []Durability{EverySec, No, One, Always} {
		for seed := range uint64(12) {
			t.Run(fmt.Sprint(durability, "-", seed), func(t *testing.T) { powerCuts(t, seed, durability) })
		}
	}
}

func powerCuts(t *testing.T, seed uint64, durability Durability) {
	rng := rand.New(rand.NewPCG(seed, 77))
	fs := vfs.NewCrashableMem()
	m := &model{states: []state{{}}}
	actors := map[causal.Actor]bool{}
	size, synced := []int{100, 6000}[seed%2], 0
	for boot := range 6 {
		o := testOptions(fs, 1, durability) // the same clock every time
		o.Random = rng.Uint32
		o.MachineBoot = fmt.Sprint("boot", boot)
		if seed%3 == 0 {
			tiny(&o)
		}
		s := mustOpen(t, o)
		// A replica that was filled is not to be trusted before it has pulled, which nobody here does.
		if lost := s.TailMayBeLost(); lost != (boot > 0 && durability != Always || m.filled) {
			t.Fatalf("boot %d: tail may be lost: %v", boot, lost)
		}
		if boot == 0 {
			must(t, s.Create(0))
		} else {
			m.reopen(t, s, synced)
			synced = len(m.states) - 1 // Open makes durable what it found
		}
		for _, a := range []causal.Actor{s.Incarnation(), s.Replica(0).Life} {
			if actors[a] && boot > 0 {
				t.Fatalf("actor %d again", a)
			}
		}
		actors[s.Incarnation()], actors[s.Replica(0).Life] = true, true
		for range rng.IntN(120) {
			m.randomTick(t, s, rng, size)
			synced = max(synced, m.durable)
			must(t, s.EndTick())
			if rng.IntN(15) == 0 {
				must(t, s.Sync())
				synced = len(m.states) - 1
			}
		}
		if durability == Always || durability == One { // every tick holds a dot issued here
			synced = len(m.states) - 1
		}
		if rng.IntN(3) == 0 { // a tick that never ends
			m.randomTick(t, s, rng, size)
			synced = max(synced, m.durable)
		}
		next, percent := crashClone(fs, rng)
		t.Logf("boot %d: %d ticks, %d synced, cut with %d%% of the rest", boot, len(m.states)-1, synced, percent)
		must(t, s.Close())
		fs = next
	}
}

// Crashes in the middle of anything: at the n-th operation on the disk, also during Open and while log files change.
func TestCrashesAtEveryKindOfMoment(t *testing.T) {
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 78))
		durability := []Durability{EverySec, Always}[seed%2]
		disk := vfs.NewCrashableMem()
		m := &model{states: []state{{}}}
		s := mustOpen(t, testOptions(disk, seed, durability))
		must(t, s.Create(0))
		must(t, s.Close())
		synced := 0
		for boot := range 4 {
			at := rng.IntN(400)
			var crashed *vfs.MemFS
			atCrash := 0
			dice := rand.New(rand.NewPCG(seed, uint64(boot))) // the hook's own
			var mu sync.Mutex                                 // the hook runs in Pebble's goroutines too
			hooked := &hookFS{FS: disk, hook: func() {
				mu.Lock()
				defer mu.Unlock()
				if at--; at == 0 {
					crashed, _ = crashClone(disk, dice)
					atCrash = synced
				}
			}}
			o := testOptions(hooked, seed, durability)
			o.Random, o.MachineBoot = rng.Uint32, fmt.Sprint(boot)
			if seed%3 != 0 {
				tiny(&o)
			}
			s := mustOpen(t, o)
			m.reopen(t, s, synced)
			note := func() { mu.Lock(); synced = len(m.states) - 1; mu.Unlock() }
			note()
			for range 200 {
				m.randomTick(t, s, rng, 6000)
				must(t, s.EndTick())
				if m.durable == len(m.states)-1 {
					note()
				}
				if rng.IntN(4) == 0 {
					_, err := s.Maintain(64) // also gives the spiller a turn
					must(t, err)
				}
				if durability == Always || rng.IntN(10) == 0 {
					must(t, s.Sync())
					note()
				}
			}
			must(t, s.Close())
			if crashed == nil {
				synced = len(m.states) - 1
				continue
			}
			disk, synced = crashed, atCrash
		}
		s = mustOpen(t, testOptions(disk, seed+1, durability))
		m.stored(t, s, synced)
		must(t, s.Close())
	}
}
