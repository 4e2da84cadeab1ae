package ring

import (
	"cmp"
	"errors"
	"fmt"
	"math/bits"
	"slices"
)

// The reasons why a member cannot be added, for errors.Is.
var (
	ErrKnownID       = errors.New("ring: a member with this node id is already in the map")
	ErrKnownName     = errors.New("ring: a member with this name is already in the map")
	ErrBadMember     = errors.New("ring: bad member")
	ErrFull          = errors.New("ring: the map has no room for another member")
	ErrUnknownMember = errors.New("ring: no such member in the map")
)

// Map says who owns what, as of an epoch. It never changes once made, so any number of goroutines may read it; the
// fields and slices are exported for reading only. Make one with Found, WithMember or DecodeMap.
type Map struct {
	Cluster    ClusterID
	Epoch      uint64 // 1 at founding; the map of epoch e+1 is decided by the members of epoch e
	N          int    // replicas wanted per partition, fixed at founding, 1..MaxN
	Q          int    // partitions, fixed at founding, a power of two, 1..Slots
	ContextKey [32]byte
	Members    []Member   // sorted by ID
	Owners     [][]NodeID // per partition min(N, len(Members)) distinct nodes, the one that should coordinate first
	Pending    [][]NodeID // reserved for moves, nil
	Step       uint8      // reserved for moves, 0
}

// Found makes the first map of a cluster, epoch 1, with one member that owns everything. contextKey authenticates the
// contexts that clients carry. It panics when an argument is out of range: the caller checks what came from outside
// with Member.Validate and ValidateShape.
func Found(cluster ClusterID, contextKey [32]byte, n, q int, first Member) *Map {
	m := &Map{Cluster: cluster, Epoch: 1, N: n, Q: q, ContextKey: contextKey, Members: []Member{first.normal()}}
	if err := ValidateShape(n, q); err != nil {
		panic(err)
	}
	m.Owners = assign(m.Members, q, n, nil)
	if err := m.validate(); err != nil {
		panic(err)
	}
	return m
}

// ValidateShape reports whether n replicas and q partitions are possible.
func ValidateShape(n, q int) error {
	if n < 1 || n > MaxN {
		return fmt.Errorf("ring: N is %d, want 1 to %d", n, MaxN)
	}
	if q < 1 || q > Slots || bits.OnesCount(uint(q)) != 1 {
		return fmt.Errorf("ring: Q is %d, want a power of two from 1 to %d", q, Slots)
	}
	return nil
}

// WithMember returns the map of the next epoch with one more member and as few partitions moved as balance allows.
// The error is ErrKnownID, ErrKnownName, ErrBadMember or ErrFull, wrapped.
func (m *Map) WithMember(add Member) (*Map, error) {
	add = add.normal()
	if err := add.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadMember, err)
	}
	if len(m.Members) == MaxMembers {
		return nil, ErrFull
	}
	for _, have := range m.Members {
		if have.ID == add.ID {
			return nil, fmt.Errorf("%w: %v", ErrKnownID, add.ID)
		}
		if have.Name == add.Name {
			return nil, fmt.Errorf("%w: %q", ErrKnownName, add.Name)
		}
	}
	next := *m
	next.Epoch++
	i, _ := m.search(add.ID)
	next.Members = slices.Insert(slices.Clone(m.Members), i, add)
	next.Owners = assign(next.Members, m.Q, m.N, m.Owners)
	return &next, nil
}

// PartitionOf returns the partition of a key.
func (m *Map) PartitionOf(key []byte) Partition { return m.PartitionOfSlot(SlotOf(key)) }

// PartitionOfSlot returns the partition that the slot is in.
func (m *Map) PartitionOfSlot(s Slot) Partition { return Partition(int(s) * m.Q / Slots) }

// SlotRange returns the slots of a partition, both ends included.
func (m *Map) SlotRange(p Partition) (first, last Slot) {
	width := Slots / m.Q
	return Slot(int(p) * width), Slot((int(p)+1)*width - 1)
}

// OwnersOf returns the partition's owners in order. The caller must not change the slice.
func (m *Map) OwnersOf(p Partition) []NodeID { return m.Owners[p] }

// Fallbacks returns every member that does not own the partition, in the order in which they stand in for owners.
// The order differs from partition to partition, is the same on every node, and a newcomer does not disturb it. Owners
// and then fallbacks are the partition's preference list.
func (m *Map) Fallbacks(p Partition) []NodeID {
	rest := make([]NodeID, 0, len(m.Members)-len(m.Owners[p]))
	for _, x := range m.Members {
		if m.Position(p, x.ID) < 0 {
			rest = append(rest, x.ID)
		}
	}
	byScore(rest, p)
	return rest
}

// Member returns the member with the id.
func (m *Map) Member(id NodeID) (Member, bool) {
	if i, ok := m.search(id); ok {
		return m.Members[i], true
	}
	return Member{}, false
}

// Position returns the node's place in the partition's owners, -1 when it owns no copy.
func (m *Map) Position(p Partition, id NodeID) int { return slices.Index(m.Owners[p], id) }

func (m *Map) search(id NodeID) (int, bool) {
	return slices.BinarySearchFunc(m.Members, id, func(x Member, id NodeID) int { return cmp.Compare(x.ID, id) })
}

// majority is the number of members that any two quorums of the map's members share one of.
func (m *Map) majority() int { return len(m.Members)/2 + 1 }
