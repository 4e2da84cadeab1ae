package causal

// Arena decodes containers into memory that it allocates in chunks, so that a decoding costs a small part of an
// allocation. What it returned stays valid and unchanged as long as the arena is not Reset.
type Arena struct {
	versions []Version
	dots     []Dot
}

const arenaChunk = 128 // items; larger containers get their own slices

// Reset makes the arena's memory available again. Nothing that it returned may be in use.
func (a *Arena) Reset() {
	clear(a.versions)
	a.versions, a.dots = a.versions[:0], a.dots[:0]
}

func (a *Arena) takeVersions(n int) []Version {
	if a == nil || n > arenaChunk/4 {
		return make([]Version, 0, n)
	}
	if cap(a.versions)-len(a.versions) < n {
		a.versions = make([]Version, 0, arenaChunk)
	}
	at := len(a.versions)
	a.versions = a.versions[:at+n]
	return a.versions[at : at : at+n]
}

func (a *Arena) takeDots(n int) Vector {
	if a == nil || n > arenaChunk/4 {
		return make(Vector, 0, n)
	}
	if cap(a.dots)-len(a.dots) < n {
		a.dots = make([]Dot, 0, arenaChunk)
	}
	at := len(a.dots)
	a.dots = a.dots[:at+n]
	return a.dots[at : at : at+n]
}

// Decode is DecodeContainer with the arena's memory.
func (a *Arena) Decode(b []byte) (Container, error) {
	d := decoder{b: b, arena: a}
	return d.container()
}
