package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// settle gives background work turns until a round has ended, or none is under way.
func settle(t *testing.T, s *Store, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); runtime.Gosched() {
		_, err := s.Maintain(1000)
		must(t, err)
		must(t, s.EndTick())
		if done() {
			return
		}
	}
	t.Fatalf("background work does not come to an end: %+v", s.Stats())
}

// Rows, log, counts and clock are right while most rows are out of memory and the log has gone round many times.
func TestDataLargerThanMemory(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, 1, EverySec)
	o.LogBytes, o.MemoryBytes = 1<<20, 1<<20
	s := mustOpen(t, o)
	must(t, s.Create(0))
	rng := rand.New(rand.NewPCG(1, 5))
	m := &model{states: []state{{newest: map[string]causal.Dot{}, logged: map[causal.Dot]bool{}}}}
	const keys = 6000
	want := map[string]string{}
	for range 1500 {
		for range 20 {
			k := fmt.Sprint("key", rng.IntN(keys))
			v := strings.Repeat(k, 40+rng.IntN(20))
			d := set(t, s, 0, k, v, 0)
			want[k] = v
			m.last().write(k, d) // in place: copies of all keys are dear
		}
		must(t, s.EndTick())
		k := fmt.Sprint("key", rng.IntN(keys))
		if got := get(t, s, 0, k, 0); got != want[k] {
			t.Fatalf("%s reads %.20q, want %.20q", k, got, want[k])
		}
	}
	settle(t, s, func() bool { return s.round == nil })
	st := s.Stats()
	if st.Evicted == 0 || st.Spills < 5 || st.LogBytes > 2<<20 || st.MemoryBytes > 3<<20 {
		t.Errorf("%+v", st)
	}
	m.agrees(t, s, m.last())
	must(t, s.Close())
	s = mustOpen(t, o)
	m.agrees(t, s, m.last())
	if s.complete {
		t.Error("everything is in memory")
	}
	must(t, s.Close())
}

// What is written again before its turn comes never goes to the sorted store, however often the log goes round.
func TestWhatIsWrittenOftenStaysInTheLog(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, 1, EverySec)
	o.LogBytes = 1 << 20
	s := mustOpen(t, o)
	must(t, s.Create(0))
	const keys = 100 // all of them are written within a quarter of the log
	want := map[string]string{}
	for i := range 20_000 {
		k := fmt.Sprint("key", i%keys)
		want[k] = strings.Repeat("v", 900) + fmt.Sprint(i)
		set(t, s, 0, k, want[k], 0)
		must(t, s.EndTick())
	}
	settle(t, s, func() bool { return s.round == nil })
	if st := s.Stats(); st.Spills < 10 || st.SpilledRows > 2*keys || st.LogBytes > 2<<20 {
		t.Errorf("%+v", st)
	}
	for range 2 {
		for k, v := range want {
			if got := get(t, s, 0, k, 0); got != v {
				t.Fatalf("%s reads %.20q", k, got)
			}
		}
		must(t, s.Close())
		s = mustOpen(t, o)
	}
	must(t, s.Close())
}

// A flush of a partition that is mostly out of memory is swept too.
func TestAFlushOfRowsOutOfMemory(t *testing.T) {
	o := testOptions(vfs.NewMem(), 1, EverySec)
	o.LogBytes, o.MemoryBytes = 512<<10, 256<<10
	s := mustOpen(t, o)
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	for i := range 3000 {
		set(t, s, 0, fmt.Sprint("key", i), strings.Repeat("v", 500), 0)
		if i%10 == 0 {
			must(t, s.EndTick())
		}
	}
	must(t, s.EndTick())
	dropped := s.Replica(0).Clock.Clone()
	set(t, s, 0, "kept", "v", 0)
	s.Flush(0, s.Replica(0).Next(), &dropped)
	for more := true; more; {
		var err error
		more, err = s.Maintain(100)
		must(t, err)
		must(t, s.EndTick())
	}
	if st := s.Stats(); st.Rows != 1 || s.Count(0, 0) != 1 || get(t, s, 0, "key5", 0) != "" || get(t, s, 0, "kept", 0) != "v" {
		t.Fatalf("%+v", st)
	}
	n := 0
	must(t, s.Scan(0, 0, func(Row) bool { n++; return true }))
	if n != 1 {
		t.Fatalf("%d rows", n)
	}
}

// A full disk: writes are refused before anything is done, reads go on, nothing is lost, and it passes.
func TestAFullDiskRefusesWritesAndRecovers(t *testing.T) {
	var full atomic.Bool
	mem := vfs.NewMem()
	disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && (op.Kind == errorfs.OpCreate || op.Kind == errorfs.OpFileWrite || op.Kind == errorfs.OpFilePreallocate) {
			return syscall.ENOSPC
		}
		return nil
	}))
	o := testOptions(disk, 1, EverySec)
	o.LogBytes, o.MemoryBytes = 512<<10, 4<<20
	s := mustOpen(t, o)
	must(t, s.Create(0))
	value := strings.Repeat("v", 1000)
	write := func(i int) bool {
		if err := s.Full(); err != nil {
			if !errors.Is(err, ErrFull) {
				t.Fatal(err)
			}
			return false
		}
		set(t, s, 0, fmt.Sprint("key", i), value, 0)
		if err := s.EndTick(); err != nil && !errors.Is(err, ErrFull) { // full since it was asked: the tick is kept
			t.Fatal(err)
		}
		return true
	}
	full.Store(true)
	n := 0
	for write(n) {
		if n++; n > 5000 {
			t.Fatal("a full disk takes everything")
		}
	}
	if n == 0 {
		t.Error("room in the segment was not used")
	}
	for i := range n {
		if get(t, s, 0, fmt.Sprint("key", i), 0) != value {
			t.Fatalf("key%d cannot be read", i)
		}
	}
	full.Store(false)
	deadline := time.Now().Add(20 * time.Second)
	for !write(n) {
		if time.Now().After(deadline) {
			t.Fatalf("writes are still refused: %v", s.Full())
		}
		_, err := s.Maintain(100)
		must(t, err)
		runtime.Gosched()
	}
	must(t, s.Close())
	s = mustOpen(t, o)
	defer func() { must(t, s.Close()) }()
	if got := s.Count(0, 0); got != int64(n+1) {
		t.Fatalf("%d keys of %d", got, n+1)
	}
}

