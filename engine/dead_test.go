package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// deadRound is a round of Dead: how often each key was shown, and in how many calls.
func deadRound(t *testing.T, s *Store, expired int64, limit int) (keys map[string]int, calls int) {
	t.Helper()
	keys = map[string]int{}
	for more := true; more; calls++ {
		shown := 0
		more = s.Dead(0, expired, limit, func(slot ring.Slot, key []byte, row causal.Container) {
			shown++
			keys[string(key)]++
			if now, err := s.Row(0, slot, key); err != nil || !causal.Same(now, row) || due(row) > expired {
				t.Fatalf("%q is shown as %+v and is %+v (%v)", key, row, now, err)
			}
		})
		if shown > limit {
			t.Fatalf("%d rows in a call of %d", shown, limit)
		}
		if calls > 100_000 {
			t.Fatal("a round without end")
		}
	}
	return keys, calls
}

// checkDead compares a round with a reading of all rows. What a flush left that was not swept yet need not be shown.
func checkDead(t *testing.T, s *Store, expired int64, limit int) {
	t.Helper()
	deadRound(t, s, expired, limit) // to the end of one that is under way
	sweeping := len(s.sweeps) > 0
	want := map[string]bool{}
	must(t, s.Scan(0, 0, func(row Row) bool {
		if due(row.Container) <= expired {
			want[string(row.Key)] = true
		}
		return true
	}))
	keys, _ := deadRound(t, s, expired, limit)
	for key, times := range keys {
		if times > 1 {
			t.Fatalf("%q is shown %d times in a round", key, times)
		}
	}
	for key := range want {
		if keys[key] == 0 && !sweeping {
			t.Fatalf("%q is dead and not shown", key)
		}
	}
	for key := range keys {
		if !want[key] {
			t.Fatalf("%q is shown and not dead", key)
		}
	}
}

// After any history, with few or many candidates in memory, after stops and crashes, a round shows what is dead.
func TestDeadRowsAreThoseOfAReading(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 31))
		fs := vfs.NewCrashableMem()
		o := testOptions(fs, 1, EverySec)
		o.Random = rng.Uint32
		if seed%2 == 0 {
			tiny(&o)
		}
		if seed%3 == 0 {
			o.scanAtMost = -1 // counters are taken from the file
		}
		s := mustOpen(t, o)
		must(t, s.Create(0))
		now := int64(1000)
		for range 10 {
			for range rng.IntN(150) {
				step(t, s, rng, now)
				now += int64(rng.IntN(3))
				switch rng.IntN(20) {
				case 0, 1:
					must(t, s.EndTick())
					s.Recycle()
				case 2:
					_, err := s.Maintain(1 + rng.IntN(5))
					must(t, err)
				case 3:
					checkDead(t, s, now-int64(rng.IntN(50)), 1+rng.IntN(20))
				case 4:
					reapOne(t, s, now)
				case 5: // calls with writes between
					s.Dead(0, now, 1+rng.IntN(3), func(ring.Slot, []byte, causal.Container) {})
				case 6: // so that the log goes round
					set(t, s, 0, fmt.Sprint("large", rng.IntN(3)), string(make([]byte, 30_000)), 0)
				}
			}
			checkDead(t, s, now, 7)
			switch rng.IntN(3) {
			case 0:
				crashed, _ := crashClone(fs, rng)
				must(t, s.Close())
				fs, o.FS = crashed, crashed
			case 1:
				must(t, closeSpilled(s))
			default:
				must(t, s.Close())
			}
			s = mustOpen(t, o)
			checkDead(t, s, now, 7)
		}
		for more := true; more; {
			var err error
			more, err = s.Maintain(100)
			must(t, err)
		}
		checkDead(t, s, now+1000, 50)
		must(t, s.Close())
	}
}

// reapOne reaps the first row that is shown.
func reapOne(t *testing.T, s *Store, now int64) {
	t.Helper()
	reap := func() {}
	s.Dead(0, now, 3, func(slot ring.Slot, key []byte, row causal.Container) {
		key = slices.Clone(key)
		reap = func() { s.Reap(0, slot, key, causal.Container{}, row.Vector) }
	})
	reap()
}

func del(t *testing.T, s *Store, key string) {
	t.Helper()
	row, err := s.Row(0, slotOf(key), []byte(key))
	must(t, err)
	d := s.Replica(0).Next()
	s.Put(0, slotOf(key), []byte(key), row.Discard(row.Context()).Add(causal.Version{Dot: d, Kind: causal.KindTombstone}), []causal.Dot{d})
}

