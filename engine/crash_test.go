package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// model is what the store must hold after each tick: per tick the dots by key, clock, log and the rest of the replica.
type model struct {
	states  []state // states[i]: after i ticks
	durable int     // the last that a filling made durable
	filled  bool    // there was one
}

type state struct {
	newest  map[string]causal.Dot // the version that a key shows
	clock   causal.Clock
	logged  map[causal.Dot]bool
	flushed causal.Clock
	horizon causal.Vector
	filling bool
	hints   map[string]causal.Dot // of partition 5, which has no replica here
}

// next is a copy to be changed.
func (m *model) next() state {
	last := m.last()
	next := *last
	next.newest, next.logged = maps.Clone(last.newest), maps.Clone(last.logged)
	if next.newest == nil {
		next.newest = map[string]causal.Dot{}
	}
	if next.hints = maps.Clone(last.hints); next.hints == nil {
		next.hints = map[string]causal.Dot{}
	}
	if next.logged == nil {
		next.logged = map[causal.Dot]bool{}
	}
	next.clock, next.flushed = last.clock.Clone(), last.flushed.Clone()
	return next
}

func (st *state) write(key string, d causal.Dot) {
	st.newest[key] = d
	st.clock.Add(d)
	if !st.horizon.Covers(d) {
		st.logged[d] = true
	}
}

func (st *state) raise(to causal.Vector) {
	st.horizon = st.horizon.Join(to)
	maps.DeleteFunc(st.logged, func(d causal.Dot, _ bool) bool { return st.horizon.Covers(d) })
}

// reopen goes back to the state that came back after a crash, at least as new as from.
func (m *model) reopen(t *testing.T, s *Store, from int) {
	t.Helper()
	back := m.stored(t, s, from)
	m.states = m.states[:back+1]
	m.durable = min(m.durable, back) // a later one is lost with its tick, and another tick will have its number
}

func (m *model) last() *state { return &m.states[len(m.states)-1] }

// stored reads rows, log and clock and checks that they agree with each other and with one state of the model, at
// least as new as from. It answers which.
func (m *model) stored(t *testing.T, s *Store, from int) int {
	t.Helper()
	r := s.Replica(0)
	for i := len(m.states) - 1; i >= from; i-- {
		if w := &m.states[i]; w.clock.Equal(&r.Clock) && w.filling == r.Filling && slices.Equal(w.horizon, r.Horizon) && w.flushed.Equal(&r.Flushed) {
			m.agrees(t, s, w)
			return i
		}
	}
	t.Fatalf("clock %v is that of no state from tick %d to %d", r.Clock.Entries(), from, len(m.states)-1)
	return 0
}

func (m *model) agrees(t *testing.T, s *Store, want *state) {
	t.Helper()
	logged := map[causal.Dot]bool{}
	must(t, s.Log(0, nil, 0, func(e LogEntry) bool {
		if logged[e.Dot] || !want.logged[e.Dot] {
			t.Fatalf("log entry %v, twice: %v", e.Dot, logged[e.Dot])
		}
		logged[e.Dot] = true
		return true
	}))
	if len(logged) != len(want.logged) || s.Logged(0) != len(logged) || s.Stats().LogEntries != int64(len(logged)) {
		t.Fatalf("%d log entries, counted %d and %d, want %d", len(logged), s.Logged(0), s.Stats().LogEntries, len(want.logged))
	}
	hints := 0
	s.Hints(5, true, Ref{}, 1000, func(slot ring.Slot, key []byte, row causal.Container) {
		if hints++; len(row.Versions) != 1 || slot != slotOf(string(key)) || row.Versions[0].Dot != want.hints[string(key)] {
			t.Fatalf("hint of %q is %+v, want %v", key, row, want.hints[string(key)])
		}
	})
	if all, _ := s.HintStats(); hints != len(want.hints) || s.HintCount(5) != hints || all != hints {
		t.Fatalf("%d hints, counted %d, want %d", hints, s.HintCount(5), len(want.hints))
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

// randomTick writes a few keys, and now and then reaps, trims, adopts, fills or hints; size makes the log files change now and
// then. A filling ends the tick.
func (m *model) randomTick(t *testing.T, s *Store, rng *rand.Rand, size int) {
	next := m.next()
	for range 1 + rng.IntN(4) {
		key := fmt.Sprint("key", rng.IntN(40))
		slot, r := slotOf(key), s.Replica(0)
		switch dice := rng.IntN(30); {
		case dice == 0: // the row goes, or its vector stays
			row, err := s.Row(0, slot, []byte(key))
			must(t, err)
			s.Reap(0, slot, []byte(key), causal.Container{}, row.Vector)
			delete(next.newest, key)
			next.raise(row.Vector)
		case dice == 1:
			to := bases(&r.Clock)
			for i := range to {
				to[i].Seq = 1 + rng.Uint64N(to[i].Seq)
			}
			s.Trim(0, to)
			next.raise(to)
		case dice == 2: // all but what a flush dropped
			var c, flushed causal.Clock
			foreign := causal.Dot{Actor: 7, Seq: 1 + rng.Uint64N(1000)}
			c.Add(foreign)
			flushed.Add(causal.Dot{Actor: 7, Seq: 1 + rng.Uint64N(1000)})
			horizon := causal.Vector{{Actor: 8, Seq: 1 + rng.Uint64N(1000)}}
			s.Adopt(0, &c, &flushed, horizon)
			next.clock.Add(foreign)
			next.flushed.Union(&flushed)
			next.raise(horizon)
		case dice < 5:
			v := causal.Version{Dot: causal.Dot{Actor: 6, Seq: 1 + rng.Uint64N(1000)}, Kind: causal.KindString, Payload: randomBytes(rng, size)}
			s.PutHint(5, slot, []byte(key), causal.Container{}.Add(v))
			next.hints[key] = v.Dot
		case dice < 7:
			s.PutHint(5, slot, []byte(key), causal.Container{})
			delete(next.hints, key)
		default:
			value := randomBytes(rng, size)
			next.write(key, set(t, s, 0, key, string(value), 0))
		}
	}
	next.write("each", set(t, s, 0, "each", "tick is another", 0))
	m.states = append(m.states, next)
	if rng.IntN(40) == 0 {
		m.last().filling = rng.IntN(2) == 0
		must(t, s.Fill(0, m.last().filling))
		m.filled = true
		m.durable = len(m.states) - 1
	}
}

func randomBytes(rng *rand.Rand, most int) []byte {
	b := make([]byte, rng.IntN(most))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
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
