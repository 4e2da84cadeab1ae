package handoff

import (
	"fmt"
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

func TestAHintIsKeptAndMerged(t *testing.T) {
	x := newWorld(t, nil)
	first := x.value("k")
	second := x.value("k")
	if !x.hint(d, hintItem("k", second)) || !x.hint(d, hintItem("k", first)) {
		t.Fatal("refused")
	}
	if !causal.Same(x.stores[d].hints["k"], second) {
		t.Fatalf("keeps %+v", x.stores[d].hints["k"])
	}
	if n, bytes := x.machines[d].Waiting(); n != 1 || bytes == 0 || !x.machines[d].Held(0) {
		t.Fatalf("%d hints, %d bytes", n, bytes)
	}
}

func TestHintsThatAreRefused(t *testing.T) {
	x := newWorld(t, nil)
	row := x.value("k")
	if x.hint(b, hintItem("k", row)) {
		t.Error("an owner is sent writes, not hints")
	}
	beyond := hintItem("k", row)
	beyond.Partition = 1
	if x.hint(d, beyond) {
		t.Error("a partition that is not")
	}
	x.stores[d].damaged["k"] = true
	if x.hint(d, hintItem("k", row)) {
		t.Error("what is kept of the key cannot be read")
	}
	m := New(Config{Self: x.ids[d], MaxBytes: 1 << 20}, x.stores[d])
	x.machines[d] = m
	if x.hint(d, hintItem("j", row)) {
		t.Error("no map yet")
	}
	if m.Stats.Refused != 1 || len(x.stores[d].hints) != 0 {
		t.Errorf("%+v", m.Stats)
	}
}

// At the cap a hint is refused, whatever it would replace; none that is kept goes for it.
func TestTheCapRefusesAndDropsNothing(t *testing.T) {
	x := newWorld(t, nil)
	old := x.value("old")
	if !x.hint(d, hintItem("old", old)) {
		t.Fatal("refused")
	}
	_, bytes := x.machines[d].Waiting()
	x.machines[d].cfg.MaxBytes = bytes
	if x.hint(d, hintItem("new", x.value("new"))) {
		t.Error("no room, and taken")
	}
	if !x.hint(d, hintItem("old", x.value("old"))) || len(x.stores[d].hints) != 1 {
		t.Error("a newer version of the same size needs no room")
	}
}

// A hint reaches every owner that lacks it, without traffic, when the owner comes up, and leaves when all have it durably.
func TestAHintIsHandedOver(t *testing.T) {
	x := newWorld(t, nil)
	row := x.value("k")
	x.hint(d, hintItem("k", row))
	x.connect(d, a)
	x.connect(d, b)
	if !x.holds(b, "k", row) {
		t.Fatal("b came up and was told nothing")
	}
	x.sync()
	x.wait(3000)
	if !x.machines[d].Held(0) {
		t.Fatal("deleted, and c was never heard")
	}
	x.connect(d, c)
	if !x.holds(c, "k", row) || !x.machines[d].Held(0) {
		t.Fatal("deleted by an acknowledgement, or not sent")
	}
	x.wait(3000)
	if !x.machines[d].Held(0) {
		t.Fatal("deleted, and c does not have it durably")
	}
	x.sync()
	x.wait(200)
	if x.machines[d].Held(0) || len(x.machines[d].parts) != 0 {
		t.Fatal("not deleted")
	}
	s := x.machines[d].Stats
	if s.Deleted != 1 || s.Replayed == 0 || s.Rejected != 0 {
		t.Fatalf("%+v", s)
	}
	for _, g := range x.machines[d].Targets() { // what was handed over is told although nothing is left
		s.Replayed -= g.Replayed
		if g.Waiting != 0 || g.Replayed == 0 {
			t.Errorf("%+v", g)
		}
	}
	if s.Replayed != 0 {
		t.Errorf("%d copies too few are told of", s.Replayed)
	}
}

func TestHintsAreHandedOverAfterABoot(t *testing.T) {
	x := newWorld(t, nil)
	row := x.value("k")
	x.hint(d, hintItem("k", row))
	x.machines[d] = New(x.machines[d].cfg, x.stores[d])
	x.machines[d].Install(x.now, x.ring)
	for i := range d {
		x.connect(d, i)
	}
	if !x.holds(b, "k", row) || !x.holds(c, "k", row) {
		t.Fatal("an owner lacks it")
	}
}

// What an owner said of its clock is worth nothing after its connection: a power cut may have taken it back.
func TestClocksOfAnEarlierConnectionDoNotCount(t *testing.T) {
	x := newWorld(t, func(cfg *Config) { cfg.TickRows = 1 })
	for i := range 3 {
		row := x.value(fmt.Sprint("k", i))
		for _, o := range []int{b, c} {
			x.stores[o].Put(0, 0, fmt.Append(nil, "k", i), row, []causal.Dot{row.Versions[0].Dot})
		}
		x.hint(d, hintItem(fmt.Sprint("k", i), row))
	}
	x.sync()
	for i := range d {
		x.up[[2]int{d, i}], x.up[[2]int{i, d}] = true, true
		x.machines[d].Up(x.now, x.ids[i])
		x.machines[i].Up(x.now, x.ids[d])
	}
	x.settle()
	x.now += 20
	x.machines[d].Tick(x.now) // the next round: it has begun with three clocks, and one hint a tick
	x.settle()
	if n, _ := x.machines[d].Waiting(); n == 0 || n == 3 {
		t.Fatalf("%d of 3 left: the round is not under way", n)
	}
	before, _ := x.machines[d].Waiting()
	x.part(d, b)
	x.machines[d].Tick(x.now + 20)
	x.machines[d].Tick(x.now + 40)
	if n, _ := x.machines[d].Waiting(); n != before {
		t.Fatal("deleted although an owner is gone")
	}
}

// Few hints are under way to one owner, and the next follow its acknowledgements: nothing of this waits for a tick.
func TestTheWindow(t *testing.T) {
	x := newWorld(t, nil)
	for i := range 9 {
		x.hint(d, hintItem(fmt.Sprint("k", i), x.value(fmt.Sprint("k", i))))
	}
	x.silent[b] = true
	x.connect(d, b)
	if x.writes[b] != 2 || x.machines[d].Targets()[0].UnderWay+x.machines[d].Targets()[1].UnderWay+x.machines[d].Targets()[2].UnderWay != 2 {
		t.Fatalf("%d under way", x.writes[b])
	}
	x.wait(480)
	if x.writes[b] != 2 {
		t.Fatalf("%d sent without an answer", x.writes[b])
	}
	x.silent[b] = false
	x.wait(700) // they are given up, and offered again
	if n := len(x.stores[b].rows); n != 9 {
		t.Fatalf("%d of 9", n)
	}
	if r := x.machines[d].Stats.Rejected; r != 2 {
		t.Fatalf("%d given up", r)
	}
	x.connect(d, c)
	if n := len(x.stores[c].rows); n != 9 {
		t.Fatalf("%d of 9 without a tick", n)
	}
}

// An owner that refuses holds up nobody else, and is tried again later.
func TestARefusalIsTriedAgain(t *testing.T) {
	x := newWorld(t, nil)
	x.refuses[b] = true
	for i := range 5 {
		x.hint(d, hintItem(fmt.Sprint("k", i), x.value(fmt.Sprint("k", i))))
	}
	for i := range d {
		x.connect(d, i)
	}
	if len(x.stores[c].rows) != 5 || len(x.stores[b].rows) != 0 {
		t.Fatalf("c has %d", len(x.stores[c].rows))
	}
	x.sync()
	x.wait(500)
	if n, _ := x.machines[d].Waiting(); n != 5 || x.writes[b] > 20 {
		t.Fatalf("%d hints left, %d tries", n, x.writes[b])
	}
	x.refuses[b] = false
	x.wait(200)
	x.sync()
	x.wait(300)
	if x.machines[d].Held(0) || len(x.stores[b].rows) != 5 {
		t.Fatal("not handed over")
	}
}

// The row of an owner decides what becomes of a hint: a dot that was processed there is not taken back.
func TestALateHintRevivesNothing(t *testing.T) {
	x := newWorld(t, nil)
	row := x.value("k")
	x.stores[b].replica.Mark([]causal.Dot{row.Versions[0].Dot}) // processed, deleted and reaped
	x.hint(d, hintItem("k", row))
	x.connect(d, b)
	if x.writes[b] != 1 || len(x.stores[b].rows["k"].Versions) != 0 {
		t.Fatal("revived")
	}
}

func TestAHintWithoutVersionsIsNotKept(t *testing.T) {
	x := newWorld(t, nil)
	row := x.value("k")
	if !x.hint(d, hintItem("k", causal.Container{Vector: row.Vector})) || x.machines[d].Held(0) {
		t.Fatal("kept, or refused")
	}
	x.stores[d].hints["k"] = causal.Container{Vector: row.Vector}
	x.machines[d].Install(x.now, x.ring)
	x.connect(d, a)
	if x.machines[d].Held(0) {
		t.Fatal("a hint that says nothing stays")
	}
}

// The targets of a hint are the owners of the day. A node that has become one takes its own hints by the same rule.
func TestOwnHintsOfANewOwner(t *testing.T) {
	x := newWorld(t, nil)
	kept, reaped := x.value("k"), x.value("j")
	x.hint(d, hintItem("k", kept))
	x.hint(d, hintItem("j", reaped))
	x.stores[d].replica = &causal.Replica{Life: 99}
	x.stores[d].replica.Mark([]causal.Dot{reaped.Versions[0].Dot})
	next := *x.ring
	next.Epoch++
	next.Owners = [][]ring.NodeID{{x.ids[a], x.ids[d], x.ids[c]}}
	for _, m := range x.machines {
		m.Install(x.now, &next)
	}
	for _, i := range []int{a, b, c} {
		x.connect(d, i)
	}
	x.wait(100)
	if !x.holds(d, "k", kept) || len(x.stores[d].rows["j"].Versions) != 0 || !x.holds(c, "k", kept) || x.writes[b] != 0 {
		t.Fatalf("own row %+v, of a reaped key %+v", x.stores[d].rows["k"], x.stores[d].rows["j"])
	}
	x.stores[a].sync()
	x.stores[c].sync()
	x.wait(2000)
	if n, _ := x.machines[d].Waiting(); n != 2 {
		t.Fatalf("%d hints left: the own copies are not durable", n)
	}
	x.stores[d].sync()
	x.wait(10_000)
	if x.machines[d].Held(0) {
		t.Fatal("not deleted")
	}
}

// A replica that is being filled promises nothing, and a node that is no owner has nothing to promise.
func TestWhoSaysWhatIsDurable(t *testing.T) {
	x := newWorld(t, nil)
	ask := func(at int, p ring.Partition) wire.Item {
		x.machines[at].Step(x.now, x.ids[e], []wire.Item{{Kind: wire.ItemDurable, ID: 5, Partition: p}})
		it := x.machines[at].Outs()[0].Item
		x.machines[at].Reset()
		return it
	}
	x.value("k")
	if it := ask(a, 0); it.Has(wire.FlagRefused) || it.ID != 5 || it.Life != 10 || !it.Repair.Durable.IsZero() {
		t.Fatalf("not synced: %+v", it)
	}
	x.sync()
	if it := ask(a, 0); it.Repair.Durable.Max(10) != 1 {
		t.Fatalf("%+v", it)
	}
	x.stores[a].replica.Filling = true
	for _, it := range []wire.Item{ask(a, 0), ask(d, 0), ask(b, 1)} {
		if !it.Has(wire.FlagRefused) {
			t.Fatalf("%+v", it)
		}
	}
}

// While owners stay away, rounds over what nobody can take become rare.
func TestNothingToDoCostsLittle(t *testing.T) {
	x := newWorld(t, nil)
	x.hint(d, hintItem("k", x.value("k")))
	x.wait(10_000)
	if x.stores[d].shown != 0 || x.machines[d].Busy(x.now) {
		t.Fatal("nobody is there, and hints are read")
	}
	x.sync()
	x.connect(d, a)
	x.wait(100_000)
	if n := x.stores[d].shown; n < 5 || n > 30 {
		t.Fatalf("%d hints looked at in 100 s", n)
	}
	if x.machines[d].Busy(x.now) {
		t.Fatal("busy")
	}
	targets := x.machines[d].Targets()
	waiting := map[ring.NodeID]int{}
	for _, g := range targets {
		waiting[g.Node] = g.Waiting
	}
	if len(targets) != 3 || waiting[x.ids[a]] != 0 || waiting[x.ids[b]] != 1 {
		t.Fatalf("%+v", targets)
	}
}

// A question that is not answered, and an answer to another question, end nothing.
func TestUnansweredQuestions(t *testing.T) {
	x := newWorld(t, nil)
	row := x.value("k")
	x.hint(d, hintItem("k", row))
	m := x.machines[d]
	for i := range d {
		m.Up(x.now, x.ids[i])
	}
	asked := map[ring.NodeID]uint64{}
	for _, o := range m.Outs() {
		asked[o.To] = o.Item.ID
	}
	m.Reset()
	clock := x.stores[a].replica.Clock.Clone()
	for i := range d {
		m.Step(x.now, x.ids[i], []wire.Item{{Kind: wire.ItemAdvert, ID: asked[x.ids[i]] + 100, Repair: &wire.Repair{Durable: &clock}}})
	}
	if !m.Held(0) {
		t.Fatal("deleted by answers to other questions")
	}
	m.Step(x.now, x.ids[b], []wire.Item{{Kind: wire.ItemAdvert, ID: asked[x.ids[b]], Repair: &wire.Repair{Durable: new(causal.Clock)}}})
	if len(m.Outs()) != 0 {
		t.Fatal("the round has begun without a and c")
	}
	x.now += 60
	m.Tick(x.now)
	if len(m.Outs()) != 1 || m.Outs()[0].Item.Kind != wire.ItemWrite || m.Outs()[0].To != x.ids[b] {
		t.Fatalf("%+v", m.Outs())
	}
	m.Step(x.now, x.ids[c], []wire.Item{{Kind: wire.ItemAdvert, ID: asked[x.ids[c]], Repair: &wire.Repair{Durable: new(causal.Clock)}}})
	if !m.parts[0].again {
		t.Fatal("who answers late has another round")
	}
	m.Down(x.now, x.ids[b])
	if len(m.Outs()) != 0 || m.targetOf(x.ids[b]).UnderWay != 0 {
		t.Fatal("something of the connection is left")
	}
}

// Where an answer takes longer than a round waits for it, it counts in the next one: a hint is handed over, and leaves.
func TestAnswersThatAlwaysComeLate(t *testing.T) {
	x := newWorld(t, nil)
	row := x.value("k")
	x.hint(d, hintItem("k", row))
	m := x.machines[d]
	for i := range d {
		m.Up(x.now, x.ids[i])
	}
	type due struct {
		at   int64
		from ring.NodeID
		item wire.Item
	}
	var way []due
	had, questions := map[ring.NodeID]bool{}, 0
	for end := x.now + 10_000; x.now < end && m.Held(0); x.now += 10 {
		for _, o := range m.Outs() {
			at := due{x.now + 2*m.cfg.Timeout/patience, o.To, wire.Item{Kind: wire.ItemAck, ID: o.Item.ID}}
			if o.Item.Kind == wire.ItemDurable {
				questions++
				clock := new(causal.Clock)
				if had[o.To] {
					*clock = x.stores[a].replica.Clock.Clone()
				}
				at.item = wire.Item{Kind: wire.ItemAdvert, ID: o.Item.ID, Repair: &wire.Repair{Durable: clock}}
			} else {
				had[o.To] = true
			}
			way = append(way, at)
		}
		m.Reset()
		for len(way) > 0 && way[0].at <= x.now {
			m.Step(x.now, way[0].from, []wire.Item{way[0].item})
			way = way[1:]
		}
		m.Tick(x.now)
	}
	if m.Held(0) || len(had) != 3 || questions > 12 {
		t.Fatalf("kept: %v; handed to %d owners, %d questions", m.Held(0), len(had), questions)
	}
}

// A late answer counts only in its connection: an owner whose disk was lost meanwhile holds nothing of what it had told.
func TestALateAnswerEndsWithItsConnection(t *testing.T) {
	x := newWorld(t, nil)
	row := x.value("k")
	x.hint(d, hintItem("k", row))
	m := x.machines[d]
	for i := range d {
		m.Up(x.now, x.ids[i])
	}
	asked := slices.Clone(m.Outs())
	m.Reset()
	for end := x.now + m.cfg.Timeout/2; x.now < end && m.parts[0].round != nil; x.now += 10 {
		m.Tick(x.now)
		m.Reset()
	}
	if m.parts[0].round != nil || len(m.parts[0].late) != 3 {
		t.Fatalf("the round has not ended; %d answers are awaited", len(m.parts[0].late))
	}
	m.Down(x.now, x.ids[a])
	m.Up(x.now, x.ids[a])
	clock := x.stores[a].replica.Clock.Clone()
	for _, o := range asked {
		m.Step(x.now, o.To, []wire.Item{{Kind: wire.ItemAdvert, ID: o.Item.ID, Repair: &wire.Repair{Durable: &clock}}})
	}
	for end := x.now + m.cfg.Timeout/2; x.now < end; x.now += 10 {
		m.Tick(x.now)
	}
	if !m.Held(0) {
		t.Fatal("the hint was deleted on the word of an earlier connection")
	}
}
