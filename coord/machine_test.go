package coord

import (
	"fmt"
	"slices"
	"testing"

	"shoal/causal"
	"shoal/ring"
	"shoal/wire"
)

// cluster is three owners A B C (in the list's order) of one partition and members D (and E ...) that own nothing. Items are
// delivered by hand; package test/sim searches what these tests only show.
type cluster struct {
	t        *testing.T
	now      int64
	ids      []ring.NodeID // by name: A is 0
	machines []*Machine
	stores   []*memory
	whole    []bool
	held     map[[2]int]bool // links whose items stay where they are
	token    uint64
	done     map[uint64]wire.Result
	sent     int // items
	acks     []ack
	notes    uint64
}

const a, b, c, d = 0, 1, 2, 3

func newCluster(t *testing.T) *cluster { return newClusterOf(t, 4) }

func newClusterOf(t *testing.T, members int) *cluster {
	x := &cluster{t: t, now: 1_000_000, held: map[[2]int]bool{}, done: map[uint64]wire.Result{}, whole: slices.Repeat([]bool{true}, members)}
	m := ring.Found(ring.ClusterID{1}, [32]byte{2}, 3, 1, member(1))
	for id := ring.NodeID(2); int(id) <= members; id++ {
		next, err := m.WithMember(member(id))
		if err != nil {
			t.Fatal(err)
		}
		m = next
	}
	x.ids = append(append(x.ids, m.OwnersOf(0)...), m.Fallbacks(0)...)
	for i, id := range x.ids {
		s := newMemory(newLife(i))
		cfg := Config{Self: id, R: 2, W: 2, Timeout: 1000, Hedge: 10, SiblingMax: 3, MaxPending: 10}
		mc := New(cfg, s, func(ring.Partition) bool { return x.whole[i] })
		mc.Install(m)
		for _, peer := range x.ids {
			if peer != id {
				mc.Up(peer)
			}
		}
		x.machines, x.stores = append(x.machines, mc), append(x.stores, s)
	}
	return x
}

// lasting copies items as they are for the receiver, who has them after the sender's Reset.
func lasting(items []wire.Item) []wire.Item {
	out := append([]wire.Item(nil), items...)
	for i := range out {
		if out[i].Result != nil {
			r := *out[i].Result
			out[i].Result = &r
		}
	}
	return out
}

func member(id ring.NodeID) ring.Member {
	return ring.Member{ID: id, Name: fmt.Sprint("n", id), Client: fmt.Sprintf("h:%d", id), Peer: fmt.Sprintf("h:%d", 100+id), Weight: 1}
}

// settle delivers items until none is left but those that are held back.
func (x *cluster) settle() {
	for moved := true; moved; {
		moved = false
		for i, m := range x.machines {
			for _, done := range m.Effects().Done {
				x.done[done.Token] = done.Result
			}
			var out []Outbox
			for _, o := range m.Effects().Peers {
				if len(o.Items) > 0 && !x.held[[2]int{i, x.index(o.To)}] {
					out = append(out, Outbox{o.To, lasting(o.Items)})
					x.sent += len(o.Items)
				}
			}
			m.Reset()
			for _, o := range out {
				moved = true
				x.machines[x.index(o.To)].Step(x.now, x.ids[i], o.Items)
				x.keep(x.index(o.To), i, o.Items)
			}
		}
	}
	for _, m := range x.machines { // what the last round finished
		for _, done := range m.Effects().Done {
			x.done[done.Token] = done.Result
		}
	}
}

// keep does for hints what package handoff does.
func (x *cluster) keep(at, from int, items []wire.Item) {
	for i := range items {
		if it := &items[i]; it.Kind == wire.ItemHint {
			f := wire.FlagRefused
			if s := x.stores[at]; !s.full {
				f = 0
				s.hints[string(it.Key)] = causal.Merge(s.hints[string(it.Key)], it.Row)
			}
			x.acks = append(x.acks, ack{at, from, wire.Item{Kind: wire.ItemAck, ID: it.ID, Flags: f}})
		}
	}
	for _, k := range x.acks {
		if !x.held[[2]int{k.from, k.to}] {
			x.machines[k.to].Step(x.now, x.ids[k.from], []wire.Item{k.item})
		}
	}
	x.acks = x.acks[:0]
}

// ack is an answer to a hint on its way.
type ack struct {
	from, to int
	item     wire.Item
}

