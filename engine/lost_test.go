package engine

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// sound checks that the replica's rows hold what its clock says: every dot of the clock stands in its row, or a later
// one of the same key does. wrote has all that was written.
func sound(t *testing.T, s *Store, wrote map[causal.Dot]string) {
	t.Helper()
	r := s.Replica(0)
	rows := map[string]causal.Container{}
	must(t, s.Scan(0, 0, func(row Row) bool {
		must(t, row.Err)
		rows[string(row.Key)] = row.Container
		for _, v := range row.Container.Versions {
			if !r.Clock.Contains(v.Dot) {
				t.Fatalf("%q has %v, which the clock does not", row.Key, v.Dot)
			}
		}
		return true
	}))
	for d, key := range wrote {
		if row := rows[key]; r.Clock.Contains(d) && row.Find(d) == nil && !row.Vector.Covers(d) {
			t.Fatalf("the clock has %v, and %q does not", d, key)
		}
	}
	must(t, s.Log(0, nil, 0, func(e LogEntry) bool {
		if !r.Clock.Contains(e.Dot) {
			t.Fatalf("the log has %v, which the clock does not", e.Dot)
		}
		return true
	}))
}

// Damage anywhere in the log, also while a round counts on it: Open succeeds, clock, rows and log agree, and again
// after a crash right then, after writes, and after the next Open.
func TestDamageOfALogThatRoundsCountOn(t *testing.T) {
	emptied, kept := 0, 0
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 41))
		fs := vfs.NewCrashableMem()
		o := testOptions(fs, 1, EverySec)
		o.Random = rng.Uint32
		tiny(&o)
		s := mustOpen(t, o)
		must(t, s.Create(0, 1))
		wrote := map[causal.Dot]string{}
		write := func(s *Store) {
			for range 1 + rng.IntN(10) {
				key := fmt.Sprint("key", rng.IntN(1500))
				wrote[set(t, s, 0, key, strings.Repeat("v", rng.IntN(500)), 0)] = key
			}
			must(t, s.EndTick())
		}
		for range 300 + rng.IntN(400) {
			write(s)
			if rng.IntN(8) == 0 {
				_, err := s.Maintain(64)
				must(t, err)
			}
		}
		for s.round != nil && rng.IntN(200) > 0 { // often wait until the round has ended, and a little more
			_, err := s.Maintain(64)
			must(t, err)
		}
		write(s)
		must(t, s.Sync())
		write(s)
		must(t, s.Sync())
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		must(t, s.Close())
		nums, err := listSegments(crashed, "data/log")
		must(t, err)
		nums = slices.DeleteFunc(nums, func(n uint32) bool {
			info, err := crashed.Stat(s.wal.path(n))
			must(t, err)
			return n <= s.spilled || info.Size() == 0
		})
		if name := s.wal.path(nums[0]); seed%2 == 0 { // what a round would count on is near the beginning
			b := content(t, crashed, name)
			b[rng.IntN(min(len(b), 8000))] ^= 1 << rng.IntN(8)
			must(t, replaceFile(crashed, "data/log", segmentName(nums[0]), b))
		} else {
			flip(t, crashed, s.wal.path(nums[rng.IntN(len(nums))]), rng)
		}

		o.FS = crashed
		s = mustOpen(t, o)
		lost := s.Replica(0).Filling
		if lost != s.Replica(1).Filling || lost && (!s.Replica(0).Clock.IsZero() || s.Count(0, 0) != 0) {
			t.Fatalf("seed %d: %+v with %d rows", seed, s.Replica(0), s.Count(0, 0))
		}
		if lost {
			emptied++
		} else if _, aside := asideOf(t, crashed); aside {
			kept++
		}
		sound(t, s, wrote)
		again := crashed.CrashClone(vfs.CrashCloneCfg{})
		must(t, s.Close())
		for _, disk := range []*vfs.MemFS{again, crashed} {
			o.FS = disk
			for range 3 {
				s = mustOpen(t, o)
				if s.Replica(0).Filling != lost {
					t.Fatalf("seed %d: filling %v, was %v", seed, s.Replica(0).Filling, lost)
				}
				sound(t, s, wrote)
				for range 5 {
					write(s)
				}
				sound(t, s, wrote)
				must(t, closeSpilled(s))
			}
		}
	}
	t.Logf("%d emptied, %d kept", emptied, kept)
	if emptied == 0 || kept == 0 {
		t.Error("not every case was met")
	}
}

