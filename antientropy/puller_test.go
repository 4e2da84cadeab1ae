package antientropy

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// memory is a Store of one partition's replica.
type memory struct {
	replica causal.Replica
	rows    map[string]causal.Container
	log     []wire.LogEntry
	damaged map[string]bool
	broken  bool // the log breaks off
	synced  *causal.Clock
}

func (s *memory) Replica(ring.Partition) *causal.Replica { return &s.replica }

func (s *memory) Durable(ring.Partition) *causal.Clock {
	if s.synced != nil {
		return s.synced
	}
	return &s.replica.Clock
}

// sync makes the clock durable. Before the first time all of it is, always.
func (s *memory) sync() {
	c := s.replica.Clock.Clone()
	s.synced = &c
}

func (s *memory) Row(_ ring.Partition, _ ring.Slot, key []byte) (causal.Container, error) {
	if s.damaged[string(key)] {
		return causal.Container{}, errors.New("checksum")
	}
	return s.replica.View(s.rows[string(key)]), nil
}

func (s *memory) Put(p ring.Partition, slot ring.Slot, key []byte, row causal.Container, dots []causal.Dot) {
	s.rows[string(key)] = row
	s.Mark(p, slot, key, dots)
}

func (s *memory) Mark(_ ring.Partition, slot ring.Slot, key []byte, dots []causal.Dot) {
	s.replica.Mark(dots)
	for _, d := range dots {
		s.log = append(s.log, wire.LogEntry{Dot: d, Slot: slot, Key: key})
	}
}

func (s *memory) Flush(_ ring.Partition, dot causal.Dot, dropped *causal.Clock) {
	s.replica.Flush(dropped)
	s.replica.Mark([]causal.Dot{dot})
	s.log = append(s.log, wire.LogEntry{Dot: dot, Dropped: dropped})
}

func (s *memory) AdoptClock(_ ring.Partition, c *causal.Clock) { s.replica.Clock.Union(c) }

func (s *memory) Log(_ ring.Partition, lacks *causal.Clock, fn func(wire.LogEntry) bool) error {
	slices.SortFunc(s.log, func(x, y wire.LogEntry) int { return x.Dot.Compare(y.Dot) })
	for _, e := range s.log {
		if !lacks.Contains(e.Dot) && !fn(e) {
			return nil
		}
	}
	if s.broken {
		return errors.New("checksum")
	}
	return nil
}

// write is a plain SET of this replica.
func (s *memory) write(key string) causal.Dot {
	row := s.rows[key]
	d := s.replica.Next()
	row = row.Discard(row.Context()).Add(causal.Version{Dot: d, Kind: causal.KindString, Payload: []byte(key)})
	s.Put(0, 0, []byte(key), row, []causal.Dot{d})
	return d
}

// owners are pullers of one partition; items are delivered by hand.
type owners struct {
	now     int64
	ids     []ring.NodeID
	pullers []*Puller
	stores  []*memory
}

func newOwners(t *testing.T, n, w int, trusted bool, change func(*Config)) *owners {
	x := &owners{now: 1000}
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
		s := &memory{rows: map[string]causal.Container{}, damaged: map[string]bool{}}
		s.replica.Life = causal.Actor(10 + i)
		cfg := Config{Self: id, Every: 1000, Retry: 100, W: w, MaxEntries: 100, MaxBytes: 1 << 20, MaxAsked: 10}
		if change != nil {
			change(&cfg)
		}
		p := New(cfg, s)
		p.Install(x.now, m, func(ring.Partition) bool { return trusted })
		x.pullers, x.stores = append(x.pullers, p), append(x.stores, s)
	}
	return x
}

func member(id ring.NodeID) ring.Member {
	return ring.Member{ID: id, Name: fmt.Sprint("n", id), Client: fmt.Sprintf("h:%d", id), Peer: fmt.Sprintf("h:%d", 100+id), Weight: 1}
}

// connect lets two owners hear each other.
func (x *owners) connect(i, j int) {
	x.pullers[i].Up(x.now, x.ids[j])
	x.pullers[j].Up(x.now, x.ids[i])
}

