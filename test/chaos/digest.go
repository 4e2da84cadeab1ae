package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

const digestTime = 30 * time.Second // for a node to read all its rows

// digest is what one node's replica of a partition holds.
type digest struct {
	keys int64
	hash string
}

// digests are a node's own, by partition. It reads every row.
func (n *node) digests(ctx context.Context) (map[int64]digest, error) {
	rows, err := n.client.WithTimeout(digestTime).Do(ctx, "CLUSTER", "DIGEST").Slice()
	if err != nil {
		return nil, err
	}
	out := make(map[int64]digest, len(rows))
	for _, row := range rows {
		parts, ok := row.([]any)
		if !ok || len(parts) != 3 {
			return nil, fmt.Errorf("CLUSTER DIGEST answers %v", row)
		}
		partition, ok1 := parts[0].(int64)
		keys, ok2 := parts[1].(int64)
		hash, ok3 := parts[2].(string)
		if !ok1 || !ok2 || !ok3 {
			return nil, fmt.Errorf("CLUSTER DIGEST answers %v", row)
		}
		out[partition] = digest{keys, hash}
	}
	return out, nil
}

// unequal lists the partitions whose owners do not all hold the same, in order. Each must have so many owners.
func unequal(nodes []map[int64]digest, owners int) (partitions []int64) {
	count, first, bad := map[int64]int{}, map[int64]digest{}, map[int64]bool{}
	for _, node := range nodes {
		for p, d := range node {
			if count[p]++; count[p] == 1 {
				first[p] = d
			}
			bad[p] = bad[p] || d != first[p]
		}
	}
	for p := range count {
		if bad[p] || count[p] != owners {
			partitions = append(partitions, p)
		}
	}
	slices.Sort(partitions)
	return partitions
}

// difference asks every node for its digests and lists the partitions whose owners differ.
func (f *fleet) difference(ctx context.Context) ([]int64, error) {
	var all []map[int64]digest
	for _, n := range f.nodes {
		d, err := n.digests(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.name, err)
		}
		all = append(all, d)
	}
	if len(all[0]) == 0 {
		return nil, errors.New("there are no digests")
	}
	return unequal(all, min(ownersOf, len(f.nodes))), nil
}

// equal waits until the fleet is whole and all owners of every partition hold the same, and says how long that took.
// Nothing that it asks makes a node repair anything.
func (f *fleet) equal(ctx context.Context, within time.Duration) (time.Duration, error) {
	return f.until(ctx, within, func() string {
		if what := f.state(ctx); what != "" {
			return what
		}
		switch differ, err := f.difference(ctx); {
		case err != nil:
			return err.Error()
		case len(differ) > 0:
			return fmt.Sprintf("the owners of %d partitions differ, the first is %d", len(differ), differ[0])
		}
		return ""
	})
}
