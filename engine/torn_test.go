package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"shoal/causal"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// logged is a store of a few synced ticks and a few that were not, as a power cut leaves it when all of it reached the
// disk, and the ends of the ticks in the log's only segment.
func logged(t *testing.T) (fs *vfs.MemFS, m *model, ends []int64, synced int) {
	fs = vfs.NewCrashableMem()
	o := testOptions(fs, 1, EverySec)
	s := mustOpen(t, o)
	must(t, s.Create(0))
	m = &model{states: []state{{}}}
	ends = []int64{s.wal.current().at}
	rng := rand.New(rand.NewPCG(736, 1)) // it reaps, adopts, fills and hints
	for i := range 9 {
		m.randomTick(t, s, rng, 30)
		must(t, s.EndTick())
		ends = append(ends, s.wal.current().at)
		if i == 4 {
			must(t, s.Sync())
			synced = i + 1
		}
		synced = max(synced, m.durable)
	}
	if l := m.last(); len(l.hints) == 0 || l.flushed.IsZero() || len(l.horizon) == 0 || !l.filling {
		t.Fatal("not everything is among the ticks") // another seed has it
	}
	clone := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng})
	must(t, s.Close())
	return clone, m, ends, synced
}

const onlySegment = "data/log/0000000001.log"

func content(t testing.TB, fs *vfs.MemFS, name string) []byte {
	f, err := fs.Open(name)
	must(t, err)
	b, err := readSegment(f)
	must(t, err)
	must(t, f.Close())
	return b
}

// with is a copy of the disk with other bytes in the log.
func with(t *testing.T, fs *vfs.MemFS, b []byte) *vfs.MemFS {
	clone := fs.CrashClone(vfs.CrashCloneCfg{})
	f, err := clone.Create(onlySegment, vfs.WriteCategoryUnspecified)
	must(t, err)
	_, err = f.Write(bytes.Clone(b)) // under the race detector the file system spoils what it was given
	must(t, err)
	must(t, f.Sync())
	must(t, f.Close())
	return clone
}

// A log that ends anywhere opens with the ticks that are whole, and goes on from there.
func TestALogTornAtEveryByte(t *testing.T) {
	fs, m, ends, _ := logged(t)
	b := content(t, fs, onlySegment)
	whole := 0
	for at := ends[0]; at <= ends[len(ends)-1]; at++ {
		if testing.Short() && at%7 != 0 {
			continue
		}
		for whole+1 < len(ends) && ends[whole+1] <= at {
			whole++
		}
		torn := with(t, fs, b[:at])
		s, err := Open(testOptions(torn, 2, EverySec))
		if err != nil {
			t.Fatalf("torn at %d: %v", at, err)
		}
		if got := m.stored(t, s, 0); got != whole {
			t.Fatalf("torn at %d: %d ticks, want %d", at, got, whole)
		}
		set(t, s, 0, "after", "v", 0)
		must(t, s.EndTick())
		must(t, s.Sync())
		again := torn.CrashClone(vfs.CrashCloneCfg{})
		must(t, s.Close())
		s = mustOpen(t, testOptions(again, 3, EverySec))
		if get(t, s, 0, "after", 0) != "v" {
			t.Fatalf("torn at %d: what was written after that is gone", at)
		}
		must(t, s.Close())
	}
}