func (x *cluster) index(id ring.NodeID) int {
	for i, have := range x.ids {
		if have == id {
			return i
		}
	}
	panic("stranger")
}

// begin starts an operation and delivers what can be delivered.
func (x *cluster) begin(at int, op wire.Op) uint64 {
	x.token++
	x.machines[at].Exec(x.now, x.token, []wire.Op{op})
	x.settle()
	return x.token
}

func (x *cluster) do(at int, op wire.Op) wire.Result {
	x.t.Helper()
	r, ok := x.done[x.begin(at, op)]
	if !ok {
		x.t.Fatalf("operation %d has no result", op.Code)
	}
	return r
}

// down ends the connections of a node with everyone, on both sides.
func (x *cluster) down(n int) {
	for i := range x.machines {
		if i != n {
			x.machines[i].Down(x.now, x.ids[n])
			x.machines[n].Down(x.now, x.ids[i])
		}
	}
	x.settle()
}

func (x *cluster) wait(ms int64) {
	x.now += ms
	for _, m := range x.machines {
		m.Tick(x.now)
	}
	x.settle()
}

func plainSet(v string) wire.Op { return wire.Op{Code: wire.OpSet, Key: []byte("k"), Value: []byte(v)} }
func op(c wire.Code) wire.Op    { return wire.Op{Code: c, Key: []byte("k")} }
func vset(v string, ctx []byte) wire.Op {
	return wire.Op{Code: wire.OpVSet, Key: []byte("k"), Value: []byte(v), Context: ctx}
}

func (x *cluster) expect(r wire.Result, want wire.Status) {
	x.t.Helper()
	if r.Status != want {
		x.t.Fatalf("status %d %s, want %d", r.Status, r.Err, want)
	}
}

func TestSetThenGetOnAnyNode(t *testing.T) {
	x := newCluster(t)
	for at := range x.machines {
		v := fmt.Sprint("v", at)
		x.expect(x.do(at, plainSet(v)), wire.OK)
		for other := range x.machines {
			if r := x.do(other, op(wire.OpGet)); !r.Found || string(r.Value) != v {
				t.Fatalf("set on %d, got %q on %d", at, r.Value, other)
			}
			if r := x.do(other, op(wire.OpSiblings)); r.Int != 1 {
				t.Fatalf("%d siblings", r.Int)
			}
		}
	}
}

func TestOnlyTheFirstOwnerIssuesDots(t *testing.T) {
	x := newCluster(t)
	for at := range x.machines {
		x.do(at, plainSet("v"))
	}
	if x.stores[a].replica.Seq != 4 || x.stores[b].replica.Seq+x.stores[c].replica.Seq != 0 {
		t.Fatal("writes were coordinated elsewhere")
	}
}

func TestWithoutTheFirstOwnerTheNextReadsAQuorumFirst(t *testing.T) {
	x := newCluster(t)
	x.held[[2]int{a, b}] = true // b misses the write
	id := x.begin(a, plainSet("old"))
	x.wait(10) // b does not answer: c is asked
	x.expect(x.done[id], wire.OK)
	x.held[[2]int{a, b}] = false
	x.down(a)
	x.expect(x.do(d, plainSet("new")), wire.OK)
	if r := x.do(c, op(wire.OpSiblings)); r.Int != 1 {
		t.Fatalf("%d siblings: the write at b had not seen what c holds", r.Int)
	}
}

func TestTooFewOwnersWriteNothing(t *testing.T) {
	x := newCluster(t)
	for _, m := range x.machines {
		m.cfg.Strict = true
	}
	x.down(b)
	x.down(c)
	x.expect(x.do(a, plainSet("v")), wire.NoReplicas)
	x.expect(x.do(d, plainSet("v")), wire.NoReplicas)
	if x.stores[a].replica.Seq != 0 {
		t.Fatal("a dot was issued")
	}
	x.machines[a].cfg.Strict = false
	if r := x.do(a, op(wire.OpGet)); r.Status != wire.OK || r.Found {
		t.Fatalf("reads answer from the copy that is left: %+v", r)
	}
}

func TestAWriteThatCannotReachWIsUncertain(t *testing.T) {
	x := newCluster(t)
	x.held[[2]int{a, b}], x.held[[2]int{a, c}] = true, true
	id := x.begin(a, plainSet("v"))
	x.wait(1000)
	r := x.done[id]
	x.expect(r, wire.Uncertain)
	if r.Reached != 1 || r.Wanted != 2 {
		t.Fatalf("%d of %d", r.Reached, r.Wanted)
	}
}

