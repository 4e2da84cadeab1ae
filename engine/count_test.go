package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// slowCounts answers by reading every row.
func slowCounts(t *testing.T, s *Store, p ring.Partition, now int64) (live, rows, tombstones, siblings int64) {
	must(t, s.Scan(p, 0, func(r Row) bool {
		must(t, r.Err)
		rows++
		if r.Container.Shown(now) != nil {
			live++
		}
		sum := summarize(r.Container)
		if sum.values > 1 {
			siblings++
		}
		if sum.values == 0 && sum.tombstones > 0 {
			tombstones++
		}
		return true
	}))
	return
}

func checkCounts(t *testing.T, s *Store, p ring.Partition, now int64) {
	t.Helper()
	live, rows, tombstones, siblings := slowCounts(t, s, p, now)
	st := s.Stats()
	if got := s.Count(p, now); got != live || st.Rows != rows || st.Tombstones != tombstones || st.SiblingsKeys != siblings {
		t.Fatalf("at %d: count %d stats %+v, the rows say live %d rows %d tombstones %d siblings %d", now, got, st, live, rows, tombstones, siblings)
	}
}

// step does something random to a random key, as writes, deletes, merges from others and flushes would.
func step(t *testing.T, s *Store, rng *rand.Rand, now int64) {
	key := fmt.Sprint("key", rng.IntN(20))
	slot := slotOf(key)
	r := s.Replica(0)
	row, err := s.Row(0, slot, []byte(key))
	must(t, err)
	v := causal.Version{Kind: causal.KindString, HLC: uint64(now) << 16, Payload: []byte("v")}
	switch rng.IntN(10) {
	case 0, 1, 2:
		v.Expiry = now + int64(rng.IntN(50))
	case 3, 4:
		v.Kind, v.Payload = causal.KindTombstone, nil
	}
	switch rng.IntN(12) {
	case 0: // a concurrent write of another owner
		v.Dot = causal.Dot{Actor: causal.Actor(2 + rng.IntN(3)), Seq: uint64(1 + rng.IntN(100))}
		in := r.Admit(row, causal.Container{}.Add(v))
		s.Put(0, slot, []byte(key), in.Row, in.Fresh)
	case 1:
		if rng.IntN(8) > 0 {
			return
		}
		dropped := r.Clock.Clone()
		if rng.IntN(2) == 0 { // the flush knew less than this replica
			known := causal.Clock{}
			for _, e := range dropped.Entries() {
				for seq := uint64(1); seq <= e.Base/2; seq++ {
					known.Add(causal.Dot{Actor: e.Actor, Seq: seq})
				}
			}
			dropped = known
		}
		s.Flush(0, r.Next(), &dropped)
	default:
		v.Dot = r.Next()
		s.Put(0, slot, []byte(key), row.Discard(row.Context()).Add(v), []causal.Dot{v.Dot})
	}
}

func TestCountsAreExact(t *testing.T) {
	for seed := range uint64(8) {
		rng := rand.New(rand.NewPCG(seed, 9))
		fs := vfs.NewMem()
		s := mustOpen(t, testOptions(fs, seed*100, EverySec))
		must(t, s.Create(0))
		now := int64(1000)
		for i := range 600 {
			step(t, s, rng, now)
			now += int64(rng.IntN(3))
			switch rng.IntN(20) {
			case 0:
				must(t, s.EndTick())
			case 1:
				_, err := s.Maintain(1 + rng.IntN(5))
				must(t, err)
			case 2:
				checkCounts(t, s, 0, now)
			}
			if i%200 == 199 {
				must(t, s.Close())
				s = mustOpen(t, testOptions(fs, seed*100+uint64(i), EverySec))
				checkCounts(t, s, 0, now)
			}
		}
		checkCounts(t, s, 0, now+100)
		must(t, s.Close())
	}
}

func TestExpiredKeysLeaveTheCountByThemselves(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	for i := range 100 {
		set(t, s, 0, fmt.Sprint("key", i), "v", 1000+int64(i/10))
	}
	set(t, s, 0, "stays", "v", 0)
	for _, c := range []struct{ now, want int64 }{{0, 101}, {999, 101}, {1000, 91}, {1004, 51}, {1009, 1}, {5000, 1}} {
		if got := s.Count(0, c.now); got != c.want {
			t.Errorf("at %d: %d keys, want %d", c.now, got, c.want)
		}
	}
	set(t, s, 0, "key3", "again", 0)
	if got := s.Count(0, 5000); got != 2 {
		t.Errorf("after an expired key was set again: %d", got)
	}
}

func TestMovingExpiriesDoNotPileUp(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	for i := range 5000 {
		set(t, s, 0, "key", "v", 1_000_000+int64(i))
	}
	if c := &s.replicas.of(0).counts; len(c.times) > 200 || len(c.at) != 1 {
		t.Errorf("%d times for %d keys", len(c.times), len(c.at))
	}
}

func TestFlushCountsAtOnceAndMaintainRemovesTheBytes(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0))
	for i := range 100 {
		set(t, s, 0, fmt.Sprint("key", i), "v", 0)
	}
	dropped := s.Replica(0).Clock.Clone()
	late := set(t, s, 0, "late", "kept", 0)
	s.Flush(0, s.Replica(0).Next(), &dropped)
	if n := s.Count(0, 0); n != 1 {
		t.Fatalf("count after the flush %d", n)
	}
	if get(t, s, 0, "key7", 0) != "" || get(t, s, 0, "late", 0) != "kept" {
		t.Fatal("the flush dropped the wrong versions")
	}
	must(t, s.EndTick())
	must(t, s.Close())

	s = mustOpen(t, testOptions(fs, 2, EverySec)) // the removal goes on after a restart
	defer func() { must(t, s.Close()) }()
	if n := s.Count(0, 0); n != 1 || s.Stats().Rows != 101 {
		t.Fatalf("after reopen: count %d, %+v", n, s.Stats())
	}
	slices := 0
	for more := true; more; slices++ {
		var err error
		more, err = s.Maintain(30)
		must(t, err)
		must(t, s.EndTick())
	}
	if slices < 4 || s.Stats().Rows != 1 {
		t.Fatalf("%d slices left %+v", slices, s.Stats())
	}
	if get(t, s, 0, "key7", 0) != "" || get(t, s, 0, "late", 0) != "kept" || !s.Replica(0).Clock.Contains(late) {
		t.Fatal("the removal changed what is read")
	}
}

// A row that was flushed stays as a bare vector while its vector covers a dot that no flush dropped: that dot was
// superseded here, and must not come back when it arrives late.
func TestAFlushedRowKeepsTheVectorThatGuardsALateDot(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	r := s.Replica(0)
	d := causal.Dot{Actor: 5, Seq: 6} // seq 5 was its predecessor, never seen here
	row := causal.Container{}.Add(causal.Version{Dot: d, Kind: causal.KindString, Payload: []byte("new")})
	s.Put(0, 1, []byte("k"), row, []causal.Dot{d})
	var dropped causal.Clock
	dropped.Add(d)
	s.Flush(0, r.Next(), &dropped)
	_, err := s.Maintain(100)
	must(t, err)
	must(t, s.EndTick())
	left, err := s.Row(0, 1, []byte("k"))
	must(t, err)
	in := r.Admit(left, causal.Container{}.Add(causal.Version{Dot: causal.Dot{Actor: 5, Seq: 5}, Kind: causal.KindString, Payload: []byte("old")}))
	if len(in.Row.Versions) != 0 || s.Count(0, 0) != 0 {
		t.Fatalf("an overwritten value came back: %+v", in.Row)
	}
}