// Every single flipped bit of the log is found: the log is cut before the record. When later records knew it to be
// durable a tail is lost, and the segment is kept aside.
func TestEveryFlippedBitOfTheLog(t *testing.T) {
	fs, m, ends, synced := logged(t)
	b := content(t, fs, onlySegment)[:ends[len(ends)-1]]
	lost, cut := 0, 0
	tick := 0
	for at := range b {
		for int64(at) >= ends[tick] {
			tick++
		}
		for bit := range 8 {
			if testing.Short() && bit != at%8 {
				continue
			}
			b[at] ^= 1 << bit
			flipped := with(t, fs, b)
			b[at] ^= 1 << bit
			s, err := Open(testOptions(flipped, 2, Always))
			if err != nil {
				t.Fatalf("bit %d of byte %d in tick %d: %v", bit, at, tick, err)
			}
			if tick == 0 {
				if s.Replica(0) != nil {
					t.Fatal("a replica is here of which nothing is known")
				}
			} else if got := m.stored(t, s, 0); got != tick-1 {
				t.Fatalf("bit %d of byte %d in tick %d of which %d were synced: %d ticks", bit, at, tick, synced, got)
			}
			_, gone := flipped.Stat(onlySegment + asideSuffix)
			if aside := gone == nil; aside != (tick <= synced) || aside && !s.TailMayBeLost() {
				t.Fatalf("bit %d of byte %d in tick %d of which %d were synced: kept aside: %v, tail lost: %v", bit, at, tick, synced, aside, s.TailMayBeLost())
			} else if aside {
				lost++
			} else {
				cut++
			}
			must(t, s.Close())
		}
	}
	if lost == 0 || cut == 0 {
		t.Errorf("lost %d, cut %d", lost, cut)
	}
}

// A bit that flips while the store is open is found when its log entry is read.
func TestAFlippedBitInALiveEntry(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0))
	from := s.wal.current().at
	for i := range 20 {
		set(t, s, 0, fmt.Sprint("key", i), "value", 0)
	}
	must(t, s.EndTick())
	f, err := fs.OpenReadWrite(onlySegment, vfs.WriteCategoryUnspecified)
	must(t, err)
	at := from + tickHeader + entryHeader + 7 // inside the first name
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	must(t, err)
	b[0] ^= 4
	_, err = f.WriteAt(b[:], at)
	must(t, err)
	must(t, f.Close())
	if err := s.Log(0, nil, 0, func(LogEntry) bool { return true }); !errors.Is(err, ErrUnreadable) {
		t.Fatalf("a flipped bit is answered as an entry: %v", err)
	}
	must(t, s.wal.sync())
}

// A segment that was damaged while the store is open goes to the sorted store like any other: its rows are in memory,
// and its log entries are read one by one. One that cannot be read stays, as unreadable; none is missing without a word.
func TestARoundOverADamagedSegment(t *testing.T) {
	for name, hit := range map[string]bool{"in a value": false, "in a name": true} {
		t.Run(name, func(t *testing.T) {
			fs := vfs.NewMem()
			o := testOptions(fs, 1, EverySec)
			tiny(&o)
			s := mustOpen(t, o)
			must(t, s.Create(0))
			keys := 0
			write := func() int64 {
				at := s.wal.current().at
				set(t, s, 0, fmt.Sprint("key", keys), strings.Repeat("v", 500), 0)
				keys++
				must(t, s.EndTick())
				return at
			}
			for range 20 {
				write()
			}
			at := write() + 300
			if hit {
				at += tickHeader + entryHeader + 7 - 300
			}
			b := content(t, fs, onlySegment)
			f, err := fs.OpenReadWrite(onlySegment, vfs.WriteCategoryUnspecified)
			must(t, err)
			_, err = f.WriteAt([]byte{b[at] ^ 1}, at)
			must(t, err)
			must(t, f.Close())
			for s.Stats().Spills == 0 {
				write()
			}
			settle(t, s, func() bool { return s.round == nil })
			entries := 0
			clock := causal.Clock{}
			err = s.Log(0, &clock, 0, func(e LogEntry) bool { entries++; clock.Add(e.Dot); return true })
			if hit {
				if !errors.Is(err, ErrUnreadable) || entries != 20 {
					t.Fatalf("%d entries before the damaged one: %v", entries, err)
				}
				clock.Add(causal.Dot{Actor: s.Replica(0).Life, Seq: 21})
				entries, err = entries+1, s.Log(0, &clock, 0, func(LogEntry) bool { entries++; return true })
			}
			if must(t, err); entries != keys || s.Logged(0) != keys || s.Stats().Unreadable == 0 {
				t.Fatalf("%d entries of %d, counted %d", entries, keys, s.Logged(0))
			}
			must(t, s.Close())
			s = mustOpen(t, o)
			if s.TailMayBeLost() || s.Count(0, 0) != int64(keys) {
				t.Fatalf("%d rows of %d", s.Count(0, 0), keys)
			}
			must(t, s.Close())
		})
	}
}
