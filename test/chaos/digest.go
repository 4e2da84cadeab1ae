package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"shoal/ring"
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

// unequal lists the partitions whose owners (numbers of nodes, by partition) do not all hold the same.
func unequal(nodes []map[int64]digest, owners [][]int) (partitions []int64) {
	for p, of := range owners {
		first, known := nodes[of[0]][int64(p)]
		for _, i := range of {
			d, ok := nodes[i][int64(p)]
			known = known && ok && d == first
		}
		if !known {
			partitions = append(partitions, int64(p))
		}
	}
	return partitions
}

// owners are the numbers of the nodes that own each partition. A node may hold replicas that it does not own, of maps
// before this one.
func (f *fleet) owners(ctx context.Context) ([][]int, error) {
	q := f.nodes[0].info(ctx, "ring")["ring_partitions"]
	//lint:ignore SA1019 SHARDS lists each range with one node only
	ranges, err := f.nodes[0].client.ClusterSlots(ctx).Result()
	if err != nil {
		return nil, err
	}
	owners := make([][]int, q)
	for _, r := range ranges {
		for p := range owners {
			if first := p * ring.Slots / int(q); first < r.Start || first > r.End {
				continue
			}
			for _, n := range r.Nodes {
				if i := slices.IndexFunc(f.nodes, func(x *node) bool { return x.addr == n.Addr }); i >= 0 {
					owners[p] = append(owners[p], i)
				}
			}
		}
	}
	for p, of := range owners {
		if len(of) != min(ownersOf, len(f.nodes)) {
			return nil, fmt.Errorf("partition %d has %d live owners", p, len(of))
		}
	}
	if q == 0 {
		return nil, errors.New("there are no partitions")
	}
	return owners, nil
}

// difference asks every node for its digests and lists the partitions whose owners differ.
func (f *fleet) difference(ctx context.Context) ([]int64, error) {
	owners, err := f.owners(ctx)
	if err != nil {
		return nil, err
	}
	var all []map[int64]digest
	for _, n := range f.nodes {
		d, err := n.digests(ctx)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", n.name, err)
		}
		all = append(all, d)
	}
	return unequal(all, owners), nil
}

// equal waits until the fleet is whole and all owners of every partition hold the same, and says how long that took.
// Nothing that it asks makes a node repair anything.
func (f *fleet) equal(ctx context.Context, within time.Duration) (time.Duration, error) {
	return f.until(ctx, within, func() string {
		if what := f.state(ctx); what != "" {
			return what
		}
		from := time.Now()
		differ, err := f.difference(ctx)
		sleep(ctx, time.Since(from)) // to look must not be most of the work
		switch {
		case err != nil:
			return err.Error()
		case len(differ) > 0:
			return fmt.Sprintf("the owners of %d partitions differ, the first is %d", len(differ), differ[0])
		}
		return ""
	})
}