func TestAValueIsOnROwnersBeforeItIsShown(t *testing.T) {
	x := newCluster(t)
	x.held[[2]int{a, b}], x.held[[2]int{a, c}] = true, true
	x.begin(a, plainSet("v")) // only a has it
	x.held[[2]int{a, c}] = false
	if r := x.do(c, op(wire.OpGet)); string(r.Value) != "v" {
		t.Fatalf("got %q", r.Value)
	}
	if len(x.stores[c].rows["k"].Versions) != 1 {
		t.Fatal("the reader shows what it does not hold")
	}
}

func TestAnOwnerThatIsNotWholeDoesNotCount(t *testing.T) {
	x := newCluster(t)
	x.whole[a], x.whole[b], x.whole[c] = false, false, false
	x.expect(x.do(a, op(wire.OpGet)), wire.ClusterDown)
	x.expect(x.do(a, plainSet("v")), wire.NoReplicas)
	x.whole[b], x.whole[c] = true, true
	x.expect(x.do(a, plainSet("v")), wire.OK)
}

func TestAReplicaThatIsBehindReadsFirst(t *testing.T) {
	x := newCluster(t)
	current := false
	x.machines[a].ReadFirstUnless(func(ring.Partition) bool { return current })
	x.do(a, plainSet("v"))
	current = true
	x.do(a, plainSet("v"))
	if n := x.machines[a].Stats.ReadFirst; n != 1 {
		t.Fatalf("%d writes read first", n)
	}
}

func TestSiblingsAndTheirContexts(t *testing.T) {
	x := newCluster(t)
	x.expect(x.do(a, vset("1", nil)), wire.OK)
	x.expect(x.do(a, vset("2", nil)), wire.OK)
	seen := x.do(b, op(wire.OpVGet))
	if len(seen.Siblings) != 2 || string(seen.Siblings[0].Value) != "2" {
		t.Fatalf("%d siblings", len(seen.Siblings))
	}
	x.do(a, vset("3", nil))
	if r := x.do(a, vset("4", nil)); r.Status != wire.TooManySiblings {
		t.Fatalf("status %d", r.Status)
	}
	after := x.do(c, vset("5", seen.Context)) // replaces 1 and 2, not 3
	if r := x.do(b, op(wire.OpSiblings)); r.Int != 2 {
		t.Fatalf("%d siblings, want 3 and 5", r.Int)
	}
	x.do(b, vset("6", after.Context)) // had seen 1, 2 and 5
	if r := x.do(b, op(wire.OpSiblings)); r.Int != 2 {
		t.Fatalf("%d siblings, want 3 and 6", r.Int)
	}
	x.do(d, plainSet("7"))
	if r := x.do(b, op(wire.OpSiblings)); r.Int != 1 {
		t.Fatalf("a plain SET leaves %d", r.Int)
	}
}

func TestAContextBelongsToItsKeyAndCannotBeMadeUp(t *testing.T) {
	x := newCluster(t)
	x.do(a, plainSet("v"))
	ctx := x.do(a, op(wire.OpVGet)).Context
	other := wire.Op{Code: wire.OpVSet, Key: []byte("other"), Context: ctx}
	x.expect(x.do(a, other), wire.BadContext)
	forged := append([]byte(nil), ctx...)
	forged[3]++
	x.expect(x.do(a, vset("w", forged)), wire.BadContext)
	x.expect(x.do(a, vset("w", ctx[:4])), wire.BadContext)
}

func TestAFlushDropsWhatWasSeenAndNothingElse(t *testing.T) {
	x := newCluster(t)
	x.do(a, plainSet("v"))
	x.expect(x.do(d, wire.Op{Code: wire.OpFlush}), wire.OK)
	for at := range x.machines {
		if r := x.do(at, op(wire.OpGet)); r.Found {
			t.Fatalf("found on %d", at)
		}
	}
	x.do(a, plainSet("w"))
	if r := x.do(c, op(wire.OpGet)); string(r.Value) != "w" {
		t.Fatalf("got %q", r.Value)
	}
}