func asideOf(t *testing.T, fs *vfs.MemFS) (names []string, some bool) {
	t.Helper()
	names, err := fs.List("data/log")
	must(t, err)
	names = slices.DeleteFunc(names, func(name string) bool { return !strings.HasSuffix(name, asideSuffix) })
	slices.Sort(names)
	return names, len(names) > 0
}

// A replica whose snapshot is unreadable begins empty, to be filled; the others are whole; it stays so.
func TestADamagedClock(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0, 1))
	for i := range 100 {
		set(t, s, 0, fmt.Sprint("key", i), "v", 0)
		set(t, s, 1, fmt.Sprint("key", i), "v", 0)
	}
	must(t, closeSpilled(s))
	s = mustOpen(t, testOptions(fs, 2, EverySec))
	row := snapshotRow(0, s.replicas.of(0))
	row.value[len(row.value)-1] ^= 1
	must(t, s.db.Set(row.name, row.value, pebble.NoSync))
	must(t, s.db.Flush())
	d := set(t, s, 0, "key1", "w", 0) // and something in the log
	must(t, s.Close())

	s = mustOpen(t, testOptions(fs, 3, EverySec))
	check := func(rows int64) {
		t.Helper()
		r := s.Replica(0)
		if !r.Filling || r.Clock.Contains(d) || s.Count(0, 0) != rows || s.Logged(0) != int(rows) || s.Replica(1).Filling || s.Count(1, 0) != 100 {
			t.Fatalf("%+v with %d rows, %d entries; the other has %d", r, s.Count(0, 0), s.Logged(0), s.Count(1, 0))
		}
		n := int64(0)
		must(t, s.Log(0, nil, 0, func(LogEntry) bool { n++; return true }))
		must(t, s.Scan(0, 0, func(Row) bool { n++; return true }))
		if n != 2*rows {
			t.Fatalf("%d rows and entries", n)
		}
	}
	check(0)
	crashed := fs.CrashClone(vfs.CrashCloneCfg{}) // right then
	set(t, s, 0, "new", "v", 0)
	check(1)
	must(t, s.Close())
	s = mustOpen(t, testOptions(fs, 4, EverySec))
	check(1)
	must(t, closeSpilled(s))
	s = mustOpen(t, testOptions(fs, 5, EverySec))
	check(1)
	must(t, s.Close())
	s = mustOpen(t, testOptions(crashed, 6, EverySec))
	check(0)
	must(t, s.Close())
}

// However many clocks are lost, one line says so.
func TestLostClocksAreToldOfOnce(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0, 1, 2))
	must(t, closeSpilled(s))
	s = mustOpen(t, testOptions(fs, 2, EverySec))
	for p := range ring.Partition(3) {
		row := snapshotRow(p, s.replicas.of(p))
		row.value[len(row.value)-1] ^= 1
		must(t, s.db.Set(row.name, row.value, pebble.NoSync))
	}
	must(t, s.db.Flush())
	must(t, s.Close())
	var out strings.Builder
	o := testOptions(fs, 3, EverySec)
	o.Log = slog.New(slog.NewTextHandler(&out, nil))
	s = mustOpen(t, o)
	must(t, s.Close())
	if strings.Count(out.String(), "lost their clocks") != 1 || !strings.Contains(out.String(), "replicas=3") {
		t.Fatal(out.String())
	}
}

// A snapshot in the log makes up for an unreadable one in the sorted store.
func TestADamagedClockThatTheLogHas(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0))
	for i := range 100 {
		set(t, s, 0, fmt.Sprint("key", i), "v", 0)
	}
	must(t, closeSpilled(s))
	s = mustOpen(t, testOptions(fs, 2, EverySec))
	row := snapshotRow(0, s.replicas.of(0))
	row.value[len(row.value)-1] ^= 1
	must(t, s.db.Set(row.name, row.value, pebble.NoSync))
	must(t, s.db.Flush())
	set(t, s, 0, "before", "v", 0)
	must(t, s.Renew(0))
	set(t, s, 0, "after", "v", 0)
	clock := s.Replica(0).Clock.Clone()
	must(t, s.Close())
	for i := range 2 {
		s = mustOpen(t, testOptions(fs, uint64(3+i), EverySec))
		if r := s.Replica(0); r.Filling || !r.Clock.Equal(&clock) || s.Count(0, 0) != 102 || s.Logged(0) != 102 {
			t.Fatalf("%+v with %d rows and %d entries", r, s.Count(0, 0), s.Logged(0))
		}
		must(t, closeSpilled(s))
	}
}

