package antientropy

import (
	"fmt"
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// shelf is memory as a store of a refiller. All keys are in slot 0.
type shelf struct {
	memory
	fills  []bool
	lives  causal.Actor
	adopts int
}

func (s *shelf) Range(_ ring.Partition, first bool, after wire.Ref, limit, maxBytes int, fn func(ring.Slot, []byte, causal.Container, error)) (bool, error) {
	var keys []string
	for key := range s.rows {
		if first || key > string(after.Key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for i, key := range keys {
		if i == limit {
			return false, nil
		}
		row, err := s.Row(0, 0, []byte(key))
		fn(0, []byte(key), row, err)
	}
	return true, nil
}

func (s *shelf) Adopt(_ ring.Partition, clock, flushed *causal.Clock, horizon causal.Vector) {
	s.adopts++
	s.replica.Clock.Union(clock)
	s.replica.Flushed.Union(flushed)
	s.replica.Horizon = s.replica.Horizon.Join(horizon)
}

func (s *shelf) Fill(_ ring.Partition, on bool) error {
	s.fills = append(s.fills, on)
	s.lives++
	s.replica.Filling, s.replica.Life, s.replica.Seq = on, s.lives, 0
	return nil
}

func (s *shelf) Put(p ring.Partition, slot ring.Slot, key []byte, row causal.Container, dots []causal.Dot) {
	delete(s.damaged, string(key))
	s.memory.Put(p, slot, key, row, dots)
}

// trim is what a log at its cap does.
func (s *shelf) trim() {
	var to causal.Vector
	for _, e := range s.replica.Clock.Entries() {
		to = to.With(causal.Dot{Actor: e.Actor, Seq: e.Base})
	}
	s.replica.Horizon = s.replica.Horizon.Join(to)
	s.log = slices.DeleteFunc(s.log, func(e wire.LogEntry) bool { return to.Covers(e.Dot) })
}

// reap takes a row away that every owner is said to have.
func (s *shelf) reap(key string) {
	s.replica.Horizon = s.replica.Horizon.Join(s.rows[key].Vector)
	delete(s.rows, key)
}

func (s *shelf) delete(key string) causal.Dot {
	row := s.rows[key]
	d := s.replica.Next()
	s.Put(0, 0, []byte(key), row.Discard(row.Context()).Add(causal.Version{Dot: d}), []causal.Dot{d})
	return d
}

// ward is owners of one partition that pull and fill; items are delivered by hand.
type ward struct {
	t         *testing.T
	now       int64
	ring      *ring.Map
	ids       []ring.NodeID
	pullers   []*Puller
	refillers []*Refiller
	stores    []*shelf
	parted    map[[2]int]bool
	alter     func(from, to int, it *wire.Item) (lost bool)
}

func newWard(t *testing.T, n int, change func(*FillConfig)) *ward {
	x := &ward{t: t, now: 1000, parted: map[[2]int]bool{}}
	m := ring.Found(ring.ClusterID{1}, [32]byte{}, n, 1, member(1))
	for id := ring.NodeID(2); int(id) <= n; id++ {
		next, err := m.WithMember(member(id))
		if err != nil {
			t.Fatal(err)
		}
		m = next
	}
	x.ring, x.ids = m, m.OwnersOf(0)
	for i, id := range x.ids {
		s := &shelf{memory: memory{rows: map[string]causal.Container{}, damaged: map[string]bool{}}, lives: causal.Actor(100 * (i + 1))}
		s.replica.Life = s.lives
		p := New(Config{Self: id, Every: 1000, Retry: 100, W: n/2 + 1, MaxEntries: 100, MaxBytes: 1 << 20, MaxAsked: 10}, s)
		cfg := FillConfig{Self: id, Retry: 100, Repeat: 1000, MaxFills: 2, MaxRows: 2, MaxBytes: 1 << 20, TickRows: 100}
		if change != nil {
			change(&cfg)
		}
		r := NewRefiller(cfg, s, p)
		x.pullers, x.refillers, x.stores = append(x.pullers, p), append(x.refillers, r), append(x.stores, s)
	}
	for i := range x.ids {
		x.install(i, true)
	}
	x.each(func(i, j int) { x.up(i, j) })
	return x
}

func (x *ward) install(i int, trusted bool) {
	x.pullers[i].Install(x.now, x.ring, func(ring.Partition) bool { return trusted })
	x.refillers[i].Install(x.now, x.ring)
}

func (x *ward) each(f func(i, j int)) {
	for i := range x.ids {
		for j := range x.ids {
			if i != j {
				f(i, j)
			}
		}
	}
}

func (x *ward) up(i, j int) {
	x.pullers[i].Up(x.now, x.ids[j])
	x.refillers[i].Up(x.now, x.ids[j])
}

// part takes the connection of two owners down, or up again.
func (x *ward) part(i, j int, down bool) {
	x.parted[[2]int{i, j}], x.parted[[2]int{j, i}] = down, down
	for _, e := range [][2]int{{i, j}, {j, i}} {
		if !down {
			x.up(e[0], e[1])
			continue
		}
		x.pullers[e[0]].Down(x.now, x.ids[e[1]])
		x.refillers[e[0]].Down(x.now, x.ids[e[1]])
	}
}

// pass lets time pass in steps of 10 ms.
func (x *ward) pass(ms int64) {
	for end := x.now + ms; x.now < end; x.now += 10 {
		for i := range x.ids {
			for _, part := range []wire.Part{x.pullers[i], x.refillers[i]} {
				part.Tick(x.now)
				out := slices.Clone(part.Outs())
				part.Reset()
				x.deliver(i, out)
			}
		}
	}
}

func (x *ward) deliver(from int, out []Out) {
	for _, o := range out {
		to := slices.Index(x.ids, o.To)
		if x.parted[[2]int{from, to}] || x.alter != nil && x.alter(from, to, &o.Item) {
			continue
		}
		for _, part := range []wire.Part{x.pullers[to], x.refillers[to]} {
			part.Step(x.now, x.ids[from], []wire.Item{o.Item})
			answers := slices.Clone(part.Outs())
			part.Reset()
			x.deliver(to, answers)
		}
	}
}

// equal fails unless all owners hold the same versions, and are whole.
func (x *ward) equal() {
	x.t.Helper()
	dots := func(s *shelf, key string) (out []causal.Dot) {
		row, _ := s.Row(0, 0, []byte(key))
		for i := range row.Versions {
			if row.Versions[i].Kind != causal.KindTombstone {
				out = append(out, row.Versions[i].Dot)
			}
		}
		return out
	}
	for i, s := range x.stores {
		for key := range s.rows {
			for j, o := range x.stores {
				if !slices.Equal(dots(s, key), dots(o, key)) {
					x.t.Errorf("key %s: owner %d has %v, owner %d has %v", key, i, dots(s, key), j, dots(o, key))
				}
			}
		}
		if !x.pullers[i].Whole(0) || s.replica.Filling || x.refillers[i].Filling(0) {
			x.t.Errorf("owner %d: whole %v, filling %v", i, x.pullers[i].Whole(0), s.replica.Filling)
		}
	}
}

func (x *ward) wipe(i int) {
	s := x.stores[i]
	s.rows, s.log, s.replica, s.damaged = map[string]causal.Container{}, nil, causal.Replica{}, map[string]bool{}
	s.Fill(0, true)
	x.install(i, false)
}

func TestAnEmptyReplicaIsFilledByOneWholeSource(t *testing.T) {
	x := newWard(t, 3, nil)
	for i := range 9 {
		x.stores[i%3].write(fmt.Sprint("k", i))
	}
	x.pass(2000)
	for _, s := range x.stores {
		s.trim() // the log is gone: pulls alone could not give it back
	}
	x.wipe(1)
	x.pass(2000)
	x.equal()
	s := x.stores[1]
	if len(s.rows) != 9 || s.adopts != 1 || !slices.Equal(s.fills, []bool{true, false}) {
		t.Fatalf("%d rows, %d adoptions, %v", len(s.rows), s.adopts, s.fills)
	}
	if !s.replica.Clock.CoversVector(x.stores[0].replica.Horizon) {
		t.Fatal("the horizon is not covered")
	}
}

// Where ranges take longer on their way than Retry, for their rows are large or the link is slow, more is waited for.
func TestAFillOverASlowLink(t *testing.T) {
	x := newWard(t, 3, nil)
	for i := range 9 {
		x.stores[i%3].write(fmt.Sprint("k", i))
	}
	x.pass(2000)
	for _, s := range x.stores {
		s.trim()
	}
	type late struct {
		at   int64
		from int
		item wire.Item
	}
	var way []late
	x.alter = func(from, to int, it *wire.Item) bool {
		if it.Kind == wire.ItemFilled {
			way = append(way, late{x.now + 350, from, *it})
		}
		return it.Kind == wire.ItemFilled
	}
	x.wipe(1)
	for range 1500 {
		x.pass(10)
		for len(way) > 0 && way[0].at <= x.now {
			x.refillers[1].Step(x.now, x.ids[way[0].from], []wire.Item{way[0].item})
			way = way[1:]
		}
	}
	x.equal()
	if len(x.stores[1].rows) != 9 {
		t.Fatalf("%d rows", len(x.stores[1].rows))
	}
}

// A replica that went back in time has a value whose deletion was reaped: it goes, and what the source never saw stays.
func TestAFillDropsWhatTheSourceKnowsToBeDead(t *testing.T) {
	x := newWard(t, 3, nil)
	x.stores[0].write("old")
	x.pass(2000)
	old := x.stores[2].rows["old"]
	clock, log := x.stores[2].replica.Clock.Clone(), slices.Clone(x.stores[2].log)
	x.stores[0].delete("old")
	x.pass(2000)
	for _, s := range x.stores {
		s.reap("old")
	}
	s := x.stores[2] // restored: the row, and the clock as it was
	s.replica = causal.Replica{Life: 900, Clock: clock}
	s.rows, s.log = map[string]causal.Container{"old": old}, log
	x.part(2, 0, true)
	x.part(2, 1, true)
	mine := s.write("mine")
	x.install(2, false)
	x.part(2, 0, false)
	x.part(2, 1, false)
	x.pass(4000)
	x.equal()
	for i, s := range x.stores {
		if len(s.rows["old"].Versions) > 0 || s.rows["mine"].Find(mine) == nil {
			t.Errorf("owner %d: old %v, mine %v", i, s.rows["old"], s.rows["mine"])
		}
	}
}

// A row that the source has lost without a trace is not taken for a deletion.
func TestAFillKeepsWhatTheSourceLost(t *testing.T) {
	x := newWard(t, 2, nil)
	d := x.stores[0].write("k")
	x.pass(2000)
	delete(x.stores[0].rows, "k")
	x.refillers[1].Behind(x.now, 0, x.ids[0])
	x.pass(1000)
	if x.stores[1].replica.Filling || x.stores[1].rows["k"].Find(d) == nil {
		t.Fatalf("filling %v, %v", x.stores[1].replica.Filling, x.stores[1].rows["k"])
	}
}

// The clock is of before the first range: what was written to a row that had been read comes later, by pull.
func TestTheClockIsTheFirstRanges(t *testing.T) {
	x := newWard(t, 2, func(c *FillConfig) { c.MaxRows = 1 })
	x.stores[0].write("a")
	x.stores[0].write("b")
	x.pass(1500)
	x.wipe(1)
	late := causal.Dot{}
	x.alter = func(_, to int, it *wire.Item) bool {
		if to == 0 && it.Kind == wire.ItemFill && it.Digest == 1 && late.Seq == 0 {
			late = x.stores[0].write("a")
		}
		return it.Kind == wire.ItemPulled
	}
	x.pass(500)
	if late.Seq == 0 || x.stores[1].replica.Filling {
		t.Fatal("not filled")
	}
	if x.stores[1].replica.Clock.Contains(late) {
		t.Fatal("the clock claims a row that was read before it changed")
	}
	x.alter = nil
	x.pass(1500)
	x.equal()
}

// What happened between two ranges makes the fill begin again: see finish.
func TestAFillBeginsAgain(t *testing.T) {
	for name, between := range map[string]func(s *shelf){
		"source reborn":  func(s *shelf) { s.lives++; s.replica.Life, s.replica.Seq = s.lives, 0 },
		"source trimmed": func(s *shelf) { s.write("a"); s.trim() },
		"source flushed": func(s *shelf) {
			clock := s.replica.Clock.Clone()
			s.Flush(0, s.replica.Next(), &clock)
		},
	} {
		t.Run(name, func(t *testing.T) {
			x := newWard(t, 2, func(c *FillConfig) { c.MaxRows = 1 })
			x.stores[0].write("a")
			x.stores[0].write("b")
			x.pass(1500)
			x.wipe(1)
			ranges := 0
			x.alter = func(_, to int, it *wire.Item) bool {
				if to == 0 && it.Kind == wire.ItemFill {
					if ranges++; ranges == 2 {
						between(x.stores[0])
					}
				}
				return false
			}
			x.pass(2000)
			if x.refillers[1].Stats.Again != 1 || x.refillers[1].Stats.Ended != 1 {
				t.Fatalf("%+v", x.refillers[1].Stats)
			}
			x.equal()
		})
	}
}

// Flushes come with the first range, also those that others will want to pull from here.
func TestAFillBringsTheFlushes(t *testing.T) {
	x := newWard(t, 2, nil)
	x.stores[0].write("k")
	x.pass(1500)
	clock := x.stores[0].replica.Clock.Clone()
	dot := x.stores[0].replica.Next()
	x.stores[0].Flush(0, dot, &clock)
	x.wipe(1)
	x.pass(1000)
	s := x.stores[1]
	if !s.replica.Flushed.Equal(&clock) || !slices.ContainsFunc(s.log, func(e wire.LogEntry) bool { return e.Dot == dot && e.Dropped != nil }) {
		t.Fatalf("flushed %v, log %v", s.replica.Flushed.Entries(), s.log)
	}
}

// Sources that are not whole count only all together.
func TestAFillFromReplicasThatAreNotWholeNeedsThemAll(t *testing.T) {
	x := newWard(t, 3, nil)
	v := x.stores[0].write("k")
	x.pass(2000)
	x.stores[1].rows, x.stores[1].log, x.stores[1].replica = map[string]causal.Container{}, nil, causal.Replica{Life: 950} // lost its tail
	x.part(0, 1, true)
	x.part(0, 2, true)
	x.pullers[1].restart(x.now, 0)
	x.wipe(2)
	x.pass(3000)
	if !x.stores[2].replica.Filling {
		t.Fatal("filled without the only owner that has the value")
	}
	x.part(0, 1, false)
	x.part(0, 2, false)
	x.pass(4000)
	x.equal()
	if x.stores[2].rows["k"].Find(v) == nil {
		t.Fatal("the value is gone")
	}
}

// A source with a row that it cannot read refuses: a range with a hole would be taken for deletions.
func TestASourceWithADamagedRowRefuses(t *testing.T) {
	x := newWard(t, 3, nil)
	v := x.stores[0].write("k")
	x.pass(2000)
	for _, s := range x.stores {
		s.trim()
	}
	x.stores[0].damaged["k"] = true
	x.wipe(1)
	x.pass(2000)
	if x.stores[1].replica.Filling || x.stores[1].rows["k"].Find(v) == nil {
		t.Fatalf("%v", x.stores[1].rows["k"])
	}
	if x.refillers[0].Stats.Unreadable == 0 {
		t.Fatal("the damaged source was not asked")
	}
}

// A row that cannot be read here is replaced by that of a source which knows all that this replica knew.
func TestADamagedRowIsReplacedByAFill(t *testing.T) {
	x := newWard(t, 2, nil)
	v := x.stores[0].write("k")
	x.pass(2000)
	x.stores[1].damaged["k"] = true
	delete(x.stores[1].rows, "k")
	x.refillers[1].Behind(x.now, 0, x.ids[0])
	x.pass(1000)
	if x.stores[1].replica.Filling || x.stores[1].damaged["k"] || x.stores[1].rows["k"].Find(v) == nil {
		t.Fatalf("%v", x.stores[1].rows["k"])
	}
}