// littleLeft is a disk that says how much room it has.
type littleLeft struct {
	vfs.FS
	left atomic.Uint64
}

func (x *littleLeft) GetDiskUsage(string) (vfs.DiskUsage, error) {
	return vfs.DiskUsage{AvailBytes: x.left.Load(), TotalBytes: 1 << 30, UsedBytes: 1<<30 - x.left.Load()}, nil
}

// A node that is started while its disk is full reads, refuses writes at once, as often as it is started, and takes them
// again when there is room.
func TestAStartOnAFullDisk(t *testing.T) {
	disk := &littleLeft{FS: vfs.NewMem()}
	disk.left.Store(1 << 30)
	o := testOptions(disk, 1, EverySec)
	o.LogBytes, o.MemoryBytes = 512<<10, 4<<20
	s := mustOpen(t, o)
	must(t, s.Create(0))
	set(t, s, 0, "k", "v", 0)
	must(t, s.EndTick())
	must(t, s.Close())
	disk.left.Store(uint64(o.ReserveBytes) + 100)
	await := func(full bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); errors.Is(s.Full(), ErrFull) != full; runtime.Gosched() {
			if time.Now().After(deadline) {
				t.Fatalf("full: %v", s.Full())
			}
		}
	}
	for i := range 5 {
		s = mustOpen(t, o)
		if i > 0 { // the first has the segment that was made ready and never used
			await(true)
		}
		if get(t, s, 0, "k", 0) != "v" {
			t.Fatal("cannot be read")
		}
		must(t, s.Close())
	}
	s = mustOpen(t, o)
	await(true)
	disk.left.Store(1 << 30)
	await(false)
	set(t, s, 0, "k", "w", 0)
	must(t, s.EndTick())
	must(t, s.Close())
	s = mustOpen(t, o)
	defer func() { must(t, s.Close()) }()
	if get(t, s, 0, "k", 0) != "w" {
		t.Fatal("lost")
	}
}

// A tick that met a full disk in spite of Full stays, and a later EndTick writes it.
func TestATickThatMetAFullDiskIsTriedAgain(t *testing.T) {
	var full atomic.Bool
	mem := vfs.NewMem()
	disk := errorfs.Wrap(mem, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWriteAt {
			return syscall.ENOSPC
		}
		return nil
	}))
	s := mustOpen(t, testOptions(disk, 1, EverySec))
	must(t, s.Create(0))
	full.Store(true)
	set(t, s, 0, "k", "v", 0)
	if err := s.EndTick(); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	full.Store(false)
	must(t, s.EndTick())
	must(t, s.Close())
	s = mustOpen(t, testOptions(mem, 2, EverySec))
	defer func() { must(t, s.Close()) }()
	if get(t, s, 0, "k", 0) != "v" {
		t.Fatal("lost")
	}
}

// closeSpilled closes the store with everything in the sorted store and nothing left to the log.
func closeSpilled(s *Store) error {
	err := s.EndTick()
	s.spiller.close()
	err = errors.Join(err, s.Sync())
	s.round, s.handed = nil, false
	for _, r := range s.replicas.all() {
		r.changed = true
	}
	s.noteEnd(s.segment)
	r := s.newRound(s.segment)
	s.gather(r, 1<<62)
	w := s.newSpiller()
	w.hurry.Store(true)
	err = errors.Join(err, w.spill(r), s.failure())
	s.wal.close()
	return errors.Join(err, s.releaseRun(err == nil))
}

// A flush counts what it leaves also when the log takes nothing at the moment.
func TestCountsOfAFlushThatMeetsAFullDisk(t *testing.T) {
	var full atomic.Bool
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if full.Load() && op.Kind == errorfs.OpFileWriteAt {
			return syscall.ENOSPC
		}
		return nil
	}))
	s := mustOpen(t, testOptions(disk, 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	set(t, s, 0, "k", "v", 0)
	must(t, s.EndTick())
	dropped := s.Replica(0).Clock.Clone()
	set(t, s, 0, "kept", "v", 0)
	full.Store(true)
	s.Flush(0, s.Replica(0).Next(), &dropped)
	if err := s.EndTick(); !errors.Is(err, ErrFull) {
		t.Fatal(err)
	}
	full.Store(false)
	must(t, s.EndTick())
	if s.Count(0, 0) != 1 {
		t.Fatalf("%d keys", s.Count(0, 0))
	}
	checkCounts(t, s, 0, 1)
}
