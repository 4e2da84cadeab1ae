package engine

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// model is what the store must hold after each tick: per tick the dots by key, and the clock.
type model struct {
	states []state // states[i]: after i ticks
}

type state struct {
	newest map[string]causal.Dot // the version that a key shows
	clock  causal.Clock
}

func (m *model) last() state { return m.states[len(m.states)-1] }

func (m *model) tick(writes map[string]causal.Dot, marked []causal.Dot) {
	last := m.last()
	next := state{newest: map[string]causal.Dot{}, clock: last.clock.Clone()}
	for k, d := range last.newest {
		next.newest[k] = d
	}
	for k, d := range writes {
		next.newest[k] = d
	}
	for _, d := range marked {
		next.clock.Add(d)
	}
	m.states = append(m.states, next)
}

// stored reads rows, log and clock and checks that they agree with each other and with one state of the model, at
// least as new as from. It answers which.
func (m *model) stored(t *testing.T, s *Store, from int) int {
	t.Helper()
	r := s.Replica(0)
	for i := len(m.states) - 1; i >= from; i-- {
		if m.states[i].clock.Equal(&r.Clock) {
			m.agrees(t, s, m.states[i])
			return i
		}
	}
	t.Fatalf("clock %v is that of no state from tick %d to %d", r.Clock.Entries(), from, len(m.states)-1)
	return 0
}

func (m *model) agrees(t *testing.T, s *Store, want state) {
	t.Helper()
	var logged causal.Clock
	must(t, s.Log(0, nil, 0, func(e LogEntry) bool { logged.Add(e.Dot); return true }))
	if !logged.Equal(&want.clock) {
		t.Fatalf("log %v, clock %v", logged.Entries(), want.clock.Entries())
	}
	rows := 0
	must(t, s.Scan(0, 0, func(row Row) bool {
		must(t, row.Err)
		rows++
		if d := want.newest[string(row.Key)]; len(row.Container.Versions) != 1 || row.Container.Versions[0].Dot != d {
			t.Fatalf("%q holds %v, want %v", row.Key, row.Container.Versions, d)
		}
		return true
	}))
	if rows != len(want.newest) || s.Count(0, 0) != int64(rows) {
		t.Fatalf("%d rows, counted %d, want %d", rows, s.Count(0, 0), len(want.newest))
	}
}

// randomTick writes a few keys; size makes the log files change now and then.
func (m *model) randomTick(t *testing.T, s *Store, rng *rand.Rand, size int) {
	writes := map[string]causal.Dot{}
	var marked []causal.Dot
	for range 1 + rng.IntN(4) {
		key := fmt.Sprint("key", rng.IntN(40))
		value := make([]byte, rng.IntN(size))
		for i := range value {
			value[i] = byte(rng.Uint32())
		}
		writes[key] = set(t, s, 0, key, string(value), 0)
		marked = append(marked, writes[key])
	}
	m.tick(writes, marked)
}

// tiny makes the log go round, rows spill and rows leave memory within a few hundred ticks.
func tiny(o *Options) { o.LogBytes, o.MemoryBytes = 512<<10, 64<<10 }

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
		if lost := s.TailMayBeLost(); lost != (boot > 0 && durability != Always) {
			t.Fatalf("boot %d: tail may be lost: %v", boot, lost)
		}
		if boot == 0 {
			must(t, s.Create(0))
		} else {
			m.states = m.states[:m.stored(t, s, synced)+1]
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
			m.states = m.states[:m.stored(t, s, synced)+1]
			note := func() { mu.Lock(); synced = len(m.states) - 1; mu.Unlock() }
			note()
			for range 200 {
				m.randomTick(t, s, rng, 6000)
				must(t, s.EndTick())
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

// hookFS calls hook before each operation that changes what a crash leaves.
type hookFS struct {
	vfs.FS
	hook func()
}

// Unwrap shows checkFS.Link that a memory file system lies below: there a Link beside a CrashClone blocks for ever.
func (fs *hookFS) Unwrap() vfs.FS { return fs.FS }

func (fs *hookFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.Create(name, c)
	return hookFile{f, fs.hook}, err
}

func (fs *hookFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := fs.FS.ReuseForWrite(from, to, c)
	return hookFile{f, fs.hook}, err
}

func (fs *hookFS) OpenReadWrite(name string, c vfs.DiskWriteCategory, o ...vfs.OpenOption) (vfs.File, error) {
	f, err := fs.FS.OpenReadWrite(name, c, o...)
	return hookFile{f, fs.hook}, err
}

func (fs *hookFS) OpenDir(name string) (vfs.File, error) {
	f, err := fs.FS.OpenDir(name)
	return hookFile{f, fs.hook}, err
}

func (fs *hookFS) Rename(from, to string) error { fs.hook(); return fs.FS.Rename(from, to) }
func (fs *hookFS) Remove(name string) error     { fs.hook(); return fs.FS.Remove(name) }
func (fs *hookFS) Link(from, to string) error   { fs.hook(); return fs.FS.Link(from, to) }

type hookFile struct {
	vfs.File
	hook func()
}

func (f hookFile) Sync() error     { f.hook(); return f.File.Sync() }
func (f hookFile) SyncData() error { f.hook(); return f.File.SyncData() }
func (f hookFile) Close() error    { f.hook(); return f.File.Close() }
func (f hookFile) Write(b []byte) (int, error) {
	f.hook()
	return f.File.Write(b)
}

func (f hookFile) WriteAt(b []byte, at int64) (int, error) {
	f.hook()
	return f.File.WriteAt(b, at)
}