// What is kept aside is bounded.
func TestWhatIsKeptAside(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	for i := range 40 {
		f, err := fs.Create(s.wal.path(uint32(i+1000))+asideSuffix, vfs.WriteCategoryUnspecified)
		must(t, err)
		must(t, f.Close())
	}
	must(t, s.boundAside())
	names, _ := asideOf(t, fs)
	if len(names) != mostAside || names[0] != segmentName(1024)+asideSuffix {
		t.Fatalf("%v", names)
	}
	must(t, s.Close())
}

// A store that was emptied because of damage is emptied once: what came since is there at the next Open. When the
// record of the emptying is damaged, it is emptied again.
func TestAnEmptiedStoreStaysAsItIs(t *testing.T) {
	rng := rand.New(rand.NewPCG(0, 41))
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, 1, EverySec)
	tiny(&o)
	s := mustOpen(t, o)
	must(t, s.Create(0))
	for range 600 {
		for range 5 {
			set(t, s, 0, fmt.Sprint("key", rng.IntN(1500)), strings.Repeat("v", rng.IntN(500)), 0)
		}
		must(t, s.EndTick())
	}
	settle(t, s, func() bool { return s.round == nil })
	set(t, s, 0, "key", "v", 0)
	must(t, s.EndTick())
	first := s.wal.live[0].num
	must(t, s.Close())
	damage := func(num uint32, at int) {
		t.Helper()
		b := content(t, fs, s.wal.path(num))
		b[at] ^= 1
		must(t, replaceFile(fs, "data/log", segmentName(num), b))
	}
	damage(first, 100)

	s = mustOpen(t, o)
	if r := s.Replica(0); !r.Filling || !r.Clock.IsZero() {
		t.Fatalf("%+v", r)
	}
	emptied := s.wal.current().num
	must(t, s.Fill(0, false))
	for i := range 10 {
		set(t, s, 0, fmt.Sprint("filled", i), "v", 0)
		must(t, s.EndTick())
		must(t, s.Sync())
	}
	must(t, s.Close())
	for range 2 {
		s = mustOpen(t, o)
		if s.Replica(0).Filling || s.Count(0, 0) != 10 || get(t, s, 0, "filled3", 0) != "v" {
			t.Fatalf("filling: %v, %d rows", s.Replica(0).Filling, s.Count(0, 0))
		}
		must(t, s.Close())
	}

	damage(emptied, tickHeader)
	s = mustOpen(t, o)
	if r := s.Replica(0); !r.Filling || !r.Clock.IsZero() || s.Count(0, 0) != 0 {
		t.Fatalf("%+v with %d rows", r, s.Count(0, 0))
	}
	must(t, s.Close())
}

// A crash anywhere in the Open that finds damage: the next one ends with what it would have ended with. The damage is where
// only segments that are then put aside prove it, and a round had begun to keep the dots of those.
func TestCrashesWhileOpenLooksAtDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 43))
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, 1, EverySec)
	tiny(&o)
	s := mustOpen(t, o)
	must(t, s.Create(0))
	wrote := map[causal.Dot]string{}
	for i := 0; len(s.wal.live) < 3; i++ {
		key := fmt.Sprint("key", i)
		wrote[set(t, s, 0, key, strings.Repeat("v", 500), 0)] = key
		must(t, s.EndTick())
		must(t, s.Sync())
	}
	end := s.wal.live[0].at
	r := s.newRound(s.wal.live[1].num)
	must(t, s.newSpiller().spill(&round{segments: r.segments, horizons: r.horizons, droppedAt: r.droppedAt}))
	damaged := fs.CrashClone(vfs.CrashCloneCfg{})
	must(t, s.Close())
	b := content(t, damaged, onlySegment)
	b[end-1] ^= 1
	must(t, replaceFile(damaged, "data/log", segmentName(1), b))

	var mu sync.Mutex
	var crashes []*vfs.MemFS
	o.FS = &hookFS{FS: damaged, hook: func() {
		mu.Lock()
		defer mu.Unlock()
		crashes = append(crashes, damaged.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100 * rng.IntN(2), RNG: rng}))
	}}
	s = mustOpen(t, o)
	clock := s.Replica(0).Clock.Clone()
	if !s.TailMayBeLost() || s.Replica(0).Filling {
		t.Fatal("no damage was found")
	}
	sound(t, s, wrote)
	mu.Lock()
	all := crashes[:len(crashes):len(crashes)]
	mu.Unlock()
	must(t, s.Close())
	for _, crashed := range all {
		o.FS = crashed
		s := mustOpen(t, o)
		if !s.TailMayBeLost() || !s.Replica(0).Clock.Equal(&clock) {
			t.Fatalf("tail lost: %v, clock %v", s.TailMayBeLost(), s.Replica(0).Clock.Entries())
		}
		sound(t, s, wrote)
		must(t, s.Close())
	}
}

