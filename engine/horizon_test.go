package engine

import (
	"fmt"
	"strings"
	"testing"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// loggedSeqs are the seqs that the log of partition 0 shows.
func loggedSeqs(t *testing.T, s *Store) (seqs []uint64) {
	t.Helper()
	must(t, s.Log(0, nil, 0, func(e LogEntry) bool { seqs = append(seqs, e.Dot.Seq); return true }))
	if len(seqs) != s.Logged(0) {
		t.Fatalf("%d entries, counted %d", len(seqs), s.Logged(0))
	}
	return seqs
}

// A trim forgets entries at once, wherever they are: in the tick, in live segments, in the sorted store. Their rows
// stay, and a clean stop and a crash bring nothing back.
func TestATrimmedLog(t *testing.T) {
	fs := vfs.NewCrashableMem()
	o := testOptions(fs, 1, EverySec)
	s := mustOpen(t, o)
	must(t, s.Create(0, 1))
	for i := range 100 {
		set(t, s, 0, fmt.Sprint("key", i), "v", 0)
		set(t, s, 1, fmt.Sprint("key", i), "v", 0)
	}
	must(t, closeSpilled(s))
	s = mustOpen(t, o)
	if n := len(loggedSeqs(t, s)); n != 100 {
		t.Fatalf("%d entries in the sorted store", n)
	}
	first := s.Replica(0).Clock.Entries()[0].Actor
	for i := range 50 {
		set(t, s, 0, fmt.Sprint("new", i), "v", 0)
		if i == 25 {
			must(t, s.EndTick())
		}
	}
	written := s.wal.seq
	s.Trim(0, causal.Vector{{Actor: first, Seq: 60}})
	if n := len(loggedSeqs(t, s)); n != 90 {
		t.Fatalf("%d entries after a trim", n)
	}
	s.Trim(0, causal.Vector{{Actor: s.Replica(0).Life, Seq: 40}})
	if seqs := loggedSeqs(t, s); len(seqs) != 50 || s.Logged(1) != 100 || s.Stats().LogEntries != 150 {
		t.Fatalf("entries %v after two trims; partition 1 has %d, all %d", seqs, s.Logged(1), s.Stats().LogEntries)
	}
	must(t, s.EndTick())
	if s.wal.seq == written {
		t.Fatal("a trim is not logged")
	}
	at := s.wal.seq
	s.Trim(0, causal.Vector{{Actor: first, Seq: 60}})
	must(t, s.EndTick())
	if s.wal.seq != at {
		t.Error("a trim of nothing is logged")
	}
	must(t, s.Sync())
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	must(t, closeSpilled(s))
	for i, disk := range []*vfs.MemFS{fs, crashed} {
		s = mustOpen(t, testOptions(disk, 5, EverySec))
		if n := len(loggedSeqs(t, s)); n != 50 || s.Count(0, 0) != 150 || s.Replica(0).Horizon.Of(first) != 60 {
			t.Fatalf("disk %d: %d entries, %d rows, horizon %v", i, n, s.Count(0, 0), s.Replica(0).Horizon)
		}
		must(t, closeSpilled(s))
		if n := sortedRows(t, disk, spaceLog, 0); n != 50 {
			t.Errorf("disk %d: the sorted store still has %d entries", i, n)
		}
	}
}

// sortedRows counts what the sorted store of a closed store holds of a partition in a keyspace.
func sortedRows(t *testing.T, fs vfs.FS, space byte, p ring.Partition) (n int) {
	t.Helper()
	s := mustOpen(t, testOptions(fs, 99, EverySec))
	prefix := appendSpace(nil, space, p)
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: after(prefix)})
	must(t, err)
	for ok := it.First(); ok; ok = it.Next() {
		n++
	}
	must(t, it.Close())
	must(t, s.Close())
	return n
}

// Entries that were trimmed leave with their segment, without a visit to the sorted store.
func TestTrimmedEntriesAreNotSpilled(t *testing.T) {
	o := testOptions(vfs.NewMem(), 1, EverySec)
	o.LogBytes, o.MemoryBytes = 1<<20, 1<<20
	s := mustOpen(t, o)
	must(t, s.Create(0))
	for i := range 20_000 {
		set(t, s, 0, fmt.Sprint("key", i), strings.Repeat("v", 100), 0)
		if i%100 == 99 {
			s.Trim(0, bases(&s.Replica(0).Clock))
			must(t, s.EndTick())
		}
	}
	settle(t, s, func() bool { return s.round == nil && s.Stats().Spills > 3 })
	if n := len(loggedSeqs(t, s)); n != 0 {
		t.Fatalf("%d entries", n)
	}
	must(t, s.Close())
	if n := sortedRows(t, o.FS, spaceLog, 0); n != 0 {
		t.Fatalf("%d entries in the sorted store", n)
	}
}

