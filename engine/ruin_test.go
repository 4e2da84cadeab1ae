package engine

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

var (
	ruins    = flag.Int("ruins", 10, "how many seeds TestRuins runs")
	ruinSeed = flag.Int64("ruin-seed", -1, "run only this seed of TestRuins")
)

// A store whose disk is ruined in every way that it must survive, again and again: power cuts in the middle of anything,
// bits of the log that flip while it is open and while it is not, and a disk that is full for a while. Whatever comes back
// is one state of the model, with its rows, log, hints and counters, and no older than what was promised (promise).
//
// A seed decides everything but how the store's goroutines follow each other, so one that failed may hold when it is
// run again: run it a few times. Time is virtual (testing/synctest): no pause of the store takes any.
func TestRuins(t *testing.T) {
	first, n := uint64(1), *ruins
	if *ruinSeed >= 0 {
		first, n = uint64(*ruinSeed), 1
	}
	met := map[string]int{}
	for seed := first; seed < first+uint64(n) && !t.Failed(); seed++ {
		t.Run(fmt.Sprint("seed", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { newRuin(t, seed, met).run() })
		})
	}
	t.Log(met)
	if n < 100 || t.Failed() {
		return
	}
	for _, what := range []string{"cuts", "cuts in Open", "flips", "flips in the open", "went back", "emptied", "began anew",
		"ticks that met a full disk", "stopped with a full disk", "spills", "evictions"} {
		if met[what] == 0 {
			t.Errorf("%d seeds had none of: %s", n, what)
		}
	}
}

// ruin is one seed.
type ruin struct {
	model
	t    testing.TB // says seed and boot
	rng  *rand.Rand
	seed uint64
	boot int
	met  map[string]int

	durability Durability
	size, keys int
	rests      int                            // one in so many ticks lets the store's goroutines come to rest
	flipping   bool                           // bits flip
	filling    bool                           // the disk is full now and then
	offered    map[string]map[causal.Dot]bool // all hints ever put

	s       *Store
	disk    *vfs.MemFS
	full    atomic.Bool
	ticking bool // the last state of the model is of a tick that has not ended: it met a full disk
	durably bool // that tick is durable when it ends, whatever the durability

	mu   sync.Mutex // the disk is used by the store's goroutines too
	left int        // operations until the power cut; below 0: there is none any more
	cut  *powerCut  // nil: not yet
	owes promise
}

// promise is what the next Open owes: a state of the model from one to another, or one of the last before a flipped bit.
type promise struct {
	from, to int
	before   []int // -1: before there was a replica
	ended    int   // the last tick that ended without an error: Open must say when it lacks that
	lost     bool  // Open must say so anyway
}

// mustSay reports whether Open must say that a tail may be lost. What proves that a lost record was durable is a whole one
// behind it. Where flipped bits may have hit each of the lost ones there may be none, and behind a power cut nobody
// can tell them from records that it tore. Behind a clean stop Open can, mostly; this test does not ask for it.
func (p *promise) mustSay(back int) bool { return p.lost || p.ended-back > len(p.before) }

// powerCut is what a power cut left.
type powerCut struct {
	disk *vfs.MemFS
	owes promise
}

const (
	never    = -1 // no state: there is no replica
	anyState = math.MaxInt
)

func newRuin(t *testing.T, seed uint64, met map[string]int) *ruin {
	rng := rand.New(rand.NewPCG(seed, 1234))
	x := &ruin{
		t: t, rng: rng, seed: seed, met: met,
		disk:       vfs.NewCrashableMem(),
		durability: []Durability{EverySec, Always, No, One}[rng.IntN(4)],
		size:       []int{200, 3000, 9000}[rng.IntN(3)],
		keys:       []int{10, 60, 400}[rng.IntN(3)],
		rests:      []int{1, 5, 40}[rng.IntN(3)],
		flipping:   rng.IntN(2) == 0,
		filling:    rng.IntN(3) == 0,
		offered:    map[string]map[causal.Dot]bool{},
	}
	x.flushes = true
	return x
}

