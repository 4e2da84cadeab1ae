package node

import (
	"time"

	"shoal/antientropy"
	"shoal/resp"
	"shoal/ring"
)

// The comparison of replicas: see antientropy.Comparer. Its pace: compareRows rows per timer tick, at most, which is
// about half a millisecond under the lock.
const (
	compareRows  = 500
	compareKeys  = 4096
	compareBytes = 256 << 10
	compareBatch = 256
	compareMost  = 16384 // keys repaired of a partition at a time
)

// compareConfig: the first comparison comes soon enough that a node which is restarted often compares too.
func compareConfig(self ring.NodeID, every time.Duration) antientropy.CompareConfig {
	ms := max(0, every.Milliseconds())
	return antientropy.CompareConfig{
		Self: self, Every: ms, First: ms / 24, Retry: 10_000, Timeout: 60_000, TickRows: compareRows,
		MaxKeys: compareKeys, MaxBytes: compareBytes, Batch: compareBatch, MaxRepairs: compareMost,
	}
}

// Divergence is what comparisons with the other owners have found.
func (b backend) Divergence() []resp.PeerDivergence {
	n := b.n
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []resp.PeerDivergence
	for _, d := range n.mu.comparer.Divergences(n.now()) {
		out = append(out, resp.PeerDivergence{Peer: d.Peer, Partitions: d.Partitions, Differed: d.Differed, AgeMs: d.Age})
	}
	return out
}

// Repair compares a partition, or all when p is negative, now and thoroughly, in the background.
func (b backend) Repair(p int) int {
	count := 0
	b.n.tick(func(now int64) { count = b.n.mu.comparer.Repair(now, p) })
	return count
}

// Digests hashes this node's own rows, partition by partition, a few at a time so that nobody waits long for the lock.
func (b backend) Digests() []resp.PartitionDigest {
	n := b.n
	n.mu.Lock()
	var partitions []ring.Partition
	if !n.mu.closed {
		partitions = n.store.Partitions()
	}
	n.mu.Unlock()
	out := make([]resp.PartitionDigest, 0, len(partitions))
	for _, p := range partitions {
		out = append(out, n.digest(p))
	}
	return out
}

func (n *Node) digest(p ring.Partition) resp.PartitionDigest {
	out := resp.PartitionDigest{Partition: p}
	var sum *antientropy.Sum
	for done := false; !done && n.ctx.Err() == nil; {
		n.mu.Lock()
		switch {
		case n.mu.closed:
			done = true
		case sum == nil:
			sum = antientropy.NewSum(n.store, p, n.wall())
		default:
			done = sum.Next(compareRows)
		}
		n.mu.Unlock()
	}
	if sum != nil {
		out.Keys, out.Hash = sum.Keys, sum.Hash
	}
	return out
}

// LoseRow and CorruptRow harm this node's copy of a key, for tests of repair.
func (n *Node) LoseRow(key []byte) {
	n.tick(func(int64) {
		slot := ring.SlotOf(key)
		if p := n.mu.ring.PartitionOfSlot(slot); n.store.Replica(p) != nil {
			n.store.Lose(p, slot, key)
		}
	})
}

// CorruptRow flips a bit of a row.
func (n *Node) CorruptRow(key []byte) (err error) {
	n.tick(func(int64) {
		slot := ring.SlotOf(key)
		if p := n.mu.ring.PartitionOfSlot(slot); n.store.Replica(p) != nil {
			err = n.store.Corrupt(p, slot, key)
		}
	})
	return err
}
