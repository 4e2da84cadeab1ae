package causal

// Kind says what a version holds.
type Kind uint8

// The kinds. The values are part of the stored format: append, never renumber. Cells, headers and elements are
// reserved for counters and collections.
const (
	KindTombstone   Kind = 0
	KindString      Kind = 1
	KindCounterCell Kind = 2 // reserved
	KindHeader      Kind = 3 // reserved: collection header
	KindElement     Kind = 4 // reserved: collection element
)

// Version is one value under one dot. It never changes; a new expiry is a new version.
type Version struct {
	Dot     Dot
	Kind    Kind
	HLC     uint64 // unix ms << 16 | counter: display and ties only, never causality
	Expiry  int64  // unix ms, 0 = none
	Payload []byte // nil for a tombstone
}

// Live reports whether the version shows a value at now (unix ms): neither a tombstone nor expired.
func (v *Version) Live(now int64) bool {
	return v.Kind != KindTombstone && (v.Expiry == 0 || now < v.Expiry)
}
