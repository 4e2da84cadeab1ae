package engine

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

func valueOf(i int) string { return strings.Repeat(fmt.Sprint("value", i, "-"), 1+i%20) }

// filled is a store of 2000 keys, closed.
func filled(t *testing.T) *vfs.MemFS {
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0))
	for i := range 2000 {
		set(t, s, 0, fmt.Sprint("key", i), valueOf(i), 0)
	}
	must(t, closeSpilled(s))
	return fs
}

// flip flips a bit somewhere in a file.
func flip(t *testing.T, fs *vfs.MemFS, name string, rng *rand.Rand) {
	t.Helper()
	info, err := fs.Stat(name)
	must(t, err)
	flipBit(t, fs, name, rng.Int64N(info.Size()), rng)
}

// flipBit flips a bit of a byte, durably.
func flipBit(t testing.TB, fs *vfs.MemFS, name string, at int64, rng *rand.Rand) {
	t.Helper()
	f, err := fs.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	must(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	must(t, err)
	b[0] ^= 1 << rng.IntN(8)
	_, err = f.WriteAt(b[:], at)
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
}

// One flipped bit in a table: each key reads as it was written or as unreadable, and the process lives. When the bit
// is in what Open needs, Open says so.
func TestFlippedBitsAreNeverData(t *testing.T) {
	clean := filled(t)
	rng := rand.New(rand.NewPCG(3, 3))
	found, refused := 0, 0
	for range 60 {
		fs := clean.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
		names, err := fs.List("data/rows")
		must(t, err)
		for _, name := range names {
			if path.Ext(name) == ".sst" {
				flip(t, fs, "data/rows/"+name, rng)
			}
		}
		s, err := Open(testOptions(fs, 2, EverySec))
		if err != nil {
			refused++
			continue
		}
		damaged := 0
		for i := range 2000 {
			key := fmt.Sprint("key", i)
			row, err := s.Row(0, slotOf(key), []byte(key))
			if errors.Is(err, ErrUnreadable) {
				damaged++
			} else if must(t, err); row.Shown(0) == nil || string(row.Shown(0).Payload) != valueOf(i) {
				t.Fatalf("%s reads %+v", key, row)
			}
		}
		if damaged > 0 {
			found++
			if s.Stats().Unreadable == 0 {
				t.Error("damage was met and not counted")
			}
		}
		must(t, s.Close())
	}
	t.Logf("damaged rows in %d stores, %d stores refused", found, refused)
	if found == 0 {
		t.Error("no flip hit a row")
	}
}

func TestARowUnderAnotherKeyIsUnreadable(t *testing.T) {
	fs := filled(t)
	s := mustOpen(t, testOptions(fs, 2, EverySec))
	a, b := appendRow(nil, 0, slotOf("key1"), []byte("key1")), appendRow(nil, 0, slotOf("key2"), []byte("key2"))
	v, closer, err := s.db.Get(a)
	must(t, err)
	must(t, s.db.Set(b, v, pebble.NoSync))
	must(t, closer.Close())
	must(t, s.db.Flush())
	must(t, closeSpilled(s))
	s = mustOpen(t, testOptions(fs, 3, EverySec)) // this one was in memory
	defer func() { must(t, s.Close()) }()
	if _, err := s.Row(0, slotOf("key2"), []byte("key2")); !errors.Is(err, ErrUnreadable) {
		t.Fatalf("a row under another key reads with %v", err)
	}
	bad := 0
	must(t, s.ScanSlot(0, slotOf("key2"), func(r Row) bool {
		if r.Err != nil {
			bad++
		}
		return true
	}))
	if bad != 1 {
		t.Errorf("the scan found %d unreadable rows", bad)
	}
	if _, err := s.Row(0, slotOf("key1"), []byte("key1")); err != nil {
		t.Error(err)
	}
	set := causal.Container{}.Add(causal.Version{Dot: s.Replica(0).Next(), Kind: causal.KindString, Payload: []byte("repaired")})
	s.Put(0, slotOf("key2"), []byte("key2"), set, nil)
	if get(t, s, 0, "key2", 0) != "repaired" {
		t.Error("an unreadable row cannot be replaced")
	}
}

func TestAFailedFsyncIsFatal(t *testing.T) {
	for _, durability := range []Durability{EverySec, Always} {
		var broken atomic.Bool
		disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
			isSync := op.Kind == errorfs.OpFileSync || op.Kind == errorfs.OpFileSyncData
			if isSync && broken.Load() && strings.HasSuffix(op.Path, ".log") {
				return errors.New("input/output error")
			}
			return nil
		}))
		var fatal []error
		o := testOptions(disk, 1, durability)
		o.OnFatal = func(err error) { fatal = append(fatal, err) }
		s := mustOpen(t, o)
		must(t, s.Create(0))
		set(t, s, 0, "k", "v", 0)
		broken.Store(true)
		err := s.EndTick()
		if durability != Always {
			must(t, err)
			err = s.Sync()
		}
		if err == nil || len(fatal) != 1 {
			t.Fatalf("%v: error %v, fatal %v", durability, err, fatal)
		}
		broken.Store(false)
		set(t, s, 0, "k", "w", 0)
		if s.EndTick() == nil || s.Sync() == nil || s.SetMeta("a", nil) == nil || len(fatal) != 1 {
			t.Errorf("%v: the store goes on after a failed fsync", durability)
		}
		// It is left open: a process whose disk failed does not close, it stops.
	}
}

