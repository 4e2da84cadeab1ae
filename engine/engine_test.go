package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"shoal/causal"
	"shoal/ring"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// testStore opens a store over fs whose actors and clock come from seed.
func testOptions(fs vfs.FS, seed uint64, d Durability) Options {
	rng := rand.New(rand.NewPCG(seed, 1))
	now := int64(1_700_000_000_000) + int64(seed)
	return Options{
		Dir: "data", FS: fs, Durability: d, MachineBoot: "boot-1", CacheBytes: 4 << 20,
		Now:     func() int64 { return now },
		Random:  rng.Uint32,
		OnFatal: func(err error) { panic(err) },
	}
}

func mustOpen(t testing.TB, o Options) *Store {
	t.Helper()
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func slotOf(key string) ring.Slot { return ring.Slot(len(key) % 64) }

// set writes a value as a coordinator does: everything held is the context.
func set(t testing.TB, s *Store, p ring.Partition, key, value string, expiry int64) causal.Dot {
	t.Helper()
	slot := slotOf(key)
	row, err := s.Row(p, slot, []byte(key))
	must(t, err)
	d := s.Replica(p).Next()
	v := causal.Version{Dot: d, Kind: causal.KindString, HLC: d.Seq, Expiry: expiry, Payload: []byte(value)}
	s.Put(p, slot, []byte(key), row.Discard(row.Context()).Add(v), []causal.Dot{d})
	return d
}

func get(t testing.TB, s *Store, p ring.Partition, key string, now int64) string {
	t.Helper()
	row, err := s.Row(p, slotOf(key), []byte(key))
	must(t, err)
	if v := row.Shown(now); v != nil {
		return string(v.Payload)
	}
	return ""
}

func TestRowsSeenInTheirTickAndAfterReopen(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	if !s.Empty() {
		t.Fatal("a new store is not empty")
	}
	must(t, s.Create(3, 4))
	keys := []string{"", "a", "a\x00", "a\x00\x01", "\x00", "\xff\xff", strings.Repeat("k", 300)}
	for i, k := range keys {
		set(t, s, 3, k, fmt.Sprint("first", i), 0)
		set(t, s, 3, k, fmt.Sprint("value", i), 0)
		if got := get(t, s, 3, k, 0); got != fmt.Sprint("value", i) {
			t.Fatalf("in its tick %q reads %q", k, got)
		}
	}
	must(t, s.EndTick())
	if s.Empty() {
		t.Fatal("empty with rows")
	}
	clock := s.Replica(3).Clock.Clone()
	life := s.Replica(3).Life
	must(t, s.Close())

	s = mustOpen(t, testOptions(fs, 2, EverySec))
	defer func() { must(t, s.Close()) }()
	if s.TailMayBeLost() {
		t.Error("a clean stop loses no tail")
	}
	r := s.Replica(3)
	if !r.Clock.Equal(&clock) || r.Life == life || r.Life != s.Incarnation() || r.Seq != 0 {
		t.Fatalf("replica after reopen: %+v, clock before: %+v", r, clock)
	}
	if s.Replica(5) != nil || fmt.Sprint(s.Partitions()) != "[3 4]" {
		t.Fatalf("partitions %v", s.Partitions())
	}
	for i, k := range keys {
		if got := get(t, s, 3, k, 0); got != fmt.Sprint("value", i) {
			t.Fatalf("%q reads %q", k, got)
		}
		if got := get(t, s, 4, k, 0); got != "" {
			t.Fatalf("another partition reads %q", got)
		}
	}
	if n := s.Count(3, 0); n != int64(len(keys)) {
		t.Fatalf("count %d", n)
	}
	if err := s.Create(4); err == nil {
		t.Fatal("a replica was created twice")
	}
}

func TestScanIsInSlotAndKeyOrder(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0, 1))
	for _, k := range []string{"bb", "aa", "c", "a", "ccc", "a\x00"} {
		set(t, s, 0, k, "v"+k, 0)
	}
	set(t, s, 1, "other", "x", 0)
	var got []string
	must(t, s.Scan(0, 0, func(r Row) bool { must(t, r.Err); got = append(got, fmt.Sprintf("%d%q", r.Slot, r.Key)); return true }))
	if want := `[1"a" 1"c" 2"a\x00" 2"aa" 2"bb" 3"ccc"]`; fmt.Sprint(got) != want {
		t.Errorf("scan %v, want %v", got, want)
	}
	got = nil
	must(t, s.Scan(0, 2, func(r Row) bool { got = append(got, string(r.Key)); return len(got) < 2 }))
	if fmt.Sprintf("%q", got) != `["a\x00" "aa"]` {
		t.Errorf("scan from 2 %q", got)
	}
	n, err := s.CountSlot(0, 2, 0)
	if must(t, err); n != 3 {
		t.Errorf("slot 2 has %d keys", n)
	}
}

func TestNamesKeepKeyOrderAndComeApart(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	random := func() []byte {
		b := make([]byte, rng.IntN(5))
		for i := range b {
			b[i] = []byte{0, 1, 0xFF, 'a'}[rng.IntN(4)]
		}
		return b
	}
	for range 20000 {
		a, b := random(), random()
		x, y := appendRow(nil, 7, 9, a), appendRow(nil, 7, 9, b)
		if bytes.Compare(a, b) != bytes.Compare(x, y) {
			t.Fatalf("order of %x %x is not that of %x %x", a, b, x, y)
		}
		p, slot, key, ok := parseRow(x)
		if !ok || p != 7 || slot != 9 || !bytes.Equal(key, a) {
			t.Fatalf("%x came apart as %d %d %x %v", x, p, slot, key, ok)
		}
	}
}

