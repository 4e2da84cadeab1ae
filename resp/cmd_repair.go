package resp

import "fmt"

// The commands about the comparison of replicas.

// runDivergence answers [peer, partitions compared, keys that differed, ms since] per peer.
func runDivergence(c *Conn, _ [][]byte, w *Writer) {
	rows := c.Backend().Divergence()
	w.Array(len(rows))
	for _, d := range rows {
		w.Array(4)
		w.BulkString(d.Peer.Hex())
		w.Int(int64(d.Partitions))
		w.Int(int64(d.Differed))
		w.Int(d.AgeMs)
	}
}

// runDigest answers [partition, live keys, hash] per partition of this node.
func runDigest(c *Conn, _ [][]byte, w *Writer) {
	rows := c.Backend().Digests()
	w.Array(len(rows))
	for _, d := range rows {
		w.Array(3)
		w.Int(int64(d.Partition))
		w.Int(d.Keys)
		w.BulkString(fmt.Sprintf("%016x", d.Hash))
	}
}

// runRepair begins comparisons in the background, of all partitions or one, and answers how many.
func runRepair(c *Conn, args [][]byte, w *Writer) {
	partition := -1
	m := c.Backend().Ring()
	switch {
	case m == nil:
		w.Error("CLUSTERDOWN The node has no ring map yet")
		return
	case len(args) > 3:
		w.Error(errArity("cluster|repair"))
		return
	case len(args) == 3:
		p, ok := parseInt(args[2])
		if !ok {
			w.Error(errNotInteger)
			return
		}
		if p < 0 || p >= int64(m.Q) {
			w.Error(errInvalidPartition)
			return
		}
		partition = int(p)
	}
	w.Int(int64(c.Backend().Repair(partition)))
}
