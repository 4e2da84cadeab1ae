package ring

import (
	"errors"
	"fmt"
	"slices"
)

// ErrUnknownID is why a member cannot be replaced, for errors.Is: the map does not list it.
var ErrUnknownID = errors.New("ring: no member with this node id is in the map")

// WithReplacement returns the map of the next epoch in which add takes every place of the member old, position for
// position, and old is no member any more: for a node that is gone for good. add may have the name and the addresses
// that old had; no partition moves between the members that stay. The error is ErrUnknownID, ErrKnownID, ErrKnownName or
// ErrBadMember, wrapped.
func (m *Map) WithReplacement(old NodeID, add Member) (*Map, error) {
	add = add.normal()
	if err := add.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadMember, err)
	}
	at, ok := m.search(old)
	if !ok {
		return nil, fmt.Errorf("%w: %v", ErrUnknownID, old)
	}
	if _, known := m.Member(add.ID); known {
		return nil, fmt.Errorf("%w: %v", ErrKnownID, add.ID)
	}
	next := *m
	next.Epoch++
	next.Members = slices.Delete(slices.Clone(m.Members), at, at+1)
	for _, have := range next.Members {
		if have.Name == add.Name {
			return nil, fmt.Errorf("%w: %q", ErrKnownName, add.Name)
		}
	}
	i, _ := next.search(add.ID)
	next.Members = slices.Insert(next.Members, i, add)
	next.Owners = make([][]NodeID, len(m.Owners))
	for p, list := range m.Owners {
		next.Owners[p] = list // a list never changes, so maps may share it
		if k := slices.Index(list, old); k >= 0 {
			next.Owners[p] = slices.Clone(list)
			next.Owners[p][k] = add.ID
		}
	}
	return &next, nil
}
