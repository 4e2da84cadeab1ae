package causal

// Arena decodes containers into memory that it allocates in chunks, so that a decoding costs a small part of an
// allocation. What it returned stays valid and unchanged as long as the arena is not Reset.
//
// An arena that was Reset once keeps its chunks from then on and uses them again, so that one that is Reset regularly
// comes to allocate nothing. One that never is leaves full chunks to the collector.
type Arena struct {
	versions chunks[Version]
	dots     chunks[Dot]
	again    bool // was Reset
}

const (
	arenaChunk  = 128 // items; larger containers get their own slices
	arenaChunks = 64  // kept of each kind, beside the one being filled
)

// chunks of items of one kind. Memory is used up to the length of now and of those in full.
type chunks[T any] struct {
	now   []T
	full  [][]T
	spare [][]T
}

// Reset makes the arena's memory available again. Nothing that it returned may be in use; payloads are not its memory.
func (a *Arena) Reset() {
	a.again = true
	a.versions.reset()
	a.dots.reset()
}

// Poison is Reset for tests that look for users of what is not theirs any more: instead of being used again, the
// memory is overwritten with versions and dots that nobody ever wrote.
func (a *Arena) Poison() {
	a.again = true
	a.versions.poison(Version{Dot: poisonDot, Kind: 0xEE, HLC: poisonDot.Seq, Payload: []byte("recycled")})
	a.dots.poison(poisonDot)
}

var poisonDot = Dot{Actor: 0xDEAD_DEAD_DEAD_DEAD, Seq: 0xDEAD_DEAD_DEAD}

// take returns an empty slice with room for n items and no more.
func (c *chunks[T]) take(n int, keep bool) []T {
	if cap(c.now)-len(c.now) < n {
		c.next(keep)
	}
	at := len(c.now)
	c.now = c.now[:at+n]
	return c.now[at : at : at+n]
}

func (c *chunks[T]) next(keep bool) {
	if keep && c.now != nil && len(c.full) < arenaChunks {
		c.full = append(c.full, c.now)
	}
	if n := len(c.spare); n > 0 {
		c.now, c.spare = c.spare[n-1], c.spare[:n-1]
		return
	}
	c.now = make([]T, 0, arenaChunk)
}

func (c *chunks[T]) reset() {
	clear(c.now) // lets go of payloads
	c.now = c.now[:0]
	for _, f := range c.full {
		clear(f)
		c.spare = append(c.spare, f[:0])
	}
	c.full = c.full[:0]
}

func (c *chunks[T]) poison(junk T) {
	for _, f := range append(c.full, c.now) {
		for i := range f {
			f[i] = junk
		}
	}
	*c = chunks[T]{}
}

func (a *Arena) takeVersions(n int) []Version {
	if a == nil || n > arenaChunk/4 {
		return make([]Version, 0, n)
	}
	return a.versions.take(n, a.again)
}

func (a *Arena) takeDots(n int) Vector {
	if a == nil || n > arenaChunk/4 {
		return make(Vector, 0, n)
	}
	return a.dots.take(n, a.again)
}

// Decode is DecodeContainer with the arena's memory.
func (a *Arena) Decode(b []byte) (Container, error) {
	d := decoder{b: b, arena: a}
	return d.container()
}

// Overwrite is row.Discard(row.Context()).Add(v) with the arena's memory: a write that has seen all that the row holds.
func (a *Arena) Overwrite(row Container, v Version) Container {
	return Container{
		Versions: append(a.takeVersions(1), v),
		Vector:   append(a.takeDots(len(row.Vector)+1), row.Vector...).With(v.Dot),
	}
}
