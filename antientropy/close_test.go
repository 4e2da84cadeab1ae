package antientropy

import (
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// closing is members of a map, owners first, that close actors; items are delivered by hand.
type closing struct {
	t       *testing.T
	now     int64
	ids     []ring.NodeID
	closers []*Closer
	stores  []*kept
	hints   map[ring.NodeID]bool
	alter   func(from, to int, it *wire.Item) (lost bool)
	fenced  [][]causal.Actor
}

const over causal.Actor = 5 // the actor that is to be closed

// newClosing makes n members, of which the first two own the only partition.
func newClosing(t *testing.T, n int) *closing {
	x := &closing{t: t, now: 1000, hints: map[ring.NodeID]bool{}}
	m := ring.Found(ring.ClusterID{1}, [32]byte{}, 2, 1, member(1))
	for id := ring.NodeID(2); int(id) <= n; id++ {
		next, err := m.WithMember(member(id))
		if err != nil {
			t.Fatal(err)
		}
		m = next
	}
	x.ids = append(slices.Clone(m.OwnersOf(0)), m.Fallbacks(0)...)
	for i, id := range x.ids {
		s := &kept{memory: memory{rows: map[string]causal.Container{}, damaged: map[string]bool{}}, life: causal.Actor(10 + i)}
		s.replica.Life = s.life
		lives := newLives(id, s)
		lives.install(m)
		blocking := func(ring.Partition) (v causal.Vector) {
			for _, row := range s.rows { // order-free: joined
				if len(row.Versions) == 0 || row.Versions[0].Kind == causal.KindTombstone {
					v = v.Join(row.Vector)
				}
			}
			return v
		}
		c := NewCloser(CloseConfig{
			Self: id, Incarnation: causal.Actor(100 + i), Every: 10, After: 100, Timeout: 1000, Rows: 3, Partitions: 4, Actors: 2,
		}, s, lives, blocking, func(ring.Partition) bool { return x.hints[id] })
		c.Install(m)
		x.closers, x.stores = append(x.closers, c), append(x.stores, s)
	}
	x.fenced = make([][]causal.Actor, n)
	for i := range x.ids {
		for j := range x.ids {
			x.connect(i, j)
		}
	}
	for i := range 2 {
		x.closers[i].lives.Heard(0, x.ids[1-i], x.stores[1-i].life, &causal.Clock{})
	}
	return x
}

// connect tells i of a connection with the present boot of j.
func (x *closing) connect(i, j int) {
	if i != j {
		x.closers[i].Connected(x.ids[j], x.closers[j].cfg.Incarnation)
		x.closers[i].Up(x.now, x.ids[j])
	}
}

// pass lets time pass in steps of 10 ms.
func (x *closing) pass(ms int64) {
	for end := x.now + ms; x.now < end; x.now += 10 {
		for i, c := range x.closers {
			c.Tick(x.now)
			x.fenced[i] = append(x.fenced[i], c.Fenced()...)
			out := slices.Clone(c.Outs())
			c.Reset()
			for _, o := range out {
				to := slices.Index(x.ids, o.To)
				if x.alter == nil || !x.alter(i, to, &o.Item) {
					x.closers[to].Step(x.now, x.ids[i], []wire.Item{o.Item})
					x.fenced[to] = append(x.fenced[to], x.closers[to].Fenced()...)
					x.closers[to].fenced = nil
				}
			}
		}
	}
}

func (x *closing) hold(i int, seqs ...uint64) {
	for _, n := range seqs {
		x.stores[i].replica.Mark([]causal.Dot{{Actor: over, Seq: n}})
	}
}

func (x *closing) bases(want ...uint64) {
	x.t.Helper()
	for i, n := range want {
		if got := x.stores[i].replica.Clock.Base(over); got != n {
			x.t.Errorf("owner %d: base %d, want %d", i, got, n)
		}
	}
}

func TestAHoleThatNobodyCanFillIsClosed(t *testing.T) {
	x := newClosing(t, 3)
	x.hold(0, 1, 4)
	x.hold(1, 1, 4)
	x.pass(60)
	x.bases(1, 1) // it may yet be filled
	x.pass(200)
	x.bases(4, 4)
	if s := x.closers[0].Stats; s.Surveys != 1 || s.Ended != 1 || s.Closed != 1 {
		t.Errorf("%+v", s)
	}
	for i := range x.ids {
		if !slices.Contains(x.fenced[i], over) {
			t.Errorf("member %d has fenced %v", i, x.fenced[i])
		}
	}
	x.pass(2000)
	if n := x.closers[0].Stats.Surveys + x.closers[1].Stats.Surveys; n != 1 {
		t.Errorf("%d surveys", n)
	}
}

// A dot that a version had superseded before anybody saw it is in no clock, only in vectors, and holds back the row.
func TestWhatOnlyAVectorNamesIsClosed(t *testing.T) {
	x := newClosing(t, 3)
	dead := causal.Container{}.Add(causal.Version{Dot: causal.Dot{Actor: 77, Seq: 1}, Kind: causal.KindTombstone})
	dead.Vector = causal.Vector{{Actor: over, Seq: 6}}.Join(dead.Vector)
	for i := range 10 { // more than a slice
		x.stores[1].rows[string(rune('a'+i))] = causal.Container{}
	}
	x.stores[1].rows["k"] = dead
	x.hold(0, 1)
	x.hold(1, 1)
	x.pass(500)
	x.bases(6, 6)
}

// What one member alone holds exists. Whoever lacks it does not close, and takes it in later.
func TestAnOwnerThatLacksADotThatExistsDoesNotClose(t *testing.T) {
	x := newClosing(t, 3)
	x.hold(0, 1, 4)
	x.hold(1, 1, 2, 4)
	x.hold(2, 3) // no owner any more, but it has a replica
	x.pass(500)
	x.bases(1, 2)
	x.hold(0, 2)
	x.hold(1, 3)
	x.pass(1000)
	x.bases(2, 4)
	x.hold(0, 3)
	x.bases(4, 4)
}

// An actor that may still issue dots is not over; its own node knows best.
func TestACurrentLifeIsNotClosed(t *testing.T) {
	x := newClosing(t, 3)
	x.hold(0, 4)
	x.stores[1].replica.Life = over
	x.pass(1000)
	x.bases(0, 0)
	if s := x.closers[0].Stats; s.Surveys == 0 || s.Refused == 0 {
		t.Errorf("%+v", s)
	}
	x.closers[0].lives.Heard(0, x.ids[1], over, &causal.Clock{})
	n := x.closers[0].Stats.Surveys
	if x.pass(1000); x.closers[0].Stats.Surveys != n {
		t.Error("asked although the life is known to be current")
	}
}

// Every member is asked, and every member must answer: one that does not, or that holds a hint, may hold the dot.
func TestEveryMemberMustAnswer(t *testing.T) {
	for name, prevent := range map[string]func(x *closing) (undo func()){
		"down": func(x *closing) func() {
			x.closers[0].Down(x.now, x.ids[2])
			x.closers[1].Down(x.now, x.ids[2])
			return func() { x.connect(0, 2); x.connect(1, 2) }
		},
		"silent": func(x *closing) func() {
			x.alter = func(from, _ int, it *wire.Item) bool { return from == 2 && it.Kind == wire.ItemActorKnown }
			return func() { x.alter = nil }
		},
		"hint": func(x *closing) func() {
			x.hints[x.ids[2]] = true
			return func() { x.hints[x.ids[2]] = false }
		},
		"filling": func(x *closing) func() {
			x.stores[2].replica.Filling = true
			return func() { x.stores[2].replica.Filling = false }
		},
		"other map": func(x *closing) func() {
			r := *x.closers[2].ring
			r.Epoch++
			x.closers[2].Install(&r)
			return func() { x.closers[2].Install(x.closers[0].ring) }
		},
	} {
		x := newClosing(t, 3)
		x.hold(0, 4)
		undo := prevent(x)
		x.pass(2500)
		x.bases(0, 0)
		undo()
		x.pass(2500)
		x.bases(4, 0)
		if t.Failed() {
			t.Fatal(name)
		}
	}
}

// A member that is still connected with an earlier boot may be sent something of the actor in that connection. It does
// not answer before the connection is gone; then nothing can come of it.
func TestAConnectionWithAnEarlierBootPreventsClosing(t *testing.T) {
	x := newClosing(t, 3)
	x.hold(0, 4)
	x.closers[1].cfg.Incarnation = 201 // it has booted: member 2 has not noticed
	x.connect(0, 1)
	x.pass(1000)
	x.bases(0, 0)
	if x.closers[0].Stats.Refused == 0 {
		t.Error("member 2 has answered")
	}
	x.closers[2].Down(x.now, x.ids[1])
	x.pass(1000)
	x.bases(4)
}

// A member that boots while it is asked may have lost what it told, or told what it lost.
func TestASurveyEndsWithAConnection(t *testing.T) {
	x := newClosing(t, 3)
	x.hold(0, 4)
	x.alter = func(from, _ int, it *wire.Item) bool { return from == 2 }
	x.pass(150)
	if x.closers[0].now == nil || len(x.closers[0].now.actors[0].left) != 1 {
		t.Fatal("nothing is asked")
	}
	late := wire.Item{Kind: wire.ItemActorKnown, ID: x.closers[0].now.actors[0].id, Life: over, Clock: &causal.Clock{}}
	x.closers[0].Down(x.now, x.ids[2])
	x.connect(0, 2)
	x.closers[0].Step(x.now, x.ids[2], []wire.Item{late})
	x.bases(0)
}

// The actor of a boot that still runs, in which a replica began another life, is not fenced: that would cut its node off.
func TestARenewedLifeIsNotFenced(t *testing.T) {
	x := newClosing(t, 3)
	x.closers[1].cfg.Incarnation = over
	x.connect(0, 1)
	x.connect(2, 1)
	x.hold(0, 4)
	x.pass(500)
	x.bases(4)
	for i, f := range x.fenced {
		if len(f) != 0 {
			t.Errorf("member %d has fenced %v", i, f)
		}
	}
}

// Nothing that arrives twice, late or wrong does harm.
func TestStrangeClosings(t *testing.T) {
	x := newClosing(t, 2)
	dots := causal.Upto(over, 4)
	x.hold(0, 1, 2, 3, 4, 7)
	for _, it := range []wire.Item{
		{Kind: wire.ItemClose, Life: over, Digest: 3, Clock: &dots},                         // lower than what there is
		{Kind: wire.ItemClose, Life: x.stores[0].life, Digest: 9, Clock: &causal.Clock{}},   // the current life
		{Kind: wire.ItemClose, Partition: 9, Life: over, Digest: 9, Clock: &causal.Clock{}}, // no partition of the map
		{Kind: wire.ItemActorKnown, ID: 1, Life: over, Clock: &causal.Clock{}},              // not asked
		{Kind: wire.ItemActor, Partition: 9, Life: over, Digest: 2, Repair: &wire.Repair{}}, // no partition of the map
	} {
		x.closers[0].Step(x.now, x.ids[1], []wire.Item{it})
	}
	x.bases(4)
	if c := &x.stores[0].replica.Clock; c.Contains(causal.Dot{Actor: x.stores[0].life, Seq: 1}) || len(x.closers[0].Outs()) != 0 {
		t.Fatalf("%+v", c)
	}
}
