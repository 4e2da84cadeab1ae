package ring

import (
	"errors"
	"fmt"
)

// ErrBadSuccessor says that a map cannot follow another, for errors.Is.
var ErrBadSuccessor = errors.New("ring: not a map that can follow")

// checkNext reports why next cannot be the map that follows m, nil when it can. Everything fixed at founding stays,
// and at most one member is added, removed, replaced by another or changed: majorities of maps that differ by more need
// not share a member.
func (m *Map) checkNext(next *Map) error {
	if next == nil {
		return fmt.Errorf("%w: no map", ErrBadSuccessor)
	}
	if err := next.validate(); err != nil {
		return fmt.Errorf("%w: %w", ErrBadSuccessor, err)
	}
	if next.Cluster != m.Cluster || next.ContextKey != m.ContextKey || next.N != m.N || next.Q != m.Q {
		return fmt.Errorf("%w: of another cluster or shape", ErrBadSuccessor)
	}
	if next.Epoch != m.Epoch+1 {
		return fmt.Errorf("%w: epoch %d after %d", ErrBadSuccessor, next.Epoch, m.Epoch)
	}
	gone, changed := 0, 0
	for _, x := range m.Members {
		now, ok := next.Member(x.ID)
		switch {
		case !ok:
			gone++
		case now != x:
			changed++
		}
	}
	added := len(next.Members) - (len(m.Members) - gone)
	if gone > 1 || added > 1 || changed > 1 || changed == 1 && gone+added > 0 {
		return fmt.Errorf("%w: %d members added, %d removed, %d changed", ErrBadSuccessor, added, gone, changed)
	}
	return nil
}

// decodeNext decodes an encoded map that may follow m.
func (m *Map) decodeNext(value []byte) (*Map, error) {
	next, err := DecodeMap(value)
	if err != nil {
		return nil, err
	}
	return next, m.checkNext(next)
}
