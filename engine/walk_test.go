package engine

import (
	"errors"
	"fmt"
	"testing"

	"shoal/ring"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walked collects what a walk shows, and counts how often each key is shown.
func walked(t *testing.T, w *Walk, step int, between func()) (keys map[string]int, bad map[string]bool) {
	t.Helper()
	keys, bad = map[string]int{}, map[string]bool{}
	for done := false; !done; {
		shown := 0
		done = w.Next(step, func(r Row) {
			shown++
			keys[string(r.Key)]++
			if r.Err != nil {
				if !errors.Is(r.Err, ErrUnreadable) {
					t.Errorf("key %s: %v", r.Key, r.Err)
				}
				bad[string(r.Key)] = true
			} else if len(r.Container.Versions) != 1 || r.Slot != slotOf(string(r.Key)) {
				t.Errorf("key %s in slot %d has %+v", r.Key, r.Slot, r.Container)
			}
		})
		if shown > step {
			t.Fatalf("%d rows in a step of %d", shown, step)
		}
		if between != nil {
			between()
		}
	}
	return keys, bad
}

// Every row is shown once, also while rows are written, leave memory and are read again between the steps.
func TestAWalkShowsEveryRowOnce(t *testing.T) {
	for _, memory := range []int64{0, 3 << 20} { // all in memory; most in the sorted store alone
		t.Run(fmt.Sprint(memory), func(t *testing.T) {
			o := testOptions(vfs.NewCrashableMem(), 1, EverySec)
			o.MemoryBytes, o.LogBytes = memory, 8<<20
			s := mustOpen(t, o)
			defer func() { must(t, s.Close()) }()
			must(t, s.Create(0, 1))
			const n = 4000
			value := make([]byte, 4000)
			fill := func(from, to int) {
				for i := from; i < to; i++ {
					set(t, s, 0, fmt.Sprint("key", i), string(value), 0)
					if i%50 == 49 {
						must(t, s.EndTick())
					}
				}
			}
			fill(0, n)
			set(t, s, 1, "elsewhere", "v", 0)
			at := 0
			between := func() {
				fill(at*20%n, at*20%n+20)                   // again
				set(t, s, 0, fmt.Sprint("new", at), "v", 0) // may be shown or not
				for i := range 20 {
					get(t, s, 0, fmt.Sprint("key", (at*97+i)%n), 0)
				}
				must(t, s.EndTick())
				at++
			}
			keys, bad := walked(t, s.Walk(0, false), 100, between)
			for i := range n {
				if keys[fmt.Sprint("key", i)] != 1 {
					t.Fatalf("key%d was shown %d times", i, keys[fmt.Sprint("key", i)])
				}
			}
			if len(bad) > 0 || keys["elsewhere"] > 0 {
				t.Errorf("%d unreadable rows", len(bad))
			}
			t.Logf("complete: %v, evicted %d, %d steps", s.complete, s.Stats().Evicted, at)
		})
	}
}

func TestAWalkOfNothing(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewCrashableMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	if !s.Walk(3, true).Next(10, func(Row) { t.Error("a row") }) {
		t.Error("not done")
	}
}

// A row that is damaged in memory alone is what the sorted store has; one damaged there alone is written again from
// memory by a deep walk; one damaged in both is unreadable, and can be replaced.
func TestAWalkMeetsDamage(t *testing.T) {
	fs := filled(t)
	s := mustOpen(t, testOptions(fs, 2, EverySec))
	defer func() { must(t, s.Close()) }()
	in := func(key string) (ring.Partition, ring.Slot, []byte) { return 0, slotOf(key), []byte(key) }
	memoryOnly := func(key string) {
		name := appendRow(nil, 0, slotOf(key), []byte(key))
		r := s.replicas.of(0)
		rec := s.mem.at(r.rows.cells[r.rows.find(&s.mem, hashOf(name), name)].slab, r.rows.cells[r.rows.find(&s.mem, hashOf(name), name)].off)
		rec[len(rec)-1] ^= 1
	}
	memoryOnly("key1")
	must(t, s.Corrupt(in("key2"))) // both
	must(t, s.Corrupt(in("key3")))
	memoryOnly("key3") // another bit
	name := appendRow(nil, 0, slotOf("key4"), []byte("key4"))
	must(t, s.Corrupt(in("key4")))
	r := s.replicas.of(0)
	c := r.rows.cells[r.rows.find(&s.mem, hashOf(name), name)]
	rec := s.mem.at(c.slab, c.off)
	rec[len(rec)-1] ^= 4 // memory is sound again
	before := s.Count(0, 0)

	keys, bad := walked(t, s.Walk(0, true), 100, nil)
	if len(keys) != 2000 || !bad["key2"] || !bad["key3"] || bad["key4"] {
		t.Fatalf("%d keys, bad: %v", len(keys), bad)
	}
	if get(t, s, 0, "key1", 0) != valueOf(1) || get(t, s, 0, "key4", 0) != valueOf(4) {
		t.Error("rows that are sound in one place are not what they were")
	}
	if _, err := s.Row(in("key2")); !errors.Is(err, ErrUnreadable) {
		t.Errorf("a row damaged in both places reads with %v", err)
	}
	if s.Count(0, 0) != before {
		t.Errorf("%d keys counted, %d before", s.Count(0, 0), before)
	}
	if rec := s.mem.at(r.rows.cells[r.rows.find(&s.mem, hashOf(name), name)].slab, r.rows.cells[r.rows.find(&s.mem, hashOf(name), name)].off); rec.segment() <= s.spilled {
		t.Error("the row damaged in the sorted store was not written again")
	}
}

func TestALostRowIsGoneAndCounted(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewCrashableMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	d := set(t, s, 0, "k", "v", 0)
	s.Lose(0, slotOf("k"), []byte("k"))
	must(t, s.EndTick())
	if row, err := s.Row(0, slotOf("k"), []byte("k")); err != nil || !row.Empty() || s.Count(0, 0) != 0 || s.Stats().Rows != 0 {
		t.Errorf("row %+v, %v", row, err)
	}
	if !s.Replica(0).Clock.Contains(d) {
		t.Error("the clock does not have it any more")
	}
}
