package antientropy

import (
	"fmt"
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// kept is memory as a store of a comparer: keys are in slot 7 but for those that name another.
type kept struct {
	memory
	renewed int
	life    causal.Actor
	deep    int
}

func slotOf(key []byte) ring.Slot {
	if len(key) > 2 && key[0] == 's' {
		return ring.Slot(key[1])
	}
	return 7
}

func (s *kept) Renew(ring.Partition) error {
	s.renewed++
	s.life += 100
	s.replica.Life, s.replica.Seq = s.life, 0
	return nil
}

func (s *kept) Walk(_ ring.Partition, deep bool) Walk {
	if deep {
		s.deep++
	}
	w := &keptWalk{s: s}
	for key := range s.rows {
		w.keys = append(w.keys, key)
	}
	slices.Sort(w.keys)
	return w
}

type keptWalk struct {
	s    *kept
	keys []string
}

func (w *keptWalk) Next(limit int, fn func(ring.Slot, []byte, causal.Container, error)) bool {
	for ; limit > 0 && len(w.keys) > 0; limit-- {
		row, err := w.s.Row(0, 0, []byte(w.keys[0]))
		fn(slotOf([]byte(w.keys[0])), []byte(w.keys[0]), row, err)
		w.keys = w.keys[1:]
	}
	return len(w.keys) == 0
}

// Put as an engine does: what is written is sound again.
func (s *kept) Put(p ring.Partition, slot ring.Slot, key []byte, row causal.Container, dots []causal.Dot) {
	delete(s.damaged, string(key))
	s.memory.Put(p, slot, key, row, dots)
}

// circle is owners of one partition that compare; items are delivered by hand.
type circle struct {
	t         *testing.T
	now       int64
	ids       []ring.NodeID
	comparers []*Comparer
	stores    []*kept
	wire      int // items delivered
	alter     func(from, to int, it *wire.Item)
}

func newCircle(t *testing.T, n int, change func(*CompareConfig)) *circle {
	x := &circle{t: t, now: 1_000_000}
	m := ring.Found(ring.ClusterID{1}, [32]byte{}, n, 1, member(1))
	for id := ring.NodeID(2); int(id) <= n; id++ {
		next, err := m.WithMember(member(id))
		if err != nil {
			t.Fatal(err)
		}
		m = next
	}
	x.ids = m.OwnersOf(0)
	for i, id := range x.ids {
		s := &kept{memory: memory{rows: map[string]causal.Container{}, damaged: map[string]bool{}}, life: causal.Actor(10 + i)}
		s.replica.Life = s.life
		cfg := CompareConfig{
			Self: id, Every: 100_000, First: 1000, Retry: 500, Timeout: 10_000,
			TickRows: 100, MaxKeys: 50, MaxBytes: 2000, Batch: 8, MaxRepairs: 1000,
		}
		if change != nil {
			change(&cfg)
		}
		c := NewComparer(cfg, s)
		c.Install(x.now, m)
		x.comparers, x.stores = append(x.comparers, c), append(x.stores, s)
	}
	for i, c := range x.comparers {
		for _, id := range x.ids {
			if id != x.ids[i] {
				c.Up(x.now, id)
			}
		}
	}
	return x
}

// pass lets time pass in steps of 10 ms.
func (x *circle) pass(ms int64) {
	for end := x.now + ms; x.now < end; x.now += 10 {
		for i, c := range x.comparers {
			c.Tick(x.now)
			out := slices.Clone(c.Outs())
			c.Reset()
			for _, o := range out {
				x.wire++
				to := slices.Index(x.ids, o.To)
				if x.alter != nil {
					x.alter(i, to, &o.Item)
				}
				x.comparers[to].Step(x.now, x.ids[i], []wire.Item{o.Item})
			}
		}
	}
}

// write is a plain SET through an owner, known to all.
func (x *circle) write(at int, key string) causal.Dot {
	s := x.stores[at]
	row := s.rows[key]
	d := s.replica.Next()
	row = row.Discard(row.Context()).Add(causal.Version{Dot: d, Kind: causal.KindString, Payload: []byte(key + "!")})
	for _, o := range x.stores {
		a := o.replica.Admit(o.rows[key], row)
		o.Put(0, slotOf([]byte(key)), []byte(key), a.Row, a.Fresh)
	}
	return d
}

func (x *circle) fill(n int) (keys []string) {
	for i := range n {
		key := fmt.Sprintf("s%c-%d", 'a'+i%20, i)
		x.write(i%len(x.stores), key)
		keys = append(keys, key)
	}
	return keys
}

// equal checks that all owners hold the same rows, n of them.
func (x *circle) equal(n int) {
	x.t.Helper()
	for i, s := range x.stores {
		if len(s.rows) != n || len(s.damaged) != 0 {
			x.t.Fatalf("owner %d has %d rows of %d, %d damaged", i, len(s.rows), n, len(s.damaged))
		}
		for key, row := range s.rows {
			if !causal.Same(row, x.stores[0].rows[key]) {
				x.t.Fatalf("key %s: owner %d has %+v, owner 0 %+v", key, i, row, x.stores[0].rows[key])
			}
		}
	}
}

// Rows vanish and are damaged at each of three owners; each key stands somewhere. One round repairs all of it.
func TestLostAndDamagedRowsComeBack(t *testing.T) {
	for _, n := range []int{10, 300, 2000} {
		x := newCircle(t, 3, nil)
		keys := x.fill(n)
		for i, key := range keys {
			switch at := x.stores[i%3]; i % 5 {
			case 0:
				delete(at.rows, key)
			case 1:
				at.damaged[key] = true
			}
		}
		x.pass(90_000)
		x.equal(n)
		for i, c := range x.comparers {
			if c.Stats.Lost == 0 || c.Stats.Bytes == 0 || c.Stats.Unsettled+c.Stats.Doubtful+c.Stats.TwoValues != 0 || x.stores[i].renewed != 1 {
				t.Errorf("owner %d: %+v, %d new lives", i, c.Stats, x.stores[i].renewed)
			}
			if d := c.Divergences(x.now); d[0].Partitions != 1 || d[1].Partitions != 1 || d[0].Differed+d[1].Differed == 0 || d[0].Age < 0 {
				t.Errorf("owner %d: %+v", i, d)
			}
		}
		for _, c := range x.comparers {
			c.Repair(x.now, -1)
		}
		x.pass(90_000)
		for i, c := range x.comparers {
			if d := c.Divergences(x.now); d[0].Differed+d[1].Differed != 0 || c.Due(x.now) != 0 || x.stores[i].deep == 0 {
				t.Errorf("owner %d, again: %+v", i, d)
			}
		}
	}
}

// Equal owners say three things per partition and peer in a round, and between rounds nothing.
func TestEqualOwnersAreQuiet(t *testing.T) {
	x := newCircle(t, 3, nil)
	x.fill(500)
	x.pass(900)
	if x.wire != 0 {
		t.Fatalf("%d items before the first round", x.wire)
	}
	x.pass(50_000)
	if x.wire != 12 { // sums and their answers, each owner with two others
		t.Errorf("%d items in a round", x.wire)
	}
	walked := x.comparers[0].Stats.Rows
	x.pass(40_000)
	if x.wire != 12 || x.comparers[0].Stats.Rows != walked || walked != 4*500 {
		t.Errorf("%d items, %d rows looked at", x.wire, x.comparers[0].Stats.Rows)
	}
	x.pass(60_000)
	if x.wire != 24 {
		t.Errorf("%d items in two rounds", x.wire)
	}
}

// With Every 0 nothing is compared until somebody asks.
func TestNeverMeansOnlyOnDemand(t *testing.T) {
	x := newCircle(t, 2, func(c *CompareConfig) { c.Every = 0 })
	keys := x.fill(30)
	delete(x.stores[0].rows, keys[3])
	x.pass(200_000)
	if x.wire != 0 || x.comparers[0].Age(x.now) != -1 {
		t.Fatalf("%d items", x.wire)
	}
	if n := x.comparers[1].Repair(x.now, 0); n != 1 { // the sound one: it tells the other what to look at
		t.Fatalf("%d comparisons", n)
	}
	if x.comparers[1].Tick(x.now); x.comparers[1].now == nil || x.comparers[1].Due(x.now) != 1 {
		t.Errorf("%d due while it is under way", x.comparers[1].Due(x.now))
	}
	x.pass(3000)
	x.equal(30)
	if x.comparers[1].Repair(x.now, 1) != 0 {
		t.Error("a partition that is not there")
	}
}

// A damaged row that nobody else has (a flush dropped it there) can be used again.
func TestADamagedRowOfNothingIsEmptied(t *testing.T) {
	x := newCircle(t, 2, nil)
	x.write(0, "sa-1")
	dropped := x.stores[0].replica.Clock.Clone()
	for _, s := range x.stores {
		s.replica.Flush(&dropped)
		delete(s.rows, "sa-1")
	}
	x.stores[1].rows["sa-1"], x.stores[1].damaged["sa-1"] = causal.Container{}, true
	x.pass(5000)
	if row, err := x.stores[1].Row(0, 0, []byte("sa-1")); err != nil || !row.Empty() {
		t.Fatalf("%+v, %v", row, err)
	}
}

// Two owners that cannot read their rows do not take that for an answer: the third one's row counts.
func TestDamagedRowsWaitForTheOneThatCanBeRead(t *testing.T) {
	x := newCircle(t, 3, nil)
	keys := x.fill(6)
	for _, key := range keys[2:5] {
		x.stores[0].damaged[key], x.stores[1].damaged[key] = true, true
	}
	for _, i := range []int{0, 1} {
		x.comparers[i].Down(x.now, x.ids[2])
		x.comparers[2].Down(x.now, x.ids[i])
	}
	x.pass(20_000)
	if n := x.comparers[0].Stats.Repaired + x.comparers[1].Stats.Repaired; n > 0 {
		t.Fatalf("%d rows repaired by nobody's", n)
	}
	for _, i := range []int{0, 1} {
		x.comparers[i].Up(x.now, x.ids[2])
		x.comparers[2].Up(x.now, x.ids[i])
		x.comparers[i].Repair(x.now, 0)
	}
	x.pass(20_000)
	x.equal(6)
}

// What no owner can read is lost, and the key can be used again.
func TestARowDamagedEverywhereIsEmptied(t *testing.T) {
	x := newCircle(t, 3, nil)
	keys := x.fill(6)
	for _, s := range x.stores {
		s.damaged[keys[2]] = true
	}
	x.pass(200_000)
	for i, s := range x.stores {
		if row, err := s.Row(0, 0, []byte(keys[2])); err != nil || !row.Empty() {
			t.Errorf("owner %d: %+v, %v", i, row, err)
		}
	}
}

// An owner that has not processed all that the asker has is not believed.
func TestAnOwnerThatIsBehindIsNotBelieved(t *testing.T) {
	x := newCircle(t, 2, nil)
	x.write(0, "sa-1")
	behind := x.stores[1].rows["sa-1"]
	clock := x.stores[1].replica.Clock.Clone()
	// Owner 0 deletes, owner 1 does not hear of it, and owner 0 loses the tombstone.
	x.stores[0].Mark(0, 0, []byte("sa-1"), []causal.Dot{x.stores[0].replica.Next()})
	delete(x.stores[0].rows, "sa-1")
	x.pass(30_000)
	if _, back := x.stores[0].rows["sa-1"]; back {
		t.Fatal("the deleted value is back")
	}
	if x.comparers[0].Stats.Unsettled == 0 || x.comparers[0].Due(x.now) != 0 {
		t.Errorf("%+v", x.comparers[0].Stats)
	}
	// Once it has (by a pull that brought the dot alone), what it holds is what there is.
	x.stores[1].replica.Clock.Union(&x.stores[0].replica.Clock)
	x.comparers[0].Repair(x.now, 0)
	x.pass(5000)
	if !causal.Same(x.stores[0].rows["sa-1"], behind) || clock.Equal(&x.stores[1].replica.Clock) {
		t.Fatal("the row was not put back")
	}
}

// What was written, and damaged, while an answer was on its way is not in it: a value must not come back beside it.
func TestAnAnswerIsOlderThanWhatWasDamagedMeanwhile(t *testing.T) {
	x := newCircle(t, 2, nil)
	x.write(0, "sa-1")
	old := x.stores[1].rows["sa-1"]
	delete(x.stores[0].rows, "sa-1") // so that it is asked for
	answers := 0
	x.alter = func(_, to int, it *wire.Item) {
		if it.Kind != wire.ItemFetched || to != 0 {
			return
		}
		if answers++; answers == 1 {
			s := x.stores[0]
			s.Mark(0, 0, []byte("sa-1"), []causal.Dot{s.replica.Next()})
			s.damaged["sa-1"] = true
		}
	}
	x.pass(3000)
	if answers == 0 || !x.stores[0].damaged["sa-1"] {
		t.Fatalf("%d answers; the row is %+v, after one that had replaced %+v", answers, x.stores[0].rows["sa-1"], old)
	}
}

// A bound on repairs spreads them over several exchanges.
func TestRepairsPerExchangeAreBounded(t *testing.T) {
	x := newCircle(t, 2, func(c *CompareConfig) { c.MaxRepairs = 20 })
	keys := x.fill(50)
	for _, key := range keys {
		delete(x.stores[0].rows, key)
	}
	most := uint64(0)
	for range 300 {
		before := x.comparers[0].Stats
		x.pass(10)
		if after := x.comparers[0].Stats; after.Exchanges != before.Exchanges {
			most = max(most, after.Repaired)
			break
		}
	}
	if most > 20 {
		t.Errorf("%d repairs in one exchange", most)
	}
	x.pass(30_000)
	x.equal(50)
}

// A question that is not answered does not hold up the others for ever.
func TestAnAnswerThatDoesNotCome(t *testing.T) {
	x := newCircle(t, 3, func(c *CompareConfig) { c.Timeout = 400 })
	keys := x.fill(40)
	delete(x.stores[0].rows, keys[0])
	x.alter = func(from, to int, it *wire.Item) {
		if from == 1 || to == 1 {
			it.Kind = wire.ItemInvalid
		}
	}
	x.pass(20_000)
	x.equal(40)
	x.comparers[0].Down(x.now, x.ids[1])
	x.comparers[1].Repair(x.now, -1)
	x.alter = nil
	x.comparers[0].Up(x.now, x.ids[1])
	x.pass(3000)
	if x.comparers[1].Age(x.now) < 0 {
		t.Error("not compared after the owner could be reached again")
	}
}

// What is refused, at the places where a peer could do harm.
func TestStrangeItemsAreIgnored(t *testing.T) {
	x := newCircle(t, 2, nil)
	x.fill(10)
	c, from := x.comparers[0], x.ids[1]
	for _, it := range []wire.Item{
		{Kind: wire.ItemSums, Compare: &wire.Compare{}},
		{Kind: wire.ItemSums, Compare: &wire.Compare{Leaves: []wire.Leaf{{Depth: 9}}}},
		{Kind: wire.ItemSums, Compare: &wire.Compare{Leaves: []wire.Leaf{{}, {}}}},
		{Kind: wire.ItemKeys, Compare: &wire.Compare{Leaves: []wire.Leaf{{Depth: 10}}}},
		{Kind: wire.ItemKeys, Partition: 3, Compare: &wire.Compare{Leaves: []wire.Leaf{{}}}},
		{Kind: wire.ItemFetch, Partition: 3, Compare: &wire.Compare{}},
		{Kind: wire.ItemHashed, ID: 1, Compare: &wire.Compare{}},
		{Kind: wire.ItemFetched, ID: 1, Clock: &causal.Clock{}},
	} {
		c.Step(x.now, from, []wire.Item{it})
		c.Tick(x.now)
		if len(c.Outs()) != 0 {
			t.Errorf("kind %d: answered", it.Kind)
		}
	}
	// A prefix of a whole hash is a leaf like any other.
	c.Step(x.now, from, []wire.Item{{Kind: wire.ItemKeys, Compare: &wire.Compare{Leaves: []wire.Leaf{{Depth: 9, Slot: 97, Prefix: 5}}}}})
	c.Tick(x.now)
	if len(c.Outs()) != 1 || len(c.Outs()[0].Item.Compare.Digests) != 0 {
		t.Error("not answered")
	}
}

// A horizon that one owner alone has is taken into account by both.
func TestHorizonsAreJoined(t *testing.T) {
	x := newCircle(t, 2, nil)
	x.write(0, "sa-1")
	x.write(1, "sa-1")
	x.write(0, "sb-2")
	low := causal.Vector{{Actor: x.stores[0].life, Seq: 1}}
	x.stores[1].replica.Horizon = low
	row := x.stores[1].rows["sa-1"]
	row.Vector = row.Vector[1:] // trimmed, as the horizon allows
	x.stores[1].rows["sa-1"] = row
	x.pass(10_000)
	for i, c := range x.comparers {
		if c.Stats.Differed != 0 || c.Stats.Exchanges == 0 {
			t.Errorf("owner %d: %+v", i, c.Stats)
		}
	}
	delete(x.stores[1].rows, "sa-1") // not below the horizon: the row's own dot is above
	delete(x.stores[0].rows, "sb-2")
	x.comparers[1].Repair(x.now, -1)
	x.pass(5000)
	if len(x.stores[1].rows) != 2 || len(x.stores[0].rows) != 2 {
		t.Errorf("%d and %d rows", len(x.stores[0].rows), len(x.stores[1].rows))
	}
}

func TestFingerprintsLeaveOutWhatReplicasNeedNotShare(t *testing.T) {
	var rep causal.Replica
	of := func(c causal.Container) uint64 { return Fingerprint(&rep, []byte("k"), c, 5000, nil) }
	v := causal.Version{Dot: causal.Dot{Actor: 1, Seq: 2}, Kind: causal.KindString, Payload: []byte("v")}
	row := causal.Container{}.Add(v)
	dead := causal.Container{}.Add(causal.Version{Dot: causal.Dot{Actor: 1, Seq: 3}, Kind: causal.KindTombstone})
	if of(causal.Container{}) != 0 || of(dead) != 0 {
		t.Error("a row without a value counts")
	}
	expired := v
	expired.Expiry = 4000
	if of(causal.Container{}.Add(expired)) != 0 {
		t.Error("a row that expired long ago counts")
	}
	expired.Expiry = 4001
	if of(causal.Container{}.Add(expired)) == 0 {
		t.Error("a row that another clock may show does not count")
	}
	other := v
	other.Payload = []byte("w")
	longer := causal.Container{Versions: row.Versions, Vector: row.Vector.Join(causal.Vector{{Actor: 9, Seq: 1}})}
	for _, c := range []causal.Container{{}, causal.Container{}.Add(other), longer, causal.Container{}.Add(expired)} {
		if of(c) == of(row) {
			t.Errorf("%+v looks like %+v", c, row)
		}
	}
	if Fingerprint(&rep, []byte("k"), longer, 0, causal.Vector{{Actor: 9, Seq: 1}}) != of(row) {
		t.Error("what the horizon covers counts")
	}
	rep.Flushed.Add(causal.Dot{Actor: 9, Seq: 1})
	if of(longer) != of(row) {
		t.Error("what a flush covers counts")
	}
}
