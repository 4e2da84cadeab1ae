package causal

import "slices"

// Context is what a client has seen of a key: a vector, and single dots that no vector may be raised to without
// claiming more than was seen. The zero Context has seen nothing.
type Context struct {
	Vector Vector
	Dots   []Dot // sorted, none covered by Vector
}

// Covers reports whether the client had seen the dot.
func (x Context) Covers(d Dot) bool { return x.Vector.Covers(d) || slices.Contains(x.Dots, d) }

// With returns the context with one more dot and nothing else.
func (x Context) With(d Dot) Context {
	if x.Covers(d) {
		return x
	}
	i, _ := slices.BinarySearchFunc(x.Dots, d, Dot.Compare)
	return Context{Vector: x.Vector, Dots: slices.Insert(slices.Clone(x.Dots), i, d)}
}
