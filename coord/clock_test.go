package coord

import (
	"testing"

	"shoal/wire"
)

const jumped = 600_000 // ms, less than the tests' time

func ttlSet(v string, ms int64) wire.Op {
	o := plainSet(v)
	o.TTL, o.At = wire.TTLRelative, ms
	return o
}

func ttl() wire.Op {
	o := op(wire.OpExpiry)
	o.TTL = wire.TTLRelative
	return o
}

// wrong lets a node's clock jump; everybody knows.
func (x *cluster) wrong(at int, ms int64) {
	x.machines[at].Drift(ms)
	for _, m := range x.machines {
		m.PassOver(x.ids[at], ms != 0)
		m.Heard(x.now, x.ids[at], uint64(x.now+ms)<<16|1)
	}
}

// Who is passed over evaluates nothing: neither writes nor, since they decide what has expired, reads of its own clients.
func TestANodeWhoseClockIsOffEvaluatesNothing(t *testing.T) {
	for _, by := range []int64{jumped, -jumped} {
		for at := range 3 {
			x := newCluster(t)
			x.expect(x.do(at, ttlSet("v", 5000)), wire.OK)
			x.wrong(at, by)
			x.wait(1000)
			if r := x.do(at, op(wire.OpGet)); string(r.Value) != "v" {
				t.Errorf("%d, whose clock is off by %d, shows %q", at, by, r.Value)
			}
			if r := x.do(at, ttl()); r.Int != 4000 {
				t.Errorf("%d, whose clock is off by %d, says that %d ms are left", at, by, r.Int)
			}
			x.expect(x.do(at, ttlSet("w", 5000)), wire.OK)
			x.wait(4000)
			if r := x.do(d, op(wire.OpGet)); string(r.Value) != "w" {
				t.Errorf("through %d, whose clock is off by %d: ended too soon", at, by)
			}
			x.wait(1500)
			for reader := range x.machines {
				if r := x.do(reader, op(wire.OpGet)); r.Found {
					t.Errorf("through %d, whose clock is off by %d: %d shows it after its end", at, by, reader)
				}
			}
		}
	}
}

// With nobody else to ask it is better than none.
func TestANodeWhoseClockIsOffAnswersWhenItIsAlone(t *testing.T) {
	x := newCluster(t)
	x.expect(x.do(a, plainSet("v")), wire.OK)
	x.down(b)
	x.down(c)
	x.wrong(a, jumped)
	if r := x.do(a, op(wire.OpGet)); string(r.Value) != "v" {
		t.Fatalf("%q, status %d", r.Value, r.Status)
	}
}

// An operation goes by the clock that it began with.
func TestAClockThatJumpsDecidesNothingOfWhatIsUnderWay(t *testing.T) {
	x := newCluster(t)
	x.expect(x.do(a, ttlSet("v", 5000)), wire.OK)
	x.held[[2]int{b, a}], x.held[[2]int{c, a}] = true, true // lost, and asked for again by a hedge
	token := x.begin(a, op(wire.OpGet))
	if _, ended := x.done[token]; ended {
		t.Fatal("it waits for nobody: the test shows nothing")
	}
	x.wrong(a, jumped)
	clear(x.held)
	x.wait(20)
	if r := x.done[token]; string(r.Value) != "v" {
		t.Fatalf("shows %q, status %d", r.Value, r.Status)
	}
}

// Timeouts do not go by the clock, and what a peer knew of it before it jumped is forgotten.
func TestNothingIsLateForAClockThatJumped(t *testing.T) {
	for _, by := range []int64{jumped, -jumped} {
		x := newCluster(t)
		send := func(jumps uint16, drift, took int64) {
			from, to := x.machines[d], x.machines[a]
			from.Drift(drift)
			x.token++
			from.Exec(x.now, x.token, []wire.Op{plainSet("v")})
			items := lasting(from.Effects().Peers[0].Items)
			from.Reset()
			to.Heard(x.now+took, x.ids[d], uint64(x.now+drift)<<16|uint64(jumps))
			to.Step(x.now+took, x.ids[d], items)
			to.Reset()
		}
		send(0, 0, 2)
		send(1, by, 2)
		send(2, 0, 2)
		if late := x.machines[a].Stats.Late; late != 0 {
			t.Errorf("after a jump by %d: %d came too late", by, late)
		}
		if send(2, 0, 1300); x.machines[a].Stats.Late != 1 {
			t.Errorf("after a jump by %d: 1.3 s on the way, and not taken for late", by)
		}
	}
}
