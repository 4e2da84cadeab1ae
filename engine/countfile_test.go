package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// After any history of writes, deletions, expiries, flushes, stops and crashes the counters are those that a reading
// of all rows gives, wherever Open had them from.
func TestCountsAreExactAfterStopsAndCrashes(t *testing.T) {
	stops, crashes := 0, 0
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 21))
		fs := vfs.NewCrashableMem()
		o := testOptions(fs, 1, EverySec)
		o.Random, o.scanAtMost = rng.Uint32, -1
		if seed%2 == 0 {
			tiny(&o)
		}
		s := mustOpen(t, o)
		must(t, s.Create(0))
		now := int64(1000)
		for range 12 {
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
					s.Count(0, now)
				case 4: // so that the log goes round
					set(t, s, 0, fmt.Sprint("large", rng.IntN(3)), string(make([]byte, 30_000)), 0)
				}
			}
			switch rng.IntN(4) {
			case 0:
				crashed, _ := crashClone(fs, rng)
				must(t, s.Close())
				fs, o.FS = crashed, crashed
				s = mustOpen(t, o)
				crashes++
			case 1:
				must(t, closeSpilled(s))
				s = mustOpen(t, o)
			default:
				must(t, s.Close())
				s = mustOpen(t, o)
				if s.complete {
					t.Fatal("the counters of a clean stop were not used")
				}
				stops++
			}
			checkCounts(t, s, 0, now)
		}
		checkCounts(t, s, 0, now+100)
		must(t, s.Close())
	}
	if stops < 20 || crashes < 10 {
		t.Fatalf("%d stops, %d crashes", stops, crashes)
	}
}

// Without the file, with a damaged one, or with one of another state, Open counts the rows.
func TestCountersThatCannotBeUsedCostAScan(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, 1, EverySec)
	o.scanAtMost = -1
	s := mustOpen(t, o)
	must(t, s.Create(0, 9))
	for i := range 50 {
		set(t, s, 0, fmt.Sprint("key", i), "v", int64(i%2)*2000)
	}
	must(t, s.Close())
	path := fs.PathJoin(o.Dir, countsFile)
	read := func() []byte {
		f, err := fs.Open(path)
		must(t, err)
		info, err := f.Stat()
		must(t, err)
		b := make([]byte, info.Size())
		_, err = f.ReadAt(b, 0)
		must(t, err)
		must(t, f.Close())
		return b
	}
	reopen := func(what string, used bool) {
		t.Helper()
		s = mustOpen(t, o)
		if s.complete == used {
			t.Errorf("%s: counters used: %v", what, !s.complete)
		}
		if s.Count(0, 1000) != 50 || s.Count(0, 3000) != 25 || s.Stats().Rows != 50 {
			t.Errorf("%s: counted %d, %+v", what, s.Count(0, 3000), s.Stats())
		}
		must(t, s.Close())
	}
	old := read()
	for at := range old {
		damaged := append([]byte{}, old...)
		damaged[at] ^= 0x10
		if _, err := decodeCounts(damaged[sealSize:]); err != nil && at < sealSize {
			t.Fatal(err)
		}
		if at%16 == 0 {
			must(t, replaceFile(fs, o.Dir, countsFile, damaged))
			s = mustOpen(t, o)
			if !s.complete {
				t.Fatal("damaged counters were used")
			}
			must(t, s.Close())
		}
	}
	must(t, replaceFile(fs, o.Dir, countsFile, old))
	reopen("as it was", true)
	must(t, fs.Remove(path))
	reopen("missing", false)
	s = mustOpen(t, o)
	d := s.Replica(9).Next()
	s.Mark(9, 1, []byte("k"), []causal.Dot{d})
	must(t, s.Close())
	must(t, replaceFile(fs, o.Dir, countsFile, old))
	reopen("of an earlier state", false)
}

// A log that lost records comes to the same sequence again by another way: the counters of the first are not used.
func TestCountersOfWhatTheLogLost(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, 1, EverySec)
	o.scanAtMost = -1
	s := mustOpen(t, o)
	must(t, s.Create(0))
	for i := range 20 {
		set(t, s, 0, fmt.Sprint("key", i), "v", 0)
		must(t, s.EndTick())
		must(t, s.Sync())
	}
	must(t, s.Close())
	last := s.wal.seq
	b := content(t, fs, onlySegment)
	b[len(b)/2] ^= 1
	must(t, replaceFile(fs, "data/log", segmentName(1), b))
	s = mustOpen(t, o)
	for s.wal.seq < last {
		set(t, s, 0, "one", "v", 0)
		must(t, s.EndTick())
	}
	must(t, s.Close())
	s = mustOpen(t, o)
	defer func() { must(t, s.Close()) }()
	checkCounts(t, s, 0, 1)
}
