package causal

import (
	"maps"
	"slices"

	"pgregory.net/rapid"
)

// peer is one partition replica and, beside it, its reference: what it would know if nothing were ever compressed or
// forgotten.
type peer struct {
	Replica
	rows map[string]Container

	clock   dots
	flushed dots
	known   map[string]events // every event that reached it, for ever
	held    map[string]events // those since the row last was not there: what the row's vector stands for
	dead    dots              // dots that must not come back, whatever arrives
}

// message is a whole container on its way, with the sets it stands for. It stays in flight: it may arrive again.
type message struct {
	key         string
	row         Container
	known, held events
	dead        dots
}

// saved is a context some client keeps.
type saved struct {
	key  string
	ctx  Context
	seen events
}

// world is a partition with its clients and its network, in which everything may be late and come twice.
type world struct {
	peers    []*peer
	lives    int
	all      map[string]events
	inFlight []message
	contexts []saved
	flushes  []Clock
	flushed  dots // every dot that some flush dropped
	reaped   dots // every dot that somebody forgot: dead for all, so not compared
}

func newWorld(peers int) *world {
	w := &world{all: map[string]events{}, flushed: dots{}, reaped: dots{}}
	for range peers {
		p := &peer{rows: map[string]Container{}, clock: dots{}, flushed: dots{}, dead: dots{},
			known: map[string]events{}, held: map[string]events{}}
		w.peers = append(w.peers, p)
		w.newLife(p)
	}
	return w
}

func (w *world) newLife(p *peer) {
	w.lives++
	p.Life, p.Seq = Actor(w.lives), 0
}

// live is the reference's answer to what the peer's row holds.
func (p *peer) live(key string) events {
	return p.known[key].latest().without(p.gone(p.known[key]))
}

func (p *peer) gone(of events) events {
	out := events{}
	for d, e := range of {
		if p.dead[d] || p.flushed[d] {
			out[d] = e
		}
	}
	return out
}

func (p *peer) view(key string) Container { return p.View(p.rows[key]) }

// write lets the peer coordinate one write that has seen exactly seen, of which ctx is the short form.
func (w *world) write(p *peer, key string, kind Kind, ctx Context, seen events) *event {
	e := &event{key: key, dot: p.Next(), kind: kind, seen: seen}
	p.rows[key] = p.view(key).Discard(ctx).Add(e.version())
	p.Mark([]Dot{e.dot})

	w.all[key] = w.all[key].union(setOf(e))
	p.known[key] = p.known[key].union(setOf(e))
	p.held[key] = p.held[key].union(setOf(e))
	p.clock[e.dot] = true
	return e
}

func (p *peer) message(key string) message {
	m := message{key: key, row: p.view(key), known: p.known[key], held: p.held[key], dead: dots{}}
	for d := range p.gone(p.known[key]) {
		m.dead[d] = true
	}
	return m
}

// admit takes a message in, and compares all that Admit says with the reference.
func (w *world) admit(t *rapid.T, p *peer, m message) {
	before, liveBefore := p.view(m.key), p.live(m.key)
	out := p.Admit(before, m.row)
	if out.TwoValues {
		t.Fatalf("two values under one dot in %v and %v", before, m.row)
	}
	if out.Changed == Same(before, out.Row) {
		t.Fatalf("Changed = %v for %v -> %v", out.Changed, before, out.Row)
	}
	var fresh []Dot
	late := 0
	for _, d := range dotsOf(m.row.Versions) {
		switch {
		case !p.clock[d]:
			fresh = append(fresh, d)
		case !liveBefore.has(d):
			late++
			p.dead[d] = true // the late-message rule itself
		}
	}
	if !slices.Equal(out.Fresh, fresh) {
		t.Fatalf("Fresh = %v, want %v", out.Fresh, fresh)
	}
	uncovered, forgotten := false, false
	for d, e := range liveBefore {
		uncovered = uncovered || e.kind != KindTombstone && !m.known.has(d)
		forgotten = forgotten || w.reaped[d] // the sender has had the flush that drops it, this peer not yet: either answer
	}
	if out.Uncovered != uncovered && !forgotten {
		t.Fatalf("Uncovered = %v for %v into %v", out.Uncovered, m.row, before)
	}
	says := late < len(m.row.Versions) || !p.clock.coversVector(m.row.Vector)
	p.rows[m.key] = out.Row
	p.Mark(out.Fresh)

	p.known[m.key] = p.known[m.key].union(m.known)
	p.dead.add(m.dead)
	if len(p.held[m.key]) > 0 || says {
		p.held[m.key] = p.held[m.key].union(m.held)
	}
	for _, d := range fresh {
		p.clock[d] = true
	}
}

// pull is the exchange that closes holes: the rows first, the clock as it was before them after.
func (w *world) pull(t *rapid.T, to, from *peer) {
	for _, key := range slices.Sorted(maps.Keys(from.rows)) {
		w.admit(t, to, from.message(key))
	}
	to.Clock.Union(&from.Clock)
	to.clock.add(from.clock)
}

// reap forgets a row without values, if everybody's clock covers all that its vector stands for.
func (w *world) reap(p *peer, key string) bool {
	row := p.view(key)
	for i := range row.Versions {
		if row.Versions[i].Kind != KindTombstone {
			return false
		}
	}
	for _, q := range w.peers {
		if !q.Clock.CoversVector(row.Vector) {
			return false
		}
	}
	delete(p.rows, key)
	for d := range p.known[key] {
		p.dead[d], w.reaped[d] = true, true
	}
	delete(p.held, key)
	return true
}

func (w *world) flush(p *peer, i int) {
	p.Flush(&w.flushes[i])
	for _, set := range w.all {
		for d := range set {
			if w.flushes[i].Contains(d) {
				p.flushed[d], w.flushed[d] = true, true
			}
		}
	}
}

// check compares every peer with its reference.
func (w *world) check(t *rapid.T) {
	for i, p := range w.peers {
		if !sameEntries(p.Clock.Entries(), p.clock.clock()) {
			t.Fatalf("peer %d: clock %v, want %v", i, p.Clock.Entries(), p.clock.clock())
		}
		for key := range w.all {
			row := p.view(key)
			got, want := w.compared(dotsOf(row.Versions)), w.compared(p.live(key).dots())
			if !slices.Equal(got, want) {
				t.Fatalf("peer %d key %s: holds %v, want %v", i, key, got, want)
			}
			if want := p.held[key].vector(); !slices.Equal(row.Vector, want) {
				t.Fatalf("peer %d key %s: vector %v, want %v", i, key, row.Vector, want)
			}
			w.checkContext(t, p, key)
			checkRoundTrip(t, row)
		}
	}
}

// compared leaves out what somebody reaped: it is dead everywhere, and a tombstone may be forgotten at any time.
func (w *world) compared(list []Dot) []Dot {
	return slices.DeleteFunc(list, func(d Dot) bool { return w.reaped[d] })
}

// checkContext: a context covers what the row has taken in, and never an event that has not reached the peer.
func (w *world) checkContext(t *rapid.T, p *peer, key string) {
	ctx := p.view(key).Context()
	for d := range w.all[key] {
		if p.held[key].has(d) && !ctx.Covers(d) || ctx.Covers(d) && !p.known[key].has(d) && !w.reaped[d] {
			t.Fatalf("context %v covers %v: %v", ctx, d, ctx.Covers(d))
		}
	}
}