func (x *ruin) run() {
	defer func() {
		if x.s != nil {
			_ = x.s.Close() // after a failure: its goroutines must end before the bubble can
		}
	}()
	outer := x.t
	x.owes = promise{from: never, to: never, before: []int{never}, ended: never}
	for x.boot = range 8 {
		x.t = placed{outer, fmt.Sprintf("seed %d, boot %d", x.seed, x.boot)}
		x.open()
		for range x.rng.IntN(200) {
			x.live()
		}
		x.stop()
		if x.flipping && x.rng.IntN(3) == 0 {
			x.flipOffline()
		}
	}
}

// placed says with each failure where it is.
type placed struct {
	testing.TB
	place string
}

func (p placed) Fatal(args ...any) { p.Helper(); p.TB.Fatal(p.place+":", fmt.Sprint(args...)) }

func (p placed) Fatalf(format string, args ...any) {
	p.Helper()
	p.TB.Fatalf("%s: %s", p.place, fmt.Sprintf(format, args...))
}

func (x *ruin) options() Options {
	o := testOptions(errorfs.Wrap(&hookFS{FS: x.disk, hook: x.operation}, errorfs.InjectorFunc(x.refuse)), x.seed, x.durability)
	o.Random, o.MachineBoot = x.rng.Uint32, fmt.Sprint(x.boot)
	o.LogBytes = []int64{128 << 10, 256 << 10, 512 << 10}[x.rng.IntN(3)]
	o.MemoryBytes = []int64{16 << 10, 64 << 10, 1 << 20}[x.rng.IntN(3)]
	o.scanAtMost = []int64{0, -1}[x.rng.IntN(2)]
	return o
}

// operation comes before each operation on the disk.
func (x *ruin) operation() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.left--; x.left != 0 {
		return
	}
	// All that was not fsynced is lost, or nothing. What lies between is not for Pebble: it makes a new MANIFEST and the
	// marker that names it durable with one fsync of their folder, and where MemFS keeps a part of the folder's names,
	// the marker may be there without its file, which no file system with a journal does. Then Open fails.
	// The store's own files are cut in all ways in TestPowerCutsLoseASuffixAtMost.
	rng := rand.New(rand.NewPCG(x.seed, uint64(x.boot)))
	clone := x.disk.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100 * rng.IntN(2), RNG: rng})
	x.cut = &powerCut{disk: clone, owes: x.owes}
	x.cut.owes.before = slices.Clone(x.owes.before)
}

// refuse is the full disk. What Pebble itself and the run file need is what the store leaves free (ReserveBytes).
func (x *ruin) refuse(op errorfs.Op) error {
	if !x.full.Load() || !strings.Contains(op.Path, "data/log") && !strings.Contains(op.Path, "data/spill") {
		return nil
	}
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpFileWrite, errorfs.OpFilePreallocate, errorfs.OpFileWriteAt:
		return syscall.ENOSPC
	}
	return nil
}

// open opens the store and takes the model back to where it stands.
func (x *ruin) open() {
	owed := x.owes
	x.mu.Lock()
	x.cut, x.left = nil, x.rng.IntN(700)
	if len(owed.before) > 0 && x.rng.IntN(2) == 0 { // in the Open that looks at damage
		x.left = 1 + x.rng.IntN(60)
	}
	x.mu.Unlock()
	s, err := Open(x.options())
	must(x.t, err)
	x.s = s
	back := x.back(owed)
	now := promise{from: back, to: back, lost: owed.mustSay(back), ended: back}
	if now.lost && !s.TailMayBeLost() {
		x.t.Fatalf("state %d came back of %d, and Open does not say that a tail may be lost; owed %+v", back, owed.ended, owed)
	}
	if back == never {
		now.before = []int{never}
	}
	x.opened(now)
	if back == never {
		x.begin()
	}
	x.agrees(x.t, s, x.last())
	if x.rng.IntN(2) == 0 {
		x.promise(func(p *promise) { p.lost = false })
		must(x.t, s.TailRestored())
	}
}

