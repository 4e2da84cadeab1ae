package node

import (
	"shoal/causal"
	"shoal/ring"
)

// What the engine does not offer yet: without durable clocks nothing is reaped.

func (s store) Durable(ring.Partition) *causal.Clock { return nil }
