package node

import (
	"shoal/causal"
	"shoal/ring"
)

// What the engine does not offer yet. Without durable clocks nothing is stable, so that nothing is reaped or trimmed.

func (s store) Durable(ring.Partition) *causal.Clock { return nil }

func (s store) Reap(ring.Partition, ring.Slot, []byte, causal.Container, causal.Vector) {}

func (s store) Trim(ring.Partition, causal.Vector) {}

func (s store) Logged(ring.Partition) int { return 0 }

func (s store) Dead(ring.Partition, int64, int, func(ring.Slot, []byte, causal.Container)) bool {
	return false
}
