package handoff

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// memory is a Store of one partition's replica and of hints for it.
type memory struct {
	replica *causal.Replica // nil: none
	synced  causal.Clock
	rows    map[string]causal.Container
	hints   map[string]causal.Container
	damaged map[string]bool
	shown   int // hints
}

func (s *memory) Hint(_ ring.Partition, _ ring.Slot, key []byte) (causal.Container, error) {
	if s.damaged[string(key)] {
		return causal.Container{}, errors.New("checksum")
	}
	return s.hints[string(key)], nil
}

func (s *memory) PutHint(_ ring.Partition, _ ring.Slot, key []byte, row causal.Container) {
	s.hints[string(key)] = row
	if row.Empty() {
		delete(s.hints, string(key))
	}
}

func (s *memory) Hints(_ ring.Partition, first bool, after wire.Ref, limit int, fn func(ring.Slot, []byte, causal.Container)) bool {
	var keys []string
	for k := range s.hints { // order-free: sorted below
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if !first && k <= string(after.Key) {
			continue
		}
		if limit == 0 {
			return false
		}
		limit--
		s.shown++
		fn(0, []byte(k), s.hints[k])
	}
	return true
}

func (s *memory) HintStats() (int, int64) {
	bytes := 0
	for k, row := range s.hints { // order-free: a sum
		bytes += len(k) + row.Size()
	}
	return len(s.hints), int64(bytes)
}

func (s *memory) HintCount(ring.Partition) int { return len(s.hints) }

func (s *memory) HintParts() []ring.Partition {
	if len(s.hints) == 0 {
		return nil
	}
	return []ring.Partition{0}
}

func (s *memory) Replica(ring.Partition) *causal.Replica { return s.replica }

func (s *memory) Durable(ring.Partition) *causal.Clock { return &s.synced }

func (s *memory) Row(_ ring.Partition, _ ring.Slot, key []byte) (causal.Container, error) {
	if s.damaged[string(key)] {
		return causal.Container{}, errors.New("checksum")
	}
	return s.replica.View(s.rows[string(key)]), nil
}

func (s *memory) Put(_ ring.Partition, _ ring.Slot, key []byte, row causal.Container, dots []causal.Dot) {
	s.rows[string(key)] = row
	s.replica.Mark(dots)
}

func (s *memory) sync() { s.synced = s.replica.Clock.Clone() }

// world is three owners A B C (in the list's order) of one partition and two members D and E that own nothing. Items are
// delivered by hand; of coordinators only what takes a write in is there.
type world struct {
	t        *testing.T
	now      int64
	ring     *ring.Map
	ids      []ring.NodeID
	machines []*Machine
	stores   []*memory
	up       map[[2]int]bool
	refuses  map[int]bool // writes
	silent   map[int]bool // answers no write
	writes   []int        // by receiver
}

const a, b, c, d, e = 0, 1, 2, 3, 4

func member(id ring.NodeID) ring.Member {
	return ring.Member{ID: id, Name: fmt.Sprint("n", id), Client: fmt.Sprintf("h:%d", id), Peer: fmt.Sprintf("h:%d", 100+id), Weight: 1}
}

func newWorld(t *testing.T, change func(*Config)) *world {
	x := &world{t: t, now: 1_000_000, up: map[[2]int]bool{}, refuses: map[int]bool{}, silent: map[int]bool{}, writes: make([]int, 5)}
	x.ring = ring.Found(ring.ClusterID{1}, [32]byte{2}, 3, 1, member(1))
	for id := ring.NodeID(2); id <= 5; id++ {
		next, err := x.ring.WithMember(member(id))
		if err != nil {
			t.Fatal(err)
		}
		x.ring = next
	}
	x.ids = append(append(x.ids, x.ring.OwnersOf(0)...), x.ring.Fallbacks(0)...)
	for i, id := range x.ids {
		s := &memory{rows: map[string]causal.Container{}, hints: map[string]causal.Container{}, damaged: map[string]bool{}}
		if i <= c {
			s.replica = &causal.Replica{Life: causal.Actor(10 + i)}
		}
		cfg := Config{Self: id, Every: 1000, Retry: 100, Timeout: 500, Window: 2, TickRows: 10, MaxRounds: 4, MaxBytes: 1 << 20}
		if change != nil {
			change(&cfg)
		}
		m := New(cfg, s)
		m.Install(x.now, x.ring)
		x.machines, x.stores = append(x.machines, m), append(x.stores, s)
	}
	return x
}

