package ring

import (
	"fmt"
	"slices"
)

// WithReplacement returns the map of the next epoch in which add stands in every place of the member old, which is gone for
// good. Nothing else moves. add may have old's name. The error is ErrUnknownMember, or one of those of WithMember.
func (m *Map) WithReplacement(old NodeID, add Member) (*Map, error) {
	add = add.normal()
	if err := add.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadMember, err)
	}
	at, ok := m.search(old)
	if !ok {
		return nil, fmt.Errorf("%w: %v", ErrUnknownMember, old)
	}
	members := slices.Delete(slices.Clone(m.Members), at, at+1)
	for _, have := range members {
		if have.ID == add.ID {
			return nil, fmt.Errorf("%w: %v", ErrKnownID, add.ID)
		}
		if have.Name == add.Name {
			return nil, fmt.Errorf("%w: %q", ErrKnownName, add.Name)
		}
	}
	if add.ID == old {
		return nil, fmt.Errorf("%w: %v", ErrKnownID, add.ID)
	}
	next := *m
	next.Epoch++
	next.Members = members
	i, _ := next.search(add.ID)
	next.Members = slices.Insert(next.Members, i, add)
	next.Owners = make([][]NodeID, len(m.Owners))
	for p, list := range m.Owners {
		next.Owners[p] = slices.Clone(list)
		if i := slices.Index(list, old); i >= 0 {
			next.Owners[p][i] = add.ID
		}
	}
	return &next, nil
}