// After a clean stop no record can be torn: one that fails its sum at the very end, with nothing behind it that proves
// anything, was damaged.
func TestDamageOfTheLastRecordAfterACleanStop(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, 1, Always)
	s := mustOpen(t, o)
	must(t, s.Create(0))
	for i := range 20 {
		set(t, s, 0, fmt.Sprint("key", i), "v", 0)
		must(t, s.EndTick())
	}
	end := s.wal.current().at
	must(t, s.Close())
	b := content(t, fs, onlySegment)
	b[end-1] ^= 1
	must(t, replaceFile(fs, "data/log", segmentName(1), b))
	s = mustOpen(t, o)
	if s.Count(0, 0) != 19 || !s.TailMayBeLost() {
		t.Fatalf("%d keys, tail lost: %v", s.Count(0, 0), s.TailMayBeLost())
	}
	must(t, s.Close())
}

// A torn tail is cut once: it is no damage for the Open after a clean stop.
func TestATornTailIsNotFoundAgain(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, 1, Always)
	s := mustOpen(t, o)
	must(t, s.Create(0))
	set(t, s, 0, "key", "v", 0)
	must(t, s.EndTick())
	end := s.wal.current().at
	set(t, s, 0, "torn", "v", 0)
	must(t, s.EndTick())
	o.FS = fs.CrashClone(vfs.CrashCloneCfg{})
	must(t, s.Close())
	torn := o.FS.(*vfs.MemFS)
	b := content(t, torn, onlySegment)
	b[end+tickHeader] ^= 1
	must(t, replaceFile(torn, "data/log", segmentName(1), b))
	for range 3 {
		s = mustOpen(t, o)
		if _, aside := asideOf(t, torn); aside || s.TailMayBeLost() || s.Count(0, 0) != 1 {
			t.Fatalf("kept aside: %v, tail lost: %v, %d keys", aside, s.TailMayBeLost(), s.Count(0, 0))
		}
		must(t, s.Close())
	}
}

// Damage that nothing proves, because nothing was written behind an fsync of the round's own: the log is cut, and the
// dots that the round had kept by then are no entries any more.
func TestDamageThatOnlyARoundKnows(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, 1, EverySec)
	tiny(&o)
	s := mustOpen(t, o)
	must(t, s.Create(0))
	wrote := map[causal.Dot]string{}
	for i := 0; len(s.wal.live) < 3; i++ {
		key := fmt.Sprint("key", i)
		wrote[set(t, s, 0, key, strings.Repeat("v", 500), 0)] = key
		must(t, s.EndTick())
	}
	r := s.newRound(s.wal.live[1].num)
	must(t, s.newSpiller().spill(&round{segments: r.segments, horizons: r.horizons, droppedAt: r.droppedAt}))
	damaged := fs.CrashClone(vfs.CrashCloneCfg{})
	must(t, s.Close())
	b := content(t, damaged, onlySegment)
	b[3000] ^= 1
	must(t, replaceFile(damaged, "data/log", segmentName(1), b))
	o.FS = damaged
	s = mustOpen(t, o)
	if n := s.Count(0, 0); !s.TailMayBeLost() || n == 0 || n >= int64(len(wrote)) {
		t.Fatalf("tail lost: %v, %d rows", s.TailMayBeLost(), n)
	}
	sound(t, s, wrote)
	must(t, s.Close())
}
