package engine

import (
	"math/rand/v2"
	"testing"

	"shoal/causal"
	"shoal/ring"
)

// change is a tick under way: whatever it does to the store it does to a next state of the model.
type change struct {
	s    *Store
	rng  *rand.Rand
	next state
}

func (m *model) change(s *Store, rng *rand.Rand) *change {
	return &change{s: s, rng: rng, next: m.next()}
}

// write gives a key a value of up to size bytes.
func (c *change) write(t testing.TB, key string, size int) {
	t.Helper()
	value := randomBytes(c.rng, size)
	c.next.write(key, set(t, c.s, 0, key, string(value), 0))
}

// each writes a key that each tick writes, so that no two ticks have the same clock.
func (c *change) each(t testing.TB) {
	t.Helper()
	c.next.write("each", set(t, c.s, 0, "each", "tick is another", 0))
}

// reap takes a row away.
func (c *change) reap(t testing.TB, key string) {
	t.Helper()
	row, err := c.s.Row(0, slotOf(key), []byte(key))
	must(t, err)
	c.s.Reap(0, slotOf(key), []byte(key), causal.Container{}, row.Vector)
	delete(c.next.newest, key)
	c.next.raise(row.Vector)
}

// trim takes the older part of the log away.
func (c *change) trim() {
	to := bases(&c.s.Replica(0).Clock)
	for i := range to {
		to[i].Seq = 1 + c.rng.Uint64N(to[i].Seq)
	}
	c.s.Trim(0, to)
	c.next.raise(to)
}

// adopt takes over what another replica knows. It answers whether that includes a flush.
func (c *change) adopt() bool {
	var clock, flushed causal.Clock
	foreign := causal.Dot{Actor: 7, Seq: 1 + c.rng.Uint64N(1000)}
	clock.Add(foreign)
	flushed.Add(causal.Dot{Actor: 7, Seq: 1 + c.rng.Uint64N(1000)})
	horizon := causal.Vector{{Actor: 8, Seq: 1 + c.rng.Uint64N(1000)}}
	c.s.Adopt(0, &clock, &flushed, horizon)
	flushes := !c.next.flushed.Covers(&flushed)
	c.next.clock.Add(foreign)
	c.next.flushed.Union(&flushed)
	c.next.raise(horizon)
	return flushes
}

// flush drops what a clock has.
func (c *change) flush(dropped causal.Clock) {
	d := c.s.Replica(0).Next()
	c.s.Flush(0, d, &dropped)
	c.next.log(d)
	c.next.flushed.Union(&dropped)
	for key, d := range c.next.newest {
		if c.next.flushed.Contains(d) {
			delete(c.next.newest, key)
		}
	}
}

// process logs a dot that changes no row.
func (c *change) process(key string) {
	d := c.s.Replica(0).Next()
	c.s.Mark(0, slotOf(key), []byte(key), []causal.Dot{d})
	c.next.log(d)
}

// hint keeps a row for an owner that cannot be reached.
func (c *change) hint(key string, size int) causal.Dot {
	v := causal.Version{Dot: causal.Dot{Actor: 6, Seq: 1 + c.rng.Uint64N(1000)}, Kind: causal.KindString, Payload: randomBytes(c.rng, size)}
	c.s.PutHint(5, slotOf(key), []byte(key), causal.Container{}.Add(v))
	c.next.hints[key] = v.Dot
	return v.Dot
}

func (c *change) dropHint(key string) {
	c.s.PutHint(5, slotOf(key), []byte(key), causal.Container{})
	delete(c.next.hints, key)
}

// lookForDead asks for rows that may go. None of them is one that shows something.
func (c *change) lookForDead(t testing.TB) {
	t.Helper()
	c.s.Dead(0, 1<<60, 3, func(_ ring.Slot, key []byte, _ causal.Container) {
		if d, shown := c.next.newest[string(key)]; shown {
			t.Fatalf("%q is dead and shows %v", key, d)
		}
	})
}

func randomBytes(rng *rand.Rand, most int) []byte {
	b := make([]byte, rng.IntN(most))
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}