// Many live keys cost nothing: nothing is looked at, nothing is kept, no walk begins. More dead ones than candidates
// are kept are shown all the same, each once a round, in slices.
func TestWhatDeadCosts(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, 1, EverySec)
	o.scanAtMost = -1
	s := mustOpen(t, o)
	must(t, s.Create(0))
	s.opt.MemoryBytes = 1 << 20 // bounds candidates, and 64 KiB of them are few here
	const n = 6000
	for i := range n {
		set(t, s, 0, fmt.Sprint("key", i), "v", 0)
		set(t, s, 0, fmt.Sprint("later", i), "v", 5000+int64(i))
	}
	live := len(s.replicas.of(0).dead.rows)
	if keys, calls := deadRound(t, s, 4000, 100); len(keys) > 0 || calls != 1 || s.deadWalk.walk != nil {
		t.Fatalf("%d rows in %d calls", len(keys), calls)
	}
	if live > 3000 {
		t.Fatalf("%d candidates are kept", live)
	}
	for i := range 3000 {
		del(t, s, fmt.Sprint("key", i))
	}
	want := map[string]int{}
	for i := range 3000 {
		want[fmt.Sprint("key", i)] = 1
	}
	s.EndTick()
	for range 2 { // again, because nothing was reaped
		if keys, calls := deadRound(t, s, 4000, 100); !maps.Equal(keys, want) || calls < 30 {
			t.Fatalf("%d rows in %d calls", len(keys), calls)
		}
	}
	for i := range n {
		want[fmt.Sprint("later", i)] = 1
	}
	if keys, _ := deadRound(t, s, 20_000, 100); !maps.Equal(keys, want) {
		t.Fatalf("%d rows after all have expired", len(keys))
	}
	if b := s.replicas.of(0).dead.bytes; b > 2*s.deadShare() {
		t.Fatalf("%d bytes of candidates", b)
	}
	must(t, s.Close())
	s = mustOpen(t, o)
	defer func() { must(t, s.Close()) }()
	if len(s.replicas.of(0).dead.rows) > 0 {
		t.Fatal("Open read the rows")
	}
	if keys, calls := deadRound(t, s, 20_000, 100); !maps.Equal(keys, want) || calls < 90 {
		t.Fatalf("%d rows in %d calls after a reopen", len(keys), calls)
	}
}

// An expiry that moves is followed, and a key that goes and comes back a thousand times is one candidate in the end.
func TestCandidatesFollowTheirRows(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	for i := range 1000 {
		set(t, s, 0, "session", "v", 1000+int64(i))
	}
	if n := len(s.replicas.of(0).dead.rows); n != 1 {
		t.Fatalf("%d candidates for one key", n)
	}
	if keys, _ := deadRound(t, s, 1500, 10); len(keys) > 0 {
		t.Fatalf("%v is shown before it expires", keys)
	}
	if keys, _ := deadRound(t, s, 1999, 10); len(keys) != 1 {
		t.Fatal("not shown when it expires")
	}
	set(t, s, 0, "session", "v", 5000)
	set(t, s, 0, "session", "v", 3000)
	if keys, _ := deadRound(t, s, 3000, 10); len(keys) != 1 {
		t.Fatal("not shown when it expires earlier than it did")
	}
	for range 1000 {
		del(t, s, "back")
		set(t, s, 0, "back", "v", 0)
	}
	if keys, _ := deadRound(t, s, 1000, 10); len(keys) > 0 {
		t.Fatalf("%v", keys)
	}
	if n := len(s.replicas.of(0).dead.rows); n != 1 {
		t.Fatalf("%d candidates", n)
	}
}

// A flush dropped a row's tombstone, a round saw that nothing of the row is due, and before the sweep comes the key is deleted again.
func TestDeletedAgainBeforeTheSweep(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	r := s.Replica(0)
	old := r.Next()
	s.Put(0, slotOf("key"), []byte("key"), causal.Container{}.Add(causal.Version{Dot: old, Kind: causal.KindTombstone}), []causal.Dot{old})
	kept := r.Next()
	row, err := s.Row(0, slotOf("key"), []byte("key"))
	must(t, err)
	s.Put(0, slotOf("key"), []byte("key"), row.Add(causal.Version{Dot: kept, Kind: causal.KindString, Payload: []byte("v")}), []causal.Dot{kept})
	var dropped causal.Clock
	dropped.Add(old)
	s.Flush(0, r.Next(), &dropped)
	if keys, _ := deadRound(t, s, 100, 10); len(keys) > 0 {
		t.Fatalf("%v is shown for what a flush dropped", keys)
	}
	del(t, s, "key")
	if keys, _ := deadRound(t, s, 100, 10); keys["key"] != 1 {
		t.Fatal("a tombstone is not shown")
	}
}

// Within one round a row is shown for a value that has expired and is deleted; the next one, by a clock that was set back,
// shows it for the deletion.
func TestDeletedWhileARoundGoesOn(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	set(t, s, 0, "key", "v", 1000)
	set(t, s, 0, "other", "v", 1001)
	nothing := func(ring.Slot, []byte, causal.Container) {}
	if !s.Dead(0, 2000, 1, nothing) {
		t.Fatal("the round ended with its first row")
	}
	del(t, s, "key")
	for s.Dead(0, 500, 1, nothing) {
	}
	if keys, _ := deadRound(t, s, 500, 10); keys["key"] != 1 {
		t.Fatal("a tombstone is not shown")
	}
}

// A walk for one partition does not hold up others for ever.
func TestAnAbandonedWalk(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0, 1))
	for i := range 20 {
		set(t, s, 1, fmt.Sprint("key", i), "v", 0)
	}
	del(t, s, "gone")
	for _, p := range s.Partitions() {
		s.replicas.of(p).dead.forget()
	}
	nothing := func(ring.Slot, []byte, causal.Container) {}
	if !s.Dead(1, 0, 1, nothing) {
		t.Fatal("a walk of one row at a time is done at once")
	}
	shown := 0
	for i := 0; shown == 0; i++ {
		s.Dead(0, 0, 10, func(ring.Slot, []byte, causal.Container) { shown++ })
		if i > 3*deadPatience {
			t.Fatal("never shown")
		}
	}
	for i := 0; s.Dead(1, 0, 10, nothing) || s.deadWalk.walk != nil; i++ {
		if i > 100 {
			t.Fatal("a round without end")
		}
	}
}
