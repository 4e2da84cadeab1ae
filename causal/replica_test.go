package causal

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Random histories of one partition: three replicas, lives that end, clients with old contexts, messages late, twice
// and in any order, reaping and flushes. After every step each replica must hold what explicit histories say; in the
// end all must agree, and no late message may bring anything back.
func TestReplicasFollowExplicitHistories(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(3)
		t.Repeat(map[string]func(*rapid.T){
			"":             w.check,
			"plain write":  func(t *rapid.T) { w.plainWrite(t, KindString) },
			"delete":       func(t *rapid.T) { w.plainWrite(t, KindTombstone) },
			"client reads": w.clientReads,
			"client write": w.contextWrite,
			"touch":        w.touch,
			"send":         w.send,
			"deliver":      w.deliver,
			"deliver more": w.deliver,
			"pull":         func(t *rapid.T) { w.pull(t, w.anyPeer(t), w.anyPeer(t)) },
			"reap":         func(t *rapid.T) { w.reap(w.anyPeer(t), anyKey(t)) },
			"new life":     func(t *rapid.T) { w.newLife(w.anyPeer(t)) },
			"flush":        w.beginFlush,
			"flush comes":  w.flushArrives,
		})
		w.settle(t)
		w.checkOutcome(t)
		w.checkNothingComesBack(t)
	})
}

func (w *world) anyPeer(t *rapid.T) *peer { return rapid.SampledFrom(w.peers).Draw(t, "peer") }

func anyKey(t *rapid.T) string { return rapid.SampledFrom([]string{"x", "y"}).Draw(t, "key") }

func (w *world) plainWrite(t *rapid.T, kind Kind) {
	p, key := w.anyPeer(t), anyKey(t)
	w.write(p, key, kind, p.view(key).Context(), p.known[key])
	w.inFlight = append(w.inFlight, p.message(key))
}

func (w *world) clientReads(t *rapid.T) {
	p, key := w.anyPeer(t), anyKey(t)
	w.contexts = append(w.contexts, saved{key, p.view(key).Context(), p.known[key]})
}

// contextWrite is a client's write with some context it kept, however old. A coordinator that has not seen what the
// client has seen reads the others first.
func (w *world) contextWrite(t *rapid.T) {
	if len(w.contexts) == 0 {
		t.Skip("no context")
	}
	c := rapid.SampledFrom(w.contexts).Draw(t, "context")
	p := w.anyPeer(t)
	for _, other := range w.peers {
		if !c.seen.within(p.known[c.key]) && other != p {
			w.admit(t, p, other.message(c.key))
		}
	}
	kind := rapid.SampledFrom([]Kind{KindString, KindString, KindTombstone}).Draw(t, "kind")
	e := w.write(p, c.key, kind, c.ctx, c.seen)
	w.contexts = append(w.contexts, saved{c.key, c.ctx.With(e.dot), c.seen.union(setOf(e))})
	w.inFlight = append(w.inFlight, p.message(c.key))
}

// touch writes a new version of each live value, each replacing its own alone, as a new expiry does.
func (w *world) touch(t *rapid.T) {
	p, key := w.anyPeer(t), anyKey(t)
	for _, v := range p.view(key).Versions {
		if v.Kind != KindTombstone {
			e := p.known[key][v.Dot]
			w.write(p, key, KindString, Context{}.With(v.Dot), e.seen.union(setOf(e)))
		}
	}
}

func (w *world) send(t *rapid.T) {
	if p, key := w.anyPeer(t), anyKey(t); !p.view(key).Empty() {
		w.inFlight = append(w.inFlight, p.message(key))
	}
}

func (w *world) deliver(t *rapid.T) {
	if len(w.inFlight) == 0 {
		t.Skip("nothing in flight")
	}
	w.admit(t, w.anyPeer(t), rapid.SampledFrom(w.inFlight).Draw(t, "message"))
}

// beginFlush fixes what a flush drops: what two replicas have processed by now.
func (w *world) beginFlush(t *rapid.T) {
	a, b := w.anyPeer(t), w.anyPeer(t)
	dropped := a.Clock.Clone()
	dropped.Union(&b.Clock)
	w.flushes = append(w.flushes, dropped)
	w.flush(a, len(w.flushes)-1)
}

func (w *world) flushArrives(t *rapid.T) {
	if len(w.flushes) == 0 {
		t.Skip("no flush")
	}
	w.flush(w.anyPeer(t), rapid.IntRange(0, len(w.flushes)-1).Draw(t, "flush"))
}

// settle lets everybody hear of everything.
func (w *world) settle(t *rapid.T) {
	for _, p := range w.peers {
		for i := range w.flushes {
			w.flush(p, i)
		}
	}
	for range 2 {
		for _, p := range w.peers {
			for _, q := range w.peers {
				w.pull(t, p, q)
			}
		}
	}
	w.check(t)
}

// checkOutcome: of all events ever written, exactly the values that no event has seen and no flush dropped are there,
// at every replica.
func (w *world) checkOutcome(t *rapid.T) {
	for key, all := range w.all {
		var want []Dot
		latest := all.latest()
		for _, d := range latest.dots() {
			if latest[d].kind != KindTombstone && !w.flushed[d] {
				want = append(want, d)
			}
		}
		for i, p := range w.peers {
			var got []Dot
			for _, v := range p.view(key).Versions {
				if v.Kind != KindTombstone {
					got = append(got, v.Dot)
				}
			}
			if !slices.Equal(got, want) {
				t.Fatalf("in the end peer %d has %v of key %s, want %v", i, got, key, want)
			}
		}
	}
}

// checkNothingComesBack reaps all that can be reaped and delivers every message ever sent once more: nothing changes,
// and a key without values leaves nothing behind.
func (w *world) checkNothingComesBack(t *rapid.T) {
	for _, p := range w.peers {
		for _, key := range slices.Sorted(maps.Keys(w.all)) {
			if p.view(key).LiveCount(0) == 0 && !w.reap(p, key) {
				t.Fatalf("cannot reap %v, everybody's clock has everything", p.view(key))
			}
		}
	}
	for _, m := range w.inFlight {
		for i, p := range w.peers {
			before := p.view(m.key)
			if out := p.Admit(before, m.row); out.Changed || len(out.Fresh) > 0 {
				t.Fatalf("peer %d: the late %v changed %v to %v", i, m.row, before, out.Row)
			}
		}
	}
}

func TestOverwriteIsDiscardAndAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var row Container
		for i := range rapid.IntRange(0, 40).Draw(t, "versions") {
			d := Dot{Actor(rapid.IntRange(1, 40).Draw(t, "actor")), uint64(i + 1)}
			row = row.Add(Version{Dot: d, Kind: KindString})
		}
		var a Arena
		v := Version{Dot: Dot{Actor(rapid.IntRange(1, 50).Draw(t, "writer")), 100}, Kind: KindString, Payload: []byte("v")}
		got, want := a.Overwrite(row, v), row.Discard(row.Context()).Add(v)
		if !Same(got, want) || len(got.Versions) != 1 || string(got.Versions[0].Payload) != "v" {
			t.Fatalf("%+v, want %+v", got, want)
		}
	})
}