func (x *world) index(id ring.NodeID) int { return slices.Index(x.ids, id) }

func (x *world) connect(i, j int) {
	x.up[[2]int{i, j}], x.up[[2]int{j, i}] = true, true
	x.machines[i].Up(x.now, x.ids[j])
	x.machines[j].Up(x.now, x.ids[i])
	x.settle()
}

func (x *world) part(i, j int) {
	x.up[[2]int{i, j}], x.up[[2]int{j, i}] = false, false
	x.machines[i].Down(x.now, x.ids[j])
	x.machines[j].Down(x.now, x.ids[i])
	x.settle()
}

// settle delivers items until nobody says anything.
func (x *world) settle() {
	for quiet := false; !quiet; {
		quiet = true
		for i, m := range x.machines {
			out := slices.Clone(m.Outs())
			m.Reset()
			for _, o := range out {
				to := x.index(o.To)
				if !x.up[[2]int{i, to}] {
					x.t.Fatalf("an item of kind %d for a node that is not connected", o.Item.Kind)
				}
				quiet = false
				x.machines[to].Step(x.now, x.ids[i], []wire.Item{o.Item})
				if o.Item.Kind == wire.ItemWrite {
					x.write(i, to, &o.Item)
				}
			}
		}
	}
}

// write does what the coordinator at an owner does with a write.
func (x *world) write(from, to int, it *wire.Item) {
	x.writes[to]++
	if it.Life != 0 || it.ID&idBit == 0 {
		x.t.Fatalf("life %d id %x", it.Life, it.ID)
	}
	if x.silent[to] {
		return
	}
	ack := wire.Item{Kind: wire.ItemAck, ID: it.ID}
	if x.refuses[to] {
		ack.Flags = wire.FlagRefused
	} else {
		s := x.stores[to]
		row, _ := s.Row(0, 0, it.Key)
		out := s.replica.Admit(row, it.Row)
		s.Put(0, 0, it.Key, out.Row, out.Fresh)
	}
	x.machines[from].Step(x.now, x.ids[to], []wire.Item{ack})
}

// wait lets time pass in steps of 20 ms.
func (x *world) wait(ms int64) {
	for end := x.now + ms; x.now < end; {
		x.now += 20
		for _, m := range x.machines {
			m.Tick(x.now)
		}
		x.settle()
	}
}

// value is a row of one version of owner A's, written over what A holds.
func (x *world) value(key string) causal.Container {
	s := x.stores[a]
	row := s.rows[key]
	v := causal.Version{Dot: s.replica.Next(), Kind: causal.KindString, Payload: []byte(key)}
	row = row.Discard(row.Context()).Add(v)
	s.Put(0, 0, []byte(key), row, []causal.Dot{v.Dot})
	return row
}

func hintItem(key string, row causal.Container) wire.Item {
	return wire.Item{Kind: wire.ItemHint, ID: 7, Key: []byte(key), Row: row}
}

// hint gives a node a hint and reports whether it took it.
func (x *world) hint(at int, it wire.Item) bool {
	x.machines[at].Step(x.now, x.ids[a], []wire.Item{it})
	out := slices.Clone(x.machines[at].Outs())
	x.machines[at].Reset()
	if len(out) != 1 || out[0].Item.Kind != wire.ItemAck || out[0].Item.ID != it.ID || out[0].To != x.ids[a] {
		x.t.Fatalf("answer %+v", out)
	}
	return !out[0].Item.Has(wire.FlagRefused)
}

func (x *world) sync() {
	for _, s := range x.stores[:d] {
		s.sync()
	}
}

func (x *world) holds(at int, key string, row causal.Container) bool {
	return x.stores[at].rows[key].Find(row.Versions[0].Dot) != nil
}
