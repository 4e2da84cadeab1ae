//go:build linux

package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"

	"shoal/ring"
)

// thirds is a table of three nodes with a third of the slots each.
func thirds(t *testing.T) *slotTable {
	t.Helper()
	table, err := newSlotTable([]redis.ClusterSlot{
		{Start: 0, End: 5460, Nodes: []redis.ClusterNode{{Addr: "a"}, {Addr: "b"}}},
		{Start: 5461, End: 10922, Nodes: []redis.ClusterNode{{Addr: "b"}}},
		{Start: 10923, End: 16383, Nodes: []redis.ClusterNode{{Addr: "c"}}},
	}, []string{"a", "b", "c"})
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func TestSlotTable(t *testing.T) {
	table := thirds(t)
	for slot, want := range map[int]uint8{0: 0, 5460: 0, 5461: 1, 10922: 1, 10923: 2, 16383: 2} {
		if table[slot] != want {
			t.Errorf("slot %d: node %d, want %d", slot, table[slot], want)
		}
	}
	node := []redis.ClusterNode{{Addr: "a"}}
	for name, slots := range map[string][]redis.ClusterSlot{
		"hole":         {{Start: 0, End: 100, Nodes: node}, {Start: 102, End: 16383, Nodes: node}},
		"no node":      {{Start: 0, End: 16383}},
		"unknown node": {{Start: 0, End: 16383, Nodes: []redis.ClusterNode{{Addr: "x"}}}},
		"too far":      {{Start: 0, End: 16384, Nodes: node}},
	} {
		if _, err := newSlotTable(slots, []string{"a"}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestKeyspace checks that each key is with the node of its slot, and every batch with one node.
func TestKeyspace(t *testing.T) {
	const keys = 3000
	table := thirds(t)
	space := newKeyspace(keys, 3, table)
	for key := range uint32(keys) {
		name := fmt.Appendf(nil, "key:%012d", key)
		if got := appendKey(nil, key); string(got) != string(name) {
			t.Fatalf("key %d is called %s, want %s", key, got, name)
		}
		if want := table[ring.SlotOf(name)]; space.owner[key] != want || !slices.Contains(space.byNode[want], key) {
			t.Fatalf("%s: node %d, want %d", name, space.owner[key], want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for name, source := range map[string]source{
		"uniform": &uniform{space, rng}, "zipf": newZipfian(space, rng), "sequence": newSequence(space),
	} {
		dst := make([]uint32, 16)
		for range 100 {
			node, batch := source.batch(dst)
			for _, key := range batch {
				if int(space.owner[key]) != node {
					t.Fatalf("%s: key %d of node %d sent to %d", name, key, space.owner[key], node)
				}
			}
		}
	}
}

func TestSequenceIsEveryKeyOnce(t *testing.T) {
	const keys = 1000
	source := newSequence(newKeyspace(keys, 3, thirds(t)))
	seen := map[uint32]int{}
	for {
		_, batch := source.batch(make([]uint32, 16))
		if len(batch) == 0 {
			break
		}
		for _, key := range batch {
			seen[key]++
		}
	}
	if len(seen) != keys {
		t.Errorf("%d keys, want %d", len(seen), keys)
	}
	for key, n := range seen {
		if n != 1 {
			t.Errorf("key %d came %d times", key, n)
		}
	}
}

// TestUniform draws often and expects every tenth of the keys about as often.
func TestUniform(t *testing.T) {
	const keys, draws = 1000, 100_000
	source := &uniform{newKeyspace(keys, 3, thirds(t)), rand.New(rand.NewPCG(3, 4))}
	var tenths [10]int
	dst := make([]uint32, 10)
	for range draws / len(dst) {
		_, batch := source.batch(dst)
		for _, key := range batch {
			tenths[key*10/keys]++
		}
	}
	for i, n := range tenths {
		if n < draws/10*8/10 || n > draws/10*12/10 {
			t.Errorf("tenth %d came %d times of %d", i, n, draws)
		}
	}
}

// TestZipf compares the most popular ranks with the law: the k-th has a share of k^-1.1 of the sum.
func TestZipf(t *testing.T) {
	const keys = 10_000
	z := newZipfian(newKeyspace(keys, 1, nil), rand.New(rand.NewPCG(5, 6)))
	counts := make([]int, keys)
	dst := make([]uint32, 1)
	for range zipfDraws {
		_, batch := z.batch(dst)
		counts[batch[0]]++
	}
	slices.Sort(counts)
	slices.Reverse(counts)
	sum := 0.0
	for k := 1; k <= keys; k++ {
		sum += math.Pow(float64(k), -zipfExponent)
	}
	for _, k := range []int{1, 2, 10, 100} {
		want := math.Pow(float64(k), -zipfExponent) / sum
		if got := float64(counts[k-1]) / zipfDraws; math.Abs(got-want) > want/10 {
			t.Errorf("rank %d: share %.5f, want %.5f", k, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	for _, size := range []int{headSize + 1, 128, 64 << 10} {
		v := newValues(size)
		b := v.append(nil, 4711, 987654321)
		if len(b) != size || !v.check(b, 4711) {
			t.Fatalf("size %d: not its own value", size)
		}
		if v.check(b, 4712) || v.check(b[:size-1], 4711) || v.check(append(b, 'x'), 4711) {
			t.Errorf("size %d: another key's or a cut value passes", size)
		}
		for _, i := range []int{0, keySize - 1, headSize - 1, size - 1} {
			bad := slices.Clone(b[:size])
			bad[i] ^= 1
			if v.check(bad, 4711) {
				t.Errorf("size %d: passes with byte %d changed", size, i)
			}
		}
	}
}