// settle asks and delivers until nobody says anything.
func (x *owners) settle() {
	for quiet := false; !quiet; {
		quiet = true
		for i, p := range x.pullers {
			p.Tick(x.now)
			out := slices.Clone(p.Outs())
			p.Reset()
			for _, o := range out {
				quiet = false
				x.pullers[slices.Index(x.ids, o.To)].Step(x.now, x.ids[i], []wire.Item{o.Item})
			}
		}
	}
}

func (x *owners) has(i int, key string, d causal.Dot) bool {
	return x.stores[i].rows[key].Find(d) != nil
}

func TestAnOwnerTakesWhatItLacks(t *testing.T) {
	x := newOwners(t, 2, 2, true, nil)
	old, last, other := x.stores[0].write("k"), x.stores[0].write("k"), x.stores[1].write("j")
	x.connect(0, 1)
	x.settle()
	if !x.has(1, "k", last) || !x.has(0, "j", other) {
		t.Fatal("a version is missing")
	}
	for i, s := range x.stores {
		for _, d := range []causal.Dot{old, last, other} {
			if !s.replica.Clock.Contains(d) {
				t.Errorf("owner %d has not processed %v", i, d)
			}
		}
	}
}

func TestALargeAnswerComesInPieces(t *testing.T) {
	x := newOwners(t, 2, 2, false, func(c *Config) { c.MaxEntries = 3 })
	for i := range 10 {
		x.stores[0].write(fmt.Sprint("k", i))
	}
	x.connect(0, 1)
	x.settle()
	if len(x.stores[1].rows) != 10 || !x.pullers[1].Whole(0) {
		t.Fatalf("%d of 10 rows, whole: %v", len(x.stores[1].rows), x.pullers[1].Whole(0))
	}
	if n := x.pullers[0].Stats.Answers; n < 4 {
		t.Fatalf("%d answers", n)
	}
}

// Only an answer that left nothing out carries the clock.
func TestAnIncompleteAnswerHasNoClock(t *testing.T) {
	x := newOwners(t, 2, 2, true, func(c *Config) { c.MaxEntries = 1 })
	x.stores[0].write("k")
	x.stores[0].write("j")
	x.pullers[0].Step(x.now, x.ids[1], []wire.Item{{Kind: wire.ItemPull, ID: 5, Clock: new(causal.Clock)}})
	if it := x.pullers[0].Outs()[0].Item; it.Has(wire.FlagComplete) || it.Clock != nil || len(it.Entries) != 1 {
		t.Fatalf("%+v", it)
	}
}

// An answer to an earlier question (of this life or another, or of an earlier connection) is dropped whole: its clock was
// not asked for with the clock that this replica asks with now.
func TestAnAnswerToAnotherQuestionIsDropped(t *testing.T) {
	x := newOwners(t, 2, 2, true, nil)
	d := x.stores[0].write("k")
	answer := x.answered(1, 0)
	x.pullers[1].Up(x.now, x.ids[0])
	x.pullers[1].Tick(x.now)
	x.pullers[1].Step(x.now, x.ids[0], []wire.Item{answer})
	if x.stores[1].replica.Clock.Contains(d) || x.pullers[1].Current(0) {
		t.Fatal("the late answer was taken")
	}
}

// answered lets one owner ask another, and gives the answer.
func (x *owners) answered(from, to int) wire.Item {
	x.pullers[from].Up(x.now, x.ids[to])
	x.pullers[from].Tick(x.now)
	it := x.pullers[from].Outs()[0].Item
	x.pullers[from].Reset()
	x.pullers[to].Step(x.now, x.ids[from], []wire.Item{it})
	defer x.pullers[to].Reset()
	return x.pullers[to].Outs()[0].Item
}