// opened notes what Open found. A power cut in Open changes nothing: the next one finds the same.
func (x *ruin) opened(now promise) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.cut != nil {
		x.met["cuts in Open"]++
		x.cut.owes = now
	}
	now.to = anyState
	x.owes = now
}

// begin creates the replica where there is none.
func (x *ruin) begin() {
	x.states, x.durable = []state{{}}, 0
	must(x.t, x.s.Create(0))
	x.ended(true)
}

// back takes the model back to the state that Open found, and answers which that is.
func (x *ruin) back(owed promise) int {
	r := x.s.Replica(0)
	if r == nil {
		if !slices.Contains(owed.before, never) {
			x.t.Fatal("there is no replica")
		}
		if x.boot > 0 {
			x.met["began anew"]++
		}
		return never
	}
	i := x.find(r, max(owed.from, 0), owed.to)
	for _, before := range owed.before {
		if i < 0 && before >= 0 {
			i = x.find(r, before, before)
		}
	}
	if len(owed.before) > 0 && (&state{filling: true}).is(r) && (i < 0 || !maps.Equal(readHints(x.t, x.s), x.states[i].hints)) {
		return x.emptied() // it may be a second time, from another end of the log
	}
	if i < 0 {
		x.t.Fatalf("clock %v, filling %v, is that of no state from %d to %d, nor of %v, which flipped bits left; there are %d",
			r.Clock.Entries(), r.Filling, owed.from, owed.to, owed.before, len(x.states))
	}
	if i < owed.from {
		x.met["went back"]++
	}
	x.goBack(i)
	return i
}

// emptied takes in that the store gave up a replica whose clock says more than its rows hold. What it keeps of the
// hints, which have no clock, is not known: some that were put once.
func (x *ruin) emptied() int {
	x.met["emptied"]++
	hints := readHints(x.t, x.s)
	for key, d := range hints {
		if !x.offered[key][d] {
			x.t.Fatalf("hint %v of %q was never put", d, key)
		}
	}
	x.states = []state{{filling: true, hints: hints, seq: x.s.wal.seq}}
	x.durable = 0
	return 0
}

func (x *ruin) promise(change func(*promise)) {
	x.mu.Lock()
	change(&x.owes)
	x.mu.Unlock()
}

// ended notes that the tick of the last state is in the log.
func (x *ruin) ended(durably bool) {
	x.ticking, x.durably = false, false
	x.last().seq = x.s.wal.seq
	x.promise(func(p *promise) {
		p.ended = len(x.states) - 1
		if durably {
			p.from = p.ended
		}
	})
}

// stop closes the store, and goes on with what the power cut left, if there was one.
func (x *ruin) stop() {
	full := x.full.Load() && x.rng.IntN(3) == 0
	if !full {
		x.awaitRoom()
		x.agrees(x.t, x.s, x.last())
	}
	st := x.s.Stats()
	x.met["spills"] += int(st.Spills)
	x.met["evictions"] += int(st.Evicted)
	x.close(full)
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.left = -1; x.cut != nil {
		x.met["cuts"]++
		x.disk, x.owes = x.cut.disk, x.cut.owes
	}
}

// close closes the store. A tick that finds a full disk still is lost, as its EndTick said.
func (x *ruin) close(full bool) {
	if full {
		x.met["stopped with a full disk"]++
	}
	err := x.s.Close()
	if err != nil && (!full || !errors.Is(err, ErrFull)) {
		x.t.Fatal(err)
	}
	if err != nil && x.ticking {
		x.states = x.states[:len(x.states)-1]
		x.ticking = false
	} else if x.ticking {
		x.last().seq = x.s.wal.seq
	}
	x.full.Store(false)
	x.promise(func(p *promise) { p.from, p.ended = len(x.states)-1, len(x.states)-1 })
	x.s, x.ticking, x.durably = nil, false, false
}