func TestADamagedRowIsNotUsed(t *testing.T) {
	x := newCluster(t)
	x.do(a, plainSet("v"))
	x.stores[a].damaged["k"] = true
	if r := x.do(a, op(wire.OpGet)); string(r.Value) != "v" {
		t.Fatalf("another owner answers: %+v", r)
	}
	x.expect(x.do(a, plainSet("w")), wire.Failed)
}

// A node numbers its questions from the start after a boot: what the one before had asked must not be answered then.
func TestNothingOfAConnectionReachesTheNext(t *testing.T) {
	x := newCluster(t)
	x.held[[2]int{a, b}], x.held[[2]int{a, c}] = true, true
	x.begin(d, plainSet("v"))
	x.machines[a].Down(x.now, x.ids[d])
	x.machines[a].Up(x.ids[d])
	x.machines[a].Reset()
	x.machines[a].Tick(x.now + 2000)
	for _, o := range x.machines[a].Effects().Peers {
		if o.To == x.ids[d] && len(o.Items) > 0 {
			t.Fatalf("sent %+v", o.Items)
		}
	}
}

// Deadlines are by the sender's clock. A frame is late when it took long, not when the clocks differ.
func TestDeadlinesAllowForSkew(t *testing.T) {
	x := newCluster(t)
	const ahead = 1500 // a's clock
	set := plainSet("v")
	forwarded := func(sent int64) []wire.Item {
		return []wire.Item{{Kind: wire.ItemOp, ID: 7, Op: &set, Deadline: sent + 1000}}
	}
	m := x.machines[a]
	m.Heard(x.now+ahead+2, x.ids[d], uint64(x.now)<<16)
	m.Step(x.now+ahead+2, x.ids[d], forwarded(x.now))
	if m.Stats.Late != 0 {
		t.Fatal("in time, and taken for late")
	}
	m.Heard(x.now+ahead+1300, x.ids[d], uint64(x.now)<<16)
	m.Step(x.now+ahead+1300, x.ids[d], forwarded(x.now))
	if m.Stats.Late != 1 {
		t.Fatal("1.3 s on the way, and not taken for late")
	}
}

// items counts what the machines send for one operation.
func (x *cluster) items(at int, op wire.Op) int {
	x.sent = 0
	x.expect(x.do(at, op), wire.OK)
	return x.sent
}

// The price of a write in messages: at its coordinator two copies and one acknowledgement; through another owner the
// question, an answer that is a copy, too, and the third owner's copy.
func TestAWriteTakesThreeMessages(t *testing.T) {
	x := newCluster(t)
	for _, at := range []int{a, b, c} {
		if n := x.items(at, plainSet("v")); n != 3 {
			t.Errorf("through owner %d: %d messages", at, n)
		}
		for i, s := range x.stores[:3] {
			if v := s.rows["k"].Versions; len(v) != 1 || v[0].Dot.Seq != uint64(at+1) || string(v[0].Payload) != "v" {
				t.Errorf("through owner %d: owner %d holds %+v", at, i, v)
			}
		}
	}
	if n := x.items(d, plainSet("v")); n != 5 {
		t.Errorf("through a node that is no owner: %d messages", n)
	}
}

func TestASharedWriteWhoseForwarderCannotKeepItIsUncertain(t *testing.T) {
	x := newCluster(t)
	x.stores[b].damaged = map[string]bool{"k": true}
	r := x.do(b, plainSet("v"))
	x.expect(r, wire.Uncertain)
	if r.Reached != 1 || r.Wanted != 2 {
		t.Fatalf("%d of %d", r.Reached, r.Wanted)
	}
}

// With W=3 two copies are not enough: the coordinator answers when it has heard of three.
func TestASharedWriteNeedsAQuorumOfTwo(t *testing.T) {
	x := newCluster(t)
	for _, m := range x.machines {
		m.cfg.W = 3
	}
	x.held[[2]int{a, c}] = true
	id := x.begin(b, plainSet("v"))
	if _, ok := x.done[id]; ok {
		t.Fatal("acknowledged with two copies of three")
	}
	x.wait(1000)
	x.expect(x.done[id], wire.Uncertain)
}