// A disk that cannot be written to is not called another process.
func TestALockThatCannotBeWrittenIsNotHeld(t *testing.T) {
	disk := errorfs.Wrap(vfs.NewMem(), errorfs.InjectorFunc(func(op errorfs.Op) error {
		if strings.HasSuffix(op.Path, "LOCK") {
			return &fs.PathError{Op: "open", Path: op.Path, Err: syscall.EROFS}
		}
		return nil
	}))
	_, err := Open(testOptions(disk, 1, EverySec))
	if err == nil || !strings.Contains(err.Error(), "cannot be locked") || !errors.Is(err, syscall.EROFS) {
		t.Fatal(err)
	}
}

func TestASecondOpenIsRefused(t *testing.T) {
	o := testOptions(vfs.Default, 1, EverySec)
	o.Dir = t.TempDir()
	s := mustOpen(t, o)
	if _, err := Open(o); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Fatalf("second open: %v", err)
	}
	must(t, s.Close())
	s = mustOpen(t, o)
	must(t, s.Close())
	must(t, s.Close())
	if err := s.EndTick(); err == nil {
		t.Fatal("a closed store ended a tick")
	}
}

func TestMetaIsCheckedAndKept(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s := mustOpen(t, testOptions(fs, 1, No))
	if v, err := s.Meta("map"); v != nil || err != nil {
		t.Fatal(v, err)
	}
	must(t, s.SetMeta("map", []byte("one")))
	must(t, s.SetMeta("none", nil))
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	must(t, s.Close())
	s = mustOpen(t, testOptions(crashed, 2, No))
	defer func() { must(t, s.Close()) }()
	v, err := s.Meta("map")
	if must(t, err); string(v) != "one" {
		t.Fatalf("after a power cut: %q", v)
	}
	if v, err := s.Meta("none"); v == nil || len(v) != 0 || err != nil {
		t.Fatal("an empty value is not a missing one")
	}
}

func TestLogShowsWhatAClockLacks(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0, 1))
	var dots []causal.Dot
	for i := range 10 {
		dots = append(dots, set(t, s, 0, fmt.Sprint("key", i), "v", 0))
	}
	foreign := []causal.Dot{{Actor: 5, Seq: 2}, {Actor: 5, Seq: 3}}
	s.Mark(0, 8, []byte("alone"), foreign)
	set(t, s, 1, "elsewhere", "v", 0)
	var lacks causal.Clock
	for _, d := range dots[:4] {
		lacks.Add(d)
	}
	lacks.Add(dots[6])
	lacks.Add(foreign[1])
	var got []string
	must(t, s.Log(0, &lacks, 0, func(e LogEntry) bool {
		got = append(got, fmt.Sprintf("%s@%d/%d", e.Key, e.Slot, e.Dot.Seq))
		return true
	}))
	want := "[alone@8/2 key4@4/5 key5@4/6 key7@4/8 key8@4/9 key9@4/10]"
	if fmt.Sprint(got) != want {
		t.Errorf("log %v, want %v", got, want)
	}
	n := 0
	must(t, s.Log(0, nil, 3, func(LogEntry) bool { n++; return true }))
	if n != 3 {
		t.Errorf("a limit of 3 passed %d", n)
	}
}

func TestRenewBeginsAnotherLife(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	d := set(t, s, 0, "k", "v", 0)
	must(t, s.Renew(0))
	r := s.Replica(0)
	if r.Life == d.Actor || r.Life == s.Incarnation() || r.Seq != 0 || !r.Clock.Contains(d) {
		t.Fatalf("renewed replica %+v", r)
	}
	if err := s.Renew(9); err == nil {
		t.Fatal("renewed a replica that is not here")
	}
}

func TestALargeTickGoesInPieces(t *testing.T) {
	fs := vfs.NewMem()
	s := mustOpen(t, testOptions(fs, 1, EverySec))
	must(t, s.Create(0))
	value := strings.Repeat("x", 1<<20)
	for i := range 12 {
		set(t, s, 0, fmt.Sprint("key", i), value, 0)
	}
	if s.tick.Len() > 2*maxTick {
		t.Errorf("%d bytes gathered", s.tick.Len())
	}
	must(t, s.EndTick())
	must(t, s.Close())
	s = mustOpen(t, testOptions(fs, 2, EverySec))
	defer func() { must(t, s.Close()) }()
	if n := s.Count(0, 0); n != 12 {
		t.Errorf("%d keys", n)
	}
}

func TestGetAnswersAVector(t *testing.T) {
	s := mustOpen(t, testOptions(vfs.NewMem(), 1, EverySec))
	defer func() { must(t, s.Close()) }()
	must(t, s.Create(0))
	set(t, s, 0, "k", "v", 0)
	out := make([]Row, 3)
	s.Get([]Ref{{Slot: 1, Key: []byte("k")}, {Slot: 1, Key: []byte("missing")}, {Partition: 9, Slot: 1, Key: []byte("k")}}, out)
	if len(out[0].Container.Versions) != 1 || !out[1].Container.Empty() || !out[2].Container.Empty() {
		t.Fatalf("%+v", out)
	}
	if st := s.Stats(); st.Rows != 1 || st.SiblingsKeys != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestMain(m *testing.M) {
	if dir := os.Getenv("ENGINE_TEST_VICTIM"); dir != "" {
		victim(dir)
		return
	}
	os.Exit(m.Run())
}
