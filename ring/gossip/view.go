package gossip

import (
	"cmp"
	"slices"
	"sync"

	"shoal/ring"
)

// view is who seems alive, and what of that the callbacks have not been told yet: at most one piece of news per node,
// the newest.
type view struct {
	self ring.NodeID
	wake chan struct{} // holds a token when there is news

	mu      sync.Mutex
	members map[ring.NodeID]Member
	news    []ring.NodeID // whose state changed, in order, each once
	told    map[ring.NodeID]Member
}

func newView(self ring.NodeID) *view {
	return &view{
		self: self, wake: make(chan struct{}, 1),
		members: make(map[ring.NodeID]Member),
		told:    make(map[ring.NodeID]Member),
	}
}

func (v *view) alive(m Member) {
	v.change(m.ID, func() { v.members[m.ID] = m })
}

func (v *view) dead(id ring.NodeID) {
	v.change(id, func() { delete(v.members, id) })
}

func (v *view) change(id ring.NodeID, f func()) {
	v.mu.Lock()
	f()
	if id != v.self && !slices.Contains(v.news, id) {
		v.news = append(v.news, id)
	}
	v.mu.Unlock()
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// full reports whether there is no place for one more node.
func (v *view) full(id ring.NodeID) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	_, known := v.members[id]
	return !known && len(v.members) >= maxMembers
}

// next takes the oldest piece of news; ok is false when there is none.
func (v *view) next() (m Member, alive, ok bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for len(v.news) > 0 {
		id := v.news[0]
		v.news = v.news[1:]
		now, isAlive := v.members[id]
		before, wasAlive := v.told[id]
		switch {
		case isAlive && !(wasAlive && before.Meta == now.Meta):
			v.told[id] = now
			return now, true, true
		case !isAlive && wasAlive:
			delete(v.told, id)
			return before, false, true
		}
	}
	return Member{}, false, false
}

// list returns the members sorted by id.
func (v *view) list() []Member {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := make([]Member, 0, len(v.members))
	for _, m := range v.members {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
