package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

func hintOf(seq uint64, value string) causal.Container {
	return causal.Container{}.Add(causal.Version{Dot: causal.Dot{Actor: 9, Seq: seq}, Kind: causal.KindString, Payload: []byte(value)})
}

func readHint(t *testing.T, s *Store, p ring.Partition, key string) string {
	t.Helper()
	row, err := s.Hint(p, slotOf(key), []byte(key))
	must(t, err)
	if len(row.Versions) == 0 {
		return ""
	}
	return string(row.Versions[0].Payload)
}

// Hints are kept beside the rows, whether there is a replica or not, through stops, crashes and the sorted store, and
// are neither rows nor keys nor log entries.
func TestHintsAreKept(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, 1, EverySec)
	o.LogBytes, o.MemoryBytes = 512<<10, 1<<20
	s := mustOpen(t, o)
	must(t, s.Create(0))
	if n, size := s.HintStats(); n != 0 || size != 0 || s.HintParts() != nil {
		t.Fatal("hints in a new store")
	}
	rng := rand.New(rand.NewPCG(8, 8))
	want := map[string]string{}
	name := func(p ring.Partition, key string) string { return fmt.Sprint(p, " ", key) }
	check := func() {
		t.Helper()
		size := 0
		for _, p := range []ring.Partition{0, 3, 300} {
			n := 0
			for i := range 60 {
				key := fmt.Sprint("key", i)
				v := want[name(p, key)]
				if got := readHint(t, s, p, key); got != v {
					t.Fatalf("hint of %d %s is %.20q, want %.20q", p, key, got, v)
				}
				if v != "" {
					n++
					size += len(appendHint(nil, p, 0, []byte(key))) + sealSize + hintOf(1, v).Size()
				}
			}
			if s.HintCount(p) != n {
				t.Fatalf("%d hints of %d, want %d", s.HintCount(p), p, n)
			}
		}
		st := s.Stats()
		if n, b := s.HintStats(); n != len(want) || b < int64(size*3/4) || b > int64(size) || st.Hints != int64(n) || st.HintBytes != b {
			t.Fatalf("%d hints of %d bytes, want %d of about %d; %+v", n, b, len(want), size, st)
		}
	}
	for range 8 {
		for range 300 {
			p, key := []ring.Partition{0, 3, 300}[rng.IntN(3)], fmt.Sprint("key", rng.IntN(60))
			if rng.IntN(3) == 0 {
				s.PutHint(p, slotOf(key), []byte(key), causal.Container{})
				delete(want, name(p, key))
			} else {
				want[name(p, key)] = strings.Repeat(key, 1+rng.IntN(300))
				s.PutHint(p, slotOf(key), []byte(key), hintOf(uint64(1+rng.IntN(1000)), want[name(p, key)]))
			}
			if rng.IntN(10) == 0 {
				must(t, s.EndTick())
				s.Recycle()
			}
		}
		check()
		must(t, s.EndTick())
		switch rng.IntN(3) {
		case 0:
			must(t, closeSpilled(s))
		case 1:
			must(t, s.Close())
		default:
			must(t, s.Sync())
			crashed := fs.CrashClone(vfs.CrashCloneCfg{})
			must(t, s.Close())
			fs, o.FS = crashed, crashed
		}
		s = mustOpen(t, o)
		check()
	}
	if st := s.Stats(); st.Rows != 0 || st.LogEntries != 0 || s.Count(0, 0) != 0 || s.Empty() {
		t.Fatalf("%+v, empty %v", st, s.Empty())
	}
	if fmt.Sprint(s.HintParts()) != "[0 3 300]" {
		t.Fatalf("%v", s.HintParts())
	}
	for _, p := range s.HintParts() { // in order, in slices
		var shown []string
		var at Ref
		for first, done := true, false; !done; first = false {
			n := 0
			done = s.Hints(p, first, at, 7, func(slot ring.Slot, key []byte, row causal.Container) {
				shown = append(shown, fmt.Sprintf("%05d%s", slot, key))
				at = Ref{Slot: slot, Key: key}
				n++
				s := string(row.Versions[0].Payload)
				if s != want[name(p, string(key))] {
					t.Fatalf("%s shows %.20q", key, s)
				}
			})
			if n > 7 {
				t.Fatalf("%d in a slice of 7", n)
			}
		}
		if len(shown) != s.HintCount(p) || !slices.IsSorted(shown) {
			t.Fatalf("%v", shown)
		}
		for i := range 60 {
			key := fmt.Sprint("key", i)
			s.PutHint(p, slotOf(key), []byte(key), causal.Container{})
		}
	}
	clear(want)
	check()
	must(t, closeSpilled(s))
	for _, p := range []ring.Partition{0, 3, 300} {
		if n := sortedRows(t, fs, spaceHint, p); n != 0 {
			t.Errorf("%d hints are left in the sorted store", n)
		}
	}
}

// With the log going round, values leave memory and are read from the sorted store.
func TestHintsLeaveMemory(t *testing.T) {
	o := testOptions(vfs.NewMem(), 1, EverySec)
	o.LogBytes, o.MemoryBytes = 512<<10, 1<<20
	s := mustOpen(t, o)
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	s.PutHint(4, 9, []byte("kept"), hintOf(1, "value"))
	s.PutHint(4, 9, []byte("gone"), hintOf(2, "value"))
	h := s.hints.of(4).list[1]
	settle(t, s, func() bool {
		set(t, s, 0, "row", strings.Repeat("v", 10_000), 0)
		return h.value == nil
	})
	s.PutHint(4, 9, []byte("gone"), causal.Container{})
	settle(t, s, func() bool {
		set(t, s, 0, "row", strings.Repeat("v", 10_000), 0)
		return len(s.hints.of(4).list) == 1 && len(s.hints.dirty) == 0
	})
	row, err := s.Hint(4, 9, []byte("kept"))
	if must(t, err); len(row.Versions) != 1 || !bytes.Equal(row.Versions[0].Payload, []byte("value")) {
		t.Fatalf("%+v", row)
	}
}

// A damaged hint is an error for who asks for it, and nothing to the others.
func TestADamagedHint(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0))
	for i := range 5 {
		s.PutHint(2, 1, []byte{byte('a' + i)}, hintOf(uint64(i+1), "value"))
	}
	must(t, closeSpilled(s))
	s = mustOpen(t, testOptions(fs, 2, EverySec))
	defer func() { must(t, s.Close()) }()
	name := appendHint(nil, 2, 1, []byte("c"))
	must(t, s.db.Set(name, bytes.Repeat([]byte{1}, 30), pebble.NoSync))
	if _, err := s.Hint(2, 1, []byte("c")); !errors.Is(err, ErrUnreadable) {
		t.Fatalf("%v", err)
	}
	n := 0
	if done := s.Hints(2, true, Ref{}, 10, func(ring.Slot, []byte, causal.Container) { n++ }); !done || n != 4 {
		t.Fatalf("%d hints", n)
	}
}
