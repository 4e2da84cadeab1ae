package handoff

import (
	"slices"

	"shoal/ring"
)

// Target is what one owner is, or was, to be handed since the ring map was installed.
type Target struct {
	Node     ring.NodeID
	Waiting  int    // hints that it lacks as far as known; those it was not asked about count
	UnderWay int    // sent and not answered yet
	Replayed uint64 // acknowledged
	Rejected uint64 // refused, or not answered in time
}

func (m *Machine) targetOf(node ring.NodeID) *Target {
	t := m.target[node]
	if t == nil {
		t = &Target{Node: node}
		m.target[node] = t
	}
	return t
}

// Waiting is the number of hints kept here, and their bytes.
func (m *Machine) Waiting() (count int, bytes int64) { return m.store.HintStats() }

// Targets lists the owners of partitions with hints and those that were sent any, in the order of their ids.
func (m *Machine) Targets() []Target {
	out := make([]Target, 0, len(m.target))
	at := func(node ring.NodeID) *Target {
		i, found := slices.BinarySearchFunc(out, node, func(t Target, n ring.NodeID) int {
			switch {
			case t.Node < n:
				return -1
			case t.Node > n:
				return 1
			}
			return 0
		})
		if !found {
			t := Target{Node: node}
			if have := m.target[node]; have != nil {
				t = *have
			}
			out = slices.Insert(out, i, t)
		}
		return &out[i]
	}
	for node := range m.target { // order-free: it is sorted into its place
		at(node)
	}
	for _, x := range m.parts {
		for i, node := range m.ring.OwnersOf(x.partition) {
			if i < len(x.lacking) {
				at(node).Waiting += x.lacking[i]
			} else {
				at(node).Waiting += m.store.HintCount(x.partition)
			}
		}
	}
	return out
}