// A read that was forwarded to a node that has fallen silent is forwarded to another owner, too.
// Reads of one key that begin together ask once; one that begins when the question has left asks again.
func TestReadsThatBeginTogetherShareAQuorumRead(t *testing.T) {
	x := newCluster(t)
	x.expect(x.do(a, plainSet("v")), wire.OK)
	m := x.machines[a]
	x.sent = 0
	m.Exec(x.now, 101, []wire.Op{op(wire.OpGet)})
	m.Exec(x.now, 102, []wire.Op{op(wire.OpStrlen)})
	x.settle()
	if string(x.done[101].Value) != "v" || x.done[102].Int != 1 || x.sent != 2 {
		t.Fatalf("%+v %+v, %d messages", x.done[101], x.done[102], x.sent)
	}
	x.held[[2]int{a, b}], x.held[[2]int{a, c}] = true, true
	x.begin(a, op(wire.OpGet))
	x.held = map[[2]int]bool{}
	x.sent = 0
	if x.do(a, op(wire.OpGet)); x.sent != 2 {
		t.Fatalf("%d messages: it joined a read whose question had left", x.sent)
	}
	x.down(b)
	x.down(c)
	for _, m := range x.machines {
		m.cfg.Strict = true
	}
	m.Exec(x.now, 103, []wire.Op{op(wire.OpGet)})
	m.Exec(x.now, 104, []wire.Op{op(wire.OpGet)})
	x.settle()
	x.expect(x.done[103], wire.ClusterDown)
	x.expect(x.done[104], wire.ClusterDown)
}

// An owner that had to be hedged around is asked last for a while: not every operation waits for a hedge.
// The first owner is asked by every read. While it lags another is asked with it, so that the read waits for neither a hedge
// nor its end; but not when everybody lags.
// How long a forwarded write waits says nothing of when to hedge: it cannot be. While its owner stands still reads would
// wait as long as that.
// An owner that refuses a copy, for instance because its disk is full, costs a question more and no write.
func TestARefusedCopyGoesToAnotherOwner(t *testing.T) {
	x := newCluster(t)
	m := x.machines[a]
	m.Exec(x.now, 77, []wire.Op{plainSet("v")})
	var id uint64
	for _, o := range m.Effects().Peers {
		for _, it := range o.Items {
			if o.To == x.ids[b] && it.Kind == wire.ItemWrite {
				id = it.ID
			}
		}
	}
	m.Reset()
	m.Step(x.now, x.ids[b], []wire.Item{{Kind: wire.ItemAck, ID: id, Flags: wire.FlagRefused}})
	x.settle()
	x.expect(x.done[77], wire.OK)
}

// Forwarded writes that wait for a silent coordinator cannot be hedged, and leave the hedges to those who can.

// A value that is written beside one which its writer had not seen is a conflict, also where both met on the coordinator.
func TestAVSetThatLeavesASiblingIsAConflict(t *testing.T) {
	x := newCluster(t)
	x.expect(x.do(a, vset("1", nil)), wire.OK)
	r := x.do(a, vset("2", nil))
	x.expect(r, wire.OK)
	if n := x.machines[a].Stats.Conflicts; n != 1 {
		t.Errorf("%d conflicts", n)
	}
	x.expect(x.do(a, vset("3", x.do(a, op(wire.OpVGet)).Context)), wire.OK)
	if n := x.machines[a].Stats.Conflicts; n != 1 {
		t.Errorf("%d conflicts after both were resolved", n)
	}
}

// Where the owners agree the row is read once on each, and the answer is of when the read began; else the newer row is shown.
func TestAReadThatOwnersAgreeOnLooksOnce(t *testing.T) {
	x := newCluster(t)
	x.expect(x.do(a, plainSet("1")), wire.OK)
	x.stores[a].looks, x.stores[b].looks = 0, 0
	if r := x.do(a, op(wire.OpGet)); string(r.Value) != "1" {
		t.Fatalf("%+v", r)
	}
	if la, lb := x.stores[a].looks, x.stores[b].looks; la != 1 || lb != 1 {
		t.Errorf("looked %d times, and %d on the other owner", la, lb)
	}
	newer := x.stores[a].rows["k"].Discard(x.stores[a].rows["k"].Context())
	newer = newer.Add(causal.Version{Dot: causal.Dot{Actor: 99, Seq: 1}, Kind: causal.KindString, HLC: 1, Payload: []byte("2")})
	x.stores[b].rows["k"] = newer
	x.machines[a].lagging[x.ids[c]] = x.now + 1 // b is asked
	if r := x.do(a, op(wire.OpGet)); string(r.Value) != "2" {
		t.Fatalf("%+v", r)
	}
}
