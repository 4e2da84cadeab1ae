package causal

// Upto is the clock of every dot of one actor up to n.
func Upto(a Actor, n uint64) (c Clock) {
	if n > 0 {
		c.entries = []Entry{{Actor: a, Base: n}}
	}
	return c
}

// Only is what the clock has of one actor.
func (c *Clock) Only(a Actor) (out Clock) {
	if i, ok := c.find(a); ok {
		e := c.entries[i]
		out.entries = []Entry{{e.Actor, e.Base, append([]Range(nil), e.Above...)}}
	}
	return out
}