// The set of logged dots is found again where no snapshot has it, as in stores of old.
func TestLoggedWithoutItsSnapshot(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0))
	for i := range 30 {
		set(t, s, 0, fmt.Sprint("key", i), "v", 0)
	}
	must(t, closeSpilled(s))
	s = mustOpen(t, testOptions(fs, 2, EverySec))
	row := snapshotRow(0, s.replicas.of(0))
	old := appendReplica(make([]byte, sealSize), s.Replica(0), nil)
	old = old[:len(old)-1] // no flags
	seal(row.name, old)
	must(t, s.db.Set(row.name, old, pebble.NoSync))
	must(t, s.db.Flush())
	must(t, s.Close())
	s = mustOpen(t, testOptions(fs, 3, EverySec))
	defer func() { must(t, s.Close()) }()
	if n := len(loggedSeqs(t, s)); n != 30 {
		t.Fatalf("%d entries", n)
	}
}

// A reaped row leaves the counters, and with it the log entries below the horizon; a late copy of its dots finds the
// clock and not the row.
func TestReaping(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	set(t, s, 0, "value", "v", 0)
	row, err := s.Row(0, 4, []byte("gone"))
	must(t, err)
	d := s.Replica(0).Next()
	row = row.Discard(row.Context()).Add(causal.Version{Dot: d, Kind: causal.KindTombstone})
	s.Put(0, 4, []byte("gone"), row, []causal.Dot{d})
	if st := s.Stats(); st.Tombstones != 1 || st.Rows != 2 {
		t.Fatalf("%+v", st)
	}
	s.Reap(0, 4, []byte("gone"), causal.Container{}, row.Vector)
	st := s.Stats()
	if st.Tombstones != 0 || st.Rows != 1 || st.Reaped != 1 || st.LogEntries != 0 || s.Logged(0) != 0 {
		t.Fatalf("%+v, logged %d", st, s.Logged(0)) // the other entry lies below the same horizon
	}
	if left, err := s.Row(0, 4, []byte("gone")); err != nil || !left.Empty() || !s.Replica(0).Clock.Contains(d) {
		t.Fatalf("%+v %v", left, err)
	}
	s.Reap(0, 4, []byte("gone"), causal.Container{}, row.Vector)
	s.Reap(0, 5, []byte("value"), causal.Container{Vector: causal.Vector{d}}, row.Vector)
	if st := s.Stats(); st.Reaped != 2 || st.Rows != 1 || s.Count(0, 0) != 0 {
		t.Fatalf("%+v", st)
	}
}

// What is adopted is there after a reopen; a flush among it drops rows and counts.
func TestAdopting(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0))
	d := set(t, s, 0, "dropped", "v", 0)
	set(t, s, 0, "kept", "v", 0)
	var clock, flushed causal.Clock
	clock.Add(causal.Dot{Actor: 3, Seq: 9})
	flushed.Add(d)
	s.Adopt(0, &clock, &flushed, causal.Vector{{Actor: 3, Seq: 5}})
	if s.Count(0, 0) != 1 || get(t, s, 0, "dropped", 0) != "" {
		t.Fatalf("%d keys", s.Count(0, 0))
	}
	must(t, s.EndTick())
	crashed := fs.CrashClone(vfs.CrashCloneCfg{}) // it was fsynced, as a flush is
	at := s.wal.seq
	s.Adopt(0, &clock, &flushed, causal.Vector{{Actor: 3, Seq: 5}})
	s.Adopt(0, nil, nil, nil)
	must(t, s.EndTick())
	if s.wal.seq != at {
		t.Error("nothing new was logged")
	}
	must(t, s.Close())
	s = mustOpen(t, testOptions(crashed, 2, EverySec))
	defer func() { must(t, s.Close()) }()
	r := s.Replica(0)
	if !r.Clock.Covers(&clock) || !r.Flushed.Equal(&flushed) || r.Horizon.Of(3) != 5 || s.Count(0, 0) != 1 {
		t.Fatalf("%+v", r)
	}
}

// Being filled is durable, each change of it begins a life, and Open keeps it.
func TestFilling(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(fs, 1, No))
	must(t, s.Create(0, 1))
	for i, on := range []bool{true, false, true} {
		life := s.Replica(0).Life
		must(t, s.Fill(0, on))
		if s.Replica(0).Life == life || s.Replica(0).Filling != on {
			t.Fatalf("%+v", s.Replica(0))
		}
		crashed := fs.CrashClone(vfs.CrashCloneCfg{})
		again := mustOpen(t, testOptions(crashed, uint64(i+2), No))
		if again.Replica(0).Filling != on || again.Replica(1).Filling {
			t.Fatalf("after a power cut filling is %v", again.Replica(0).Filling)
		}
		must(t, closeSpilled(again))
		again = mustOpen(t, testOptions(crashed, uint64(i+20), No))
		if again.Replica(0).Filling != on {
			t.Fatalf("from the sorted store filling is %v", again.Replica(0).Filling)
		}
		must(t, again.Close())
	}
	if s.Fill(9, true) == nil {
		t.Error("a replica that is not here is filled")
	}
	must(t, s.Close())
}