// An answer that takes long, for it is large or its link slow, is as good as any: the question stays the same however
// often it is put again, and that becomes rare.
func TestAnAnswerThatIsLongOnItsWay(t *testing.T) {
	x := newOwners(t, 2, 2, true, func(c *Config) { c.MaxAsked = 1 })
	d := x.stores[0].write("k")
	answer, again := x.answered(1, 0), 0
	for range 300 {
		x.now += 10
		x.pullers[1].Tick(x.now)
		again += len(x.pullers[1].Outs())
		x.pullers[1].Reset()
	}
	x.pullers[1].Step(x.now, x.ids[0], []wire.Item{answer, answer})
	if !x.stores[1].replica.Clock.Contains(d) || !x.pullers[1].Current(0) || x.pullers[1].asked != 0 {
		t.Fatal("the answer was dropped")
	}
	if again < 3 || again > 6 {
		t.Fatalf("put again %d times in 30 times Retry", again)
	}
}

func TestAFlushIsPulled(t *testing.T) {
	x := newOwners(t, 2, 2, true, nil)
	x.stores[0].write("k")
	x.connect(0, 1)
	x.settle()
	clock := x.stores[0].replica.Clock.Clone()
	x.stores[0].Flush(0, x.stores[0].replica.Next(), &clock)
	x.now += 1000
	x.settle()
	if row, _ := x.stores[1].Row(0, 0, []byte("k")); len(row.Versions) != 0 {
		t.Fatal("the flushed value lives")
	}
}

// A row that cannot be read hides its dots: they must not be marked, nor the clock taken over.
func TestADamagedRowKeepsItsDotsOpen(t *testing.T) {
	x := newOwners(t, 2, 2, false, nil)
	d, last, other := x.stores[0].write("k"), x.stores[0].write("k"), x.stores[0].write("j")
	x.stores[0].damaged["k"] = true
	x.connect(0, 1)
	x.settle()
	c := &x.stores[1].replica.Clock
	if c.Contains(d) || c.Contains(last) || !c.Contains(other) || x.pullers[1].Whole(0) {
		t.Fatalf("%v, whole: %v", c.Entries(), x.pullers[1].Whole(0))
	}
}

// A log that cannot be read to its end may hide any entry: what was read is used, the clock is not taken over.
func TestABrokenLogGivesNoClock(t *testing.T) {
	x := newOwners(t, 2, 2, false, nil)
	d := x.stores[0].write("k")
	x.stores[0].broken = true
	x.pullers[0].Step(x.now, x.ids[1], []wire.Item{{Kind: wire.ItemPull, ID: 5, Clock: new(causal.Clock)}})
	it := x.pullers[0].Outs()[0].Item
	if it.Has(wire.FlagComplete) || it.Clock != nil || len(it.Entries) != 1 || it.Entries[0].Dot != d {
		t.Fatalf("%+v", it)
	}
}

// With W of N, a replica that may have lost a tail is whole after N-W+1 others that are whole, or after all others.
func TestWhenAReplicaIsWhole(t *testing.T) {
	x := newOwners(t, 5, 3, false, nil)
	for j := 1; j < 4; j++ {
		x.connect(0, j)
	}
	x.settle()
	if x.pullers[0].Whole(0) {
		t.Fatal("whole by three of four that may all have lost the same write")
	}
	x.connect(0, 4)
	x.settle()
	if !x.pullers[0].Whole(0) {
		t.Fatal("not whole after all others")
	}
	for i := 1; i < 5; i++ { // owner 0 is whole: it counts, the others do not yet
		if x.pullers[i].Whole(0) {
			t.Fatalf("owner %d is whole by one", i)
		}
	}
}

// Peers without a map or a replica do not answer. Their questions must not take all places for ever.
func TestUnansweredQuestionsGiveUpTheirPlaces(t *testing.T) {
	x := newOwners(t, 3, 2, false, func(c *Config) { c.MaxAsked = 1 })
	p := x.pullers[0]
	p.Up(x.now, x.ids[1])
	p.Tick(x.now) // never answered
	p.Up(x.now, x.ids[2])
	asked := map[ring.NodeID]bool{}
	for range 5 {
		p.Reset()
		x.now += 100
		p.Tick(x.now)
		for _, o := range p.Outs() {
			asked[o.To] = true
		}
	}
	if len(asked) != 2 {
		t.Fatalf("asked only %v", asked)
	}
}