// A damaged run file is the worst case, not an error: the tail may be lost, the rows are there.
func TestADamagedRunFile(t *testing.T) {
	fs := filled(t)
	flip(t, fs, "data/run", rand.New(rand.NewPCG(1, 1)))
	s := mustOpen(t, testOptions(fs, 2, Always))
	if !s.TailMayBeLost() || get(t, s, 0, "key7", 0) != valueOf(7) {
		t.Fatal("worst case not taken")
	}
	must(t, s.Close())
	s = mustOpen(t, testOptions(fs, 3, Always))
	if !s.TailMayBeLost() {
		t.Fatal("a tail that was not restored is forgotten")
	}
	must(t, s.TailRestored())
	must(t, s.Close())
	s = mustOpen(t, testOptions(fs, 4, Always))
	defer func() { must(t, s.Close()) }()
	if s.TailMayBeLost() {
		t.Fatal("a restored tail is still lost")
	}
}

func TestRunsFollowEachOther(t *testing.T) {
	for _, c := range []struct {
		last     run
		boot     string
		deferred bool
		lost     bool
	}{
		{run{clean: true, deferred: true, boot: "a"}, "b", true, false},
		{run{deferred: true, boot: "a"}, "a", true, false},
		{run{deferred: true, boot: "a"}, "b", true, true},
		{run{deferred: true, boot: ""}, "", true, true},
		{run{deferred: false, boot: "a"}, "b", true, false},
		{run{clean: true, tailLost: true, boot: "a"}, "a", false, true},
	} {
		if got := c.last.next(c.boot, c.deferred); got.tailLost != c.lost {
			t.Errorf("%+v on boot %q: %+v", c.last, c.boot, got)
		}
		back, err := decodeRun(c.last.append(nil))
		if must(t, err); back != c.last {
			t.Errorf("%+v decoded as %+v", c.last, back)
		}
	}
	// A crash while Open still replays an unsynced log leaves the risk to the next run.
	if during := (run{deferred: true, boot: "a"}).next("a", false); !during.next("b", false).tailLost {
		t.Error("the risk was forgotten during Open")
	}
}

func TestInsideBubbles(t *testing.T) {
	for range 3 {
		synctest.Test(t, func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			o := testOptions(fs, 1, EverySec)
			o.Now = nil
			s := mustOpen(t, o)
			must(t, s.Create(0))
			stop, stopped := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(stopped)
				for {
					select {
					case <-stop:
						return
					case <-time.After(time.Second):
						if err := s.Sync(); err != nil {
							t.Error(err)
						}
						_ = s.Stats()
					}
				}
			}()
			for i := range 500 {
				set(t, s, 0, fmt.Sprint("key", i%50), strings.Repeat("v", 10_000), 0)
				must(t, s.EndTick())
				time.Sleep(100 * time.Millisecond)
			}
			close(stop)
			<-stopped
			must(t, s.Close())
			s = mustOpen(t, o)
			if s.Count(0, 0) != 50 {
				t.Error("rows missing")
			}
			must(t, s.Close())
		})
	}
}

var _ io.Closer = (*Store)(nil)

// Behind a failed fsync none succeeds, also for who waited for it meanwhile: nothing new is durable.
func TestNoFsyncSucceedsBehindAFailedOne(t *testing.T) {
	var broken atomic.Bool
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if op.Kind == errorfs.OpFileSyncData && broken.Load() {
			return errors.New("input/output error")
		}
		return nil
	}))
	o := testOptions(disk, 1, EverySec)
	o.OnFatal = func(error) {}
	s := mustOpen(t, o)
	must(t, s.Create(0))
	d := set(t, s, 0, "k", "v", 0)
	must(t, s.EndTick())
	broken.Store(true)
	if s.Sync() == nil {
		t.Fatal("no error")
	}
	broken.Store(false)
	if err := s.wal.sync(); err == nil || s.Durable(0).Contains(d) { // as a round does
		t.Fatalf("%v, durable: %v", err, s.Durable(0).Contains(d))
	}
}
