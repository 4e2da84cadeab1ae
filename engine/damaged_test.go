package engine

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Wherever an unreadable row is met, its partition is told, once.
func TestDamagedPartitionsAreTold(t *testing.T) {
	fs := vfs.NewMem()
	o := testOptions(fs, 1, EverySec)
	s := mustOpen(t, o)
	must(t, s.Create(0, 3, 5))
	for i := range 50 {
		set(t, s, 3, fmt.Sprint("key", i), "v", 0)
		set(t, s, 5, fmt.Sprint("key", i), "v", 0)
	}
	must(t, closeSpilled(s))
	s = mustOpen(t, o)
	if s.Damaged() != nil {
		t.Fatal("told without damage")
	}
	told := func(how, want string) {
		t.Helper()
		if got := fmt.Sprint(s.Damaged()); got != want || s.Damaged() != nil {
			t.Fatalf("%s: told %s, want %s, once", how, got, want)
		}
	}
	must(t, s.Corrupt(3, slotOf("key1"), []byte("key1"))) // in memory too
	w := s.Walk(3, false)
	for !w.Next(100, func(Row) {}) {
	}
	told("walk", "[3]")
	_, err := s.Row(3, slotOf("key1"), []byte("key1"))
	if err == nil {
		t.Fatal("read")
	}
	told("row", "[3]")
	must(t, s.Corrupt(5, slotOf("key1"), []byte("key1")))
	must(t, s.db.Flush())
	must(t, s.Close())
	s = mustOpen(t, o)
	told("open", "[3 5]")
	must(t, s.Scan(5, 0, func(Row) bool { return true }))
	told("scan", "[5]")
	must(t, s.Close())
}

// A damaged block is told too.
func TestDamagedBlocksAreTold(t *testing.T) {
	clean := filled(t)
	rng := rand.New(rand.NewPCG(3, 4))
	told := 0
	for range 20 {
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
			continue
		}
		n, rows := 0, s.Stats().Rows
		if err := s.Scan(0, 0, func(r Row) bool {
			if r.Err == nil {
				n++
			}
			return true
		}); err != nil && !errors.Is(err, ErrUnreadable) {
			t.Fatal(err)
		}
		if d := fmt.Sprint(s.Damaged()); d == "[0]" {
			told++
		} else if rows != 2000 || n != 2000 {
			t.Fatalf("%d rows, %d read, told %s", rows, n, d)
		}
		must(t, s.Close())
	}
	if told == 0 {
		t.Error("no flip hit a block of rows")
	}
}
