package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ranged reads partition 0 in slices and checks that each is within its limits.
func ranged(t *testing.T, s *Store, limit, maxBytes int, between func()) (rows []Row) {
	t.Helper()
	var at Ref
	for first, done := true, false; !done; first = false {
		n, size, last := 0, 0, 0
		var err error
		done, err = s.Range(0, first, at, limit, maxBytes, func(slot ring.Slot, key []byte, c causal.Container, err error) {
			row := Row{Slot: slot, Key: key, Err: err}
			row.Container.Versions = append(row.Container.Versions, c.Versions...)
			rows = append(rows, row)
			n++
			last = len(key)
			if err == nil {
				last += len(c.Versions[0].Payload)
			}
			size += last
			at = Ref{Slot: slot, Key: key}
		})
		must(t, err)
		if n > limit || n > 1 && size-last > maxBytes || n == 0 && !done {
			t.Fatalf("%d rows, %d bytes in a call of %d rows, %d bytes; done %v", n, size, limit, maxBytes, done)
		}
		if len(rows) > 100_000 {
			t.Fatal("a range without end")
		}
		if between != nil {
			between()
		}
	}
	return rows
}

func names(rows []Row) (out []string) {
	for _, r := range rows {
		out = append(out, fmt.Sprintf("%d%q", r.Slot, r.Key))
	}
	return out
}

// Slices of any size are what a scan shows, wherever the rows are; also where deletions lie between them.
func TestRangesAreAScanInSlices(t *testing.T) {
	for _, memory := range []int64{0, 64 << 10} {
		rng := rand.New(rand.NewPCG(6, 6))
		o := testOptions(vfs.NewMem(), 1, EverySec)
		o.MemoryBytes, o.LogBytes = memory, 512<<10
		s := mustOpen(t, o)
		must(t, s.Create(0, 1))
		if rows := ranged(t, s, 10, 1000, nil); len(rows) > 0 {
			t.Fatal("rows in an empty partition")
		}
		write := func(i int) {
			set(t, s, 0, strings.Repeat("k", rng.IntN(30))+fmt.Sprint(i), strings.Repeat("v", rng.IntN(900)), 0)
			if i%10 == 0 {
				must(t, s.EndTick())
			}
		}
		for i := range 4000 {
			write(i)
		}
		set(t, s, 1, "other", "v", 0)
		gone := ranged(t, s, 5000, 1<<30, nil)
		for i := 500; i < 2500; i++ { // a long run of deletions
			s.Reap(0, gone[i].Slot, gone[i].Key, causal.Container{}, nil)
		}
		must(t, s.EndTick())
		var want []string
		must(t, s.Scan(0, 0, func(r Row) bool { want = append(want, names([]Row{r})...); return true }))
		if len(want) != 2000 {
			t.Fatalf("%d rows", len(want))
		}
		for _, limit := range []int{1, 7, 100, 1999, 2000, 2001, 10_000} {
			if limit == 1 && memory > 0 {
				continue // slow
			}
			if got := names(ranged(t, s, limit, 1+rng.IntN(1<<20), nil)); !slices.Equal(got, want) {
				t.Fatalf("limit %d: %d rows, want %d", limit, len(got), len(want))
			}
		}
		i := 10_000 // with writes between: what was there is shown once, in order
		got := names(ranged(t, s, 50, 1<<20, func() { write(i); i++ }))
		at := 0
		for _, name := range got {
			if at < len(want) && name == want[at] {
				at++
			}
		}
		if at != len(want) {
			t.Fatalf("%d of %d rows while others are written", at, len(want))
		}
		if evicted := s.Stats().Evicted > 0; evicted != (memory > 0) {
			t.Fatalf("%d rows left memory", s.Stats().Evicted)
		}
		must(t, s.Close())
	}
}

func TestARangeShowsDamagedRows(t *testing.T) {
	fs := filled(t)
	o := testOptions(fs, 2, EverySec)
	o.scanAtMost = -1
	s := mustOpen(t, o)
	must(t, s.Corrupt(0, slotOf("key7"), []byte("key7")))
	bad := 0
	n := 0
	var at Ref
	for first, done := true, false; !done; first = false {
		var err error
		done, err = s.Range(0, first, at, 100, 1<<20, func(slot ring.Slot, key []byte, _ causal.Container, err error) {
			n++
			if err != nil {
				if bad++; !errors.Is(err, ErrUnreadable) || string(key) != "key7" {
					t.Errorf("%s: %v", key, err)
				}
			}
			at = Ref{Slot: slot, Key: key}
		})
		must(t, err)
	}
	if n != 2000 || bad != 1 {
		t.Fatalf("%d rows, %d damaged", n, bad)
	}
	must(t, s.Close())
}

func BenchmarkRange(b *testing.B) {
	s := mustOpen(b, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(b, s.Close()) }()
	must(b, s.Create(0))
	for i := range 50_000 {
		set(b, s, 0, fmt.Sprint("key", i), "value", 0)
	}
	must(b, s.EndTick())
	for i := range b.N {
		_, err := s.Range(0, false, Ref{Slot: 8, Key: []byte(fmt.Sprint("key", i%50_000))}, 200, 1<<20, func(ring.Slot, []byte, causal.Container, error) {})
		must(b, err)
		s.Recycle()
	}
}
