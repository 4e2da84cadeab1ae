package resp

import (
	"shoal/ring"
)

func clusterCommands() []*Command {
	return []*Command{{Name: "cluster", Arity: -2, Subcommands: []*Command{
		{Name: "slots", Arity: 2, Flags: FlagStale, Run: withTopology(writeSlots)},
		{Name: "shards", Arity: 2, Flags: FlagStale, Run: withTopology(writeShards)},
		{Name: "nodes", Arity: 2, Flags: FlagStale, Run: withTopology(func(_ *Conn, t *topology, w *Writer) {
			w.Verbatim("txt", t.derived().nodes)
		})},
		{Name: "info", Arity: 2, Flags: FlagStale, Run: withTopology(func(c *Conn, t *topology, w *Writer) {
			w.Verbatim("txt", fieldLines(mergeFields(t.infoFields(), c.Backend().Info("clusterinfo"))))
		})},
		{Name: "myid", Arity: 2, Flags: FlagStale, Run: func(c *Conn, _ [][]byte, w *Writer) {
			w.BulkString(c.Backend().Self().Hex())
		}},
		{Name: "keyslot", Arity: 3, Flags: FlagStale, Run: func(_ *Conn, args [][]byte, w *Writer) {
			w.Int(int64(ring.SlotOf(args[2])))
		}},
		{Name: "countkeysinslot", Arity: 3, Flags: FlagStale, Run: runCountKeysInSlot},
		{Name: "divergence", Arity: 2, Flags: FlagStale, Run: runDivergence},
		{Name: "digest", Arity: 2, Flags: FlagStale, Run: runDigest},
		{Name: "repair", Arity: -2, Flags: FlagAdmin | FlagStale, Run: runRepair},
	}}}
}

// withTopology runs a command on the ring as it is now.
func withTopology(run func(c *Conn, t *topology, w *Writer)) func(*Conn, [][]byte, *Writer) {
	return func(c *Conn, _ [][]byte, w *Writer) {
		t := c.Server().topology()
		if t == nil {
			w.Error("CLUSTERDOWN The node has no ring map yet")
			return
		}
		run(c, t, w)
	}
}

// writeSlots answers [first, last, node, node...] per range; a node is [host, port, id, metadata]. The live owners
// stand in order, so that a client sends a key to the owner that coordinates it.
func writeSlots(_ *Conn, t *topology, w *Writer) {
	w.Array(len(t.ranges))
	for _, r := range t.ranges {
		w.Array(2 + len(r.owners))
		w.Int(int64(r.first))
		w.Int(int64(r.last))
		for _, id := range r.owners {
			member, _ := t.ring.Member(id)
			host, port := hostPort(member.Client)
			w.Array(4)
			w.BulkString(host)
			w.Int(port)
			w.BulkString(id.Hex())
			w.Map(0)
		}
	}
}

// writeShards answers one shard per member, with that member alone as its master: a shard knows one role per node, so
// the other owners of a range cannot be told here.
func writeShards(_ *Conn, t *topology, w *Writer) {
	w.Array(len(t.ring.Members))
	for _, x := range t.ring.Members {
		w.Map(2)
		w.BulkString("slots")
		ranges := t.derived().primary[x.ID]
		w.Array(2 * len(ranges))
		for _, r := range ranges {
			w.Int(int64(r[0]))
			w.Int(int64(r[1]))
		}
		w.BulkString("nodes")
		w.Array(1)
		writeShardNode(t, x, w)
	}
}

func writeShardNode(t *topology, x ring.Member, w *Writer) {
	host, port := hostPort(x.Client)
	health := "online"
	if !t.live[x.ID] {
		health = "fail"
	}
	w.Map(7)
	w.BulkString("id")
	w.BulkString(x.ID.Hex())
	w.BulkString("port")
	w.Int(port)
	w.BulkString("ip")
	w.BulkString(host)
	w.BulkString("endpoint")
	w.BulkString(host)
	w.BulkString("role")
	w.BulkString("master")
	w.BulkString("replication-offset")
	w.Int(0)
	w.BulkString("health")
	w.BulkString(health)
}

func runCountKeysInSlot(c *Conn, args [][]byte, w *Writer) {
	slot, ok := parseInt(args[2])
	switch {
	case !ok:
		w.Error(errNotInteger)
		return
	case slot < 0 || slot >= ring.Slots:
		w.Error(errInvalidSlot)
		return
	}
	n, res := c.Backend().CountSlot(ring.Slot(slot))
	writeCount(w, n, res)
}
