package antientropy

import (
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// grave is memory as a store that forgets.
type grave struct {
	*memory
	reaps, trims, looks int
}

func (s *grave) Reap(_ ring.Partition, _ ring.Slot, key []byte, left causal.Container, over causal.Vector) {
	s.reaps++
	if delete(s.rows, string(key)); !left.Empty() {
		s.rows[string(key)] = left
	}
	s.replica.Horizon = s.replica.Horizon.Join(over)
}

func (s *grave) Trim(_ ring.Partition, to causal.Vector) {
	s.trims++
	s.replica.Horizon = s.replica.Horizon.Join(to)
	s.log = slices.DeleteFunc(s.log, func(e wire.LogEntry) bool { return to.Covers(e.Dot) })
}

func (s *grave) Logged(ring.Partition) int { return len(s.log) }

// Dead shows rows in order, two at most in a call.
func (s *grave) Dead(p ring.Partition, expired int64, limit int, fn func(ring.Slot, []byte, causal.Container)) bool {
	var keys []string
	for key, row := range s.rows {
		dead := func(v causal.Version) bool {
			return v.Kind == causal.KindTombstone || v.Expiry != 0 && v.Expiry <= expired
		}
		if len(row.Versions) == 0 || slices.ContainsFunc(row.Versions, dead) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	more := len(keys) > s.looks+limit
	for _, key := range keys[min(s.looks, len(keys)):min(s.looks+limit, len(keys))] {
		fn(0, []byte(key), s.rows[key])
	}
	if s.looks += limit; !more {
		s.looks = 0
	}
	return more
}

// reaping is two owners that reap.
type reaping struct {
	*owners
	graves  []*grave
	reapers []*Reaper
}

func newReaping(t *testing.T, rows int) *reaping {
	x := &reaping{owners: newOwners(t, 2, 2, true, nil)}
	for i, s := range x.stores {
		s.sync()
		g := &grave{memory: s}
		r := NewReaper(ReapConfig{Self: x.ids[i], Every: 100, Partitions: 4, Rows: rows}, g, x.pullers[i])
		r.Install(x.now, x.pullers[i].ring)
		x.graves, x.reapers = append(x.graves, g), append(x.reapers, r)
	}
	x.connect(0, 1)
	return x
}

// pass lets so many turns of the reapers pass, and pulls as they come.
func (x *reaping) pass(turns int) {
	for range turns {
		x.now += 100
		x.settle()
		for _, r := range x.reapers {
			r.Tick(x.now)
		}
	}
}

func (x *reaping) sync() {
	for _, s := range x.stores {
		s.sync()
	}
}

// put stores a version over a row at the first owner.
func (x *reaping) put(key string, v causal.Version) causal.Dot {
	s := x.stores[0]
	v.Dot = s.replica.Next()
	row := s.rows[key]
	s.Put(0, 0, []byte(key), row.Discard(row.Context()).Add(v), []causal.Dot{v.Dot})
	return v.Dot
}

func TestATombstoneGoesWhenAllHoldItDurably(t *testing.T) {
	x := newReaping(t, 100)
	x.put("k", causal.Version{Kind: causal.KindString})
	x.put("k", causal.Version{Kind: causal.KindTombstone})
	kept := x.put("j", causal.Version{Kind: causal.KindString})
	x.pass(40)
	if x.graves[0].reaps+x.graves[1].reaps+x.graves[0].trims+x.graves[1].trims != 0 {
		t.Fatal("forgotten before it was durable")
	}
	if x.reapers[0].Stats.Waiting != 1 {
		t.Fatalf("%+v", x.reapers[0].Stats)
	}
	x.sync()
	x.pass(25) // two intervals of the pulls, and some
	for i, g := range x.graves {
		if len(g.rows) != 1 || len(g.log) != 0 || g.replica.Horizon.Of(kept.Actor) != 3 {
			t.Errorf("owner %d: %d rows, %d log entries, horizon %v", i, len(g.rows), len(g.log), g.replica.Horizon)
		}
		if s := x.reapers[i].Stats; s.Reaped != 1 || s.Trimmed == 0 || s.Waiting != 0 || s.Blocked == 0 {
			t.Errorf("owner %d: %+v", i, s)
		}
	}
	pulls, looked := x.pullers[0].Stats.Pulls, x.graves[0].trims
	x.pass(300)
	if n := x.pullers[0].Stats.Pulls - pulls; n > 6 || x.graves[0].trims != looked { // 30 intervals
		t.Errorf("%d pulls, trimmed %d times while nothing is to be done", n, x.graves[0].trims-looked)
	}
}

// A tombstone beside a live value goes, and the row keeps its vector: else the other owner's copy would bring it back, or
// the value that it had deleted.
func TestATombstoneBesideAValue(t *testing.T) {
	x := newReaping(t, 100)
	dead := x.put("k", causal.Version{Kind: causal.KindTombstone})
	s := x.stores[1]
	v := causal.Version{Dot: s.replica.Next(), Kind: causal.KindString}
	s.Put(0, 0, []byte("k"), causal.Container{}.Add(v), []causal.Dot{v.Dot})
	x.pass(20)
	x.sync()
	x.pass(25)
	for i, g := range x.graves {
		if row := g.rows["k"]; len(row.Versions) != 1 || row.Versions[0].Dot != v.Dot || !row.Vector.Covers(dead) || len(row.Vector) != 2 {
			t.Errorf("owner %d: %+v", i, row)
		}
	}
}

// The dot of a tombstone is stable, but its vector names a dot that an owner lacks: if the row went, the version of that
// dot would be new here when it comes at last, and the deleted value back.
func TestARowWaitsForItsWholeVector(t *testing.T) {
	x := newReaping(t, 100)
	late := causal.Dot{Actor: 99, Seq: 1}
	x.put("k", causal.Version{Kind: causal.KindTombstone})
	row := x.stores[0].rows["k"]
	row.Vector = row.Vector.Join(causal.Vector{late})
	x.stores[0].rows["k"] = row
	x.pass(20)
	x.sync()
	x.pass(30)
	for i, g := range x.graves {
		if len(g.rows) != 1 {
			t.Errorf("owner %d has reaped it", i)
		}
		if v := x.reapers[i].Blocking(0); !slices.Equal(v, causal.Vector{late}) {
			t.Errorf("owner %d: blocked by %v", i, v)
		}
	}
	for _, s := range x.stores {
		s.replica.Mark([]causal.Dot{late})
	}
	x.sync()
	x.pass(25)
	for i, g := range x.graves {
		if len(g.rows) != 0 || !g.replica.Horizon.Covers(late) || len(x.reapers[i].Blocking(0)) != 0 {
			t.Errorf("owner %d: %+v, horizon %v, blocked by %v", i, g.rows, g.replica.Horizon, x.reapers[i].Blocking(0))
		}
	}
}

// An expired version counts as a tombstone when every clock agrees that it has expired, and never for a clock that is off.
func TestAnExpiredVersionGoesWhenAllClocksAgree(t *testing.T) {
	x := newReaping(t, 100)
	x.put("k", causal.Version{Kind: causal.KindString, Expiry: x.now + 10_000})
	x.sync()
	x.pass(25)
	x.sync()
	x.reapers[1].ClockOff(true)
	x.pass(84) // now 10.9 s
	if len(x.graves[0].rows) != 1 {
		t.Fatal("reaped while another clock may show it")
	}
	x.pass(20)
	if len(x.graves[0].rows) != 0 || len(x.graves[1].rows) != 1 {
		t.Fatalf("%d and %d rows", len(x.graves[0].rows), len(x.graves[1].rows))
	}
	x.reapers[1].ClockOff(false)
	x.pass(20)
	if len(x.graves[1].rows) != 0 {
		t.Fatal("never reaped")
	}
}

// A Tick looks at a bounded number of rows, and comes to all of them.
func TestReapingIsDoneInSlices(t *testing.T) {
	x := newReaping(t, 3)
	for i := range 20 {
		x.put(string(rune('a'+i)), causal.Version{Kind: causal.KindTombstone})
	}
	x.pass(12)
	x.sync()
	x.pass(12)
	most := 0
	for range 200 {
		before := x.graves[0].reaps
		x.pass(1)
		most = max(most, x.graves[0].reaps-before)
	}
	if most > 3 || len(x.graves[0].rows) != 0 {
		t.Fatalf("%d in one Tick, %d rows are left", most, len(x.graves[0].rows))
	}
}
