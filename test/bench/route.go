//go:build linux

package main

import (
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"shoal/ring"
)

// slotTable is the node that a cluster client sends a slot's keys to, as an index into the cluster's addresses.
type slotTable [ring.Slots]uint8

// newSlotTable reads an answer to CLUSTER SLOTS: a slot's requests go to the first node that is named. It fails when a
// slot has no node, or one that is not among addrs.
func newSlotTable(slots []redis.ClusterSlot, addrs []string) (*slotTable, error) {
	var t slotTable
	var known [ring.Slots]bool
	for _, run := range slots {
		if len(run.Nodes) == 0 || run.Start < 0 || run.End >= ring.Slots || run.Start > run.End {
			return nil, fmt.Errorf("CLUSTER SLOTS: bad run %d-%d", run.Start, run.End)
		}
		node := slices.Index(addrs, run.Nodes[0].Addr)
		if node < 0 {
			return nil, fmt.Errorf("CLUSTER SLOTS names %s, which is not one of %v", run.Nodes[0].Addr, addrs)
		}
		for slot := run.Start; slot <= run.End; slot++ {
			t[slot], known[slot] = uint8(node), true
		}
	}
	if slot := slices.Index(known[:], false); slot >= 0 {
		return nil, fmt.Errorf("CLUSTER SLOTS: slot %d has no node", slot)
	}
	return &t, nil
}
