package node

import (
	"fmt"
	"net"
	"strconv"

	"shoal/console"
	"shoal/resp"
	"shoal/ring"
	"shoal/wire"
)

// serveClients starts the front door. Until there is a map it answers -LOADING.
func (n *Node) serveClients() {
	settings := resp.NewSettings()
	settings.SetPassword(n.opts.Password)
	n.server = resp.NewServer(resp.Options{
		Backend:    backend{n},
		Commands:   resp.Commands(),
		Settings:   settings,
		Log:        n.log,
		Loop:       n.loop,
		IsLoopback: n.world.IsLoopback,
	})
	n.spawn(func() {
		if err := n.server.Serve(n.clients); err != nil && n.ctx.Err() == nil {
			n.fail(fmt.Errorf("client address %s: %w", n.opts.Listen, err))
		}
	})
}

func (n *Node) startConsole() error {
	if n.opts.HTTP == "" {
		return nil
	}
	ln, err := n.world.Listen(n.opts.HTTP)
	if err != nil {
		return fmt.Errorf("http address %s: %w", n.opts.HTTP, err)
	}
	n.console = console.Serve(ln, backend{n}, n.metrics.registry)
	return nil
}

// ClientAddr is where clients connect: the listener's address.
func (n *Node) ClientAddr() net.Addr { return n.clients.Addr() }

// backend shows the node to resp and console.
type backend struct{ n *Node }

var (
	_ resp.Backend    = backend{}
	_ resp.Starter    = backend{}
	_ console.Backend = backend{}
)

func (b backend) Exec(ops []wire.Op, out []wire.Result) { b.n.Exec(ops, out) }

func (b backend) Ready() string {
	if b.n.shown.Load() == nil {
		return "shoal is waiting for the ring map"
	}
	return ""
}

func (b backend) Ring() *ring.Map   { return b.n.shown.Load() }
func (b backend) Self() ring.NodeID { return b.n.id.Node }

func (b backend) Live(id ring.NodeID) bool {
	b.n.mu.Lock()
	defer b.n.mu.Unlock()
	return id == b.n.id.Node || b.n.mu.up[id]
}

// everyPartition runs one operation for each partition as one vector.
func (b backend) everyPartition(code wire.Code) ([]wire.Result, wire.Result) {
	m := b.Ring()
	if m == nil {
		return nil, wire.Result{Status: wire.Loading}
	}
	ops, out := make([]wire.Op, m.Q), make([]wire.Result, m.Q)
	for i := range ops {
		ops[i] = wire.Op{Code: code, Partition: ring.Partition(i)}
	}
	b.n.Exec(ops, out)
	return out, wire.Result{}
}

// DBSize adds up the live keys of every partition, as its first live owner counts them.
func (b backend) DBSize() (int64, wire.Result) {
	out, res := b.everyPartition(wire.OpCount)
	keys := int64(0)
	for i := range out {
		if out[i].Status != wire.OK {
			return 0, out[i]
		}
		keys += out[i].Int
	}
	return keys, res
}

// Flush drops every partition. When only some could be flushed that is said, and with no prefix that clients retry.
func (b backend) Flush() wire.Result {
	out, res := b.everyPartition(wire.OpFlush)
	done, failed := 0, wire.Result{}
	for i := range out {
		switch {
		case out[i].Status == wire.OK:
			done++
		case failed.Status == wire.OK || out[i].Status == wire.Uncertain:
			failed = out[i]
		}
	}
	switch {
	case done == len(out):
		return res
	case done == 0 && failed.Status != wire.Uncertain:
		return failed
	}
	return wire.Result{Status: wire.Failed, Err: fmt.Sprintf("UNCERTAIN the flush reached %d of %d partitions; it may or may not be applied to the others", done, len(out))}
}

func (b backend) CountSlot(slot ring.Slot) (int64, wire.Result) {
	ops, out := []wire.Op{{Code: wire.OpCountSlot, Slot: slot}}, make([]wire.Result, 1)
	b.n.Exec(ops, out)
	return out[0].Int, out[0]
}

// Info gives the numbers that the node owns.
func (b backend) Info(section string) []resp.InfoField {
	switch section {
	case "ring", "siblings", "repair", "keyspace", "persistence", "stats":
	case "config":
		_, port, _ := net.SplitHostPort(b.n.opts.Listen)
		return []resp.InfoField{
			{Name: "dir", Value: b.n.opts.Dir},
			{Name: "appendfsync", Value: b.n.opts.Durability.String()},
			{Name: "port", Value: port},
		}
	default:
		return nil
	}
	st := b.n.Status()
	i := func(x int64) string { return strconv.FormatInt(x, 10) }
	switch section {
	case "ring":
		return []resp.InfoField{
			{Name: "ring_epoch", Value: i(int64(st.Epoch))},
			{Name: "ring_members", Value: i(int64(st.Members))},
			{Name: "ring_live", Value: i(int64(st.Live))},
			{Name: "ring_partitions", Value: i(int64(st.Partitions))},
			{Name: "ring_pending_transfers", Value: i(int64(st.PendingTransfers))},
			{Name: "ring_replicas", Value: i(int64(st.Replicas))},
			{Name: "ring_replicas_whole", Value: i(int64(st.ReplicasWhole))},
			{Name: "ring_clock_off", Value: i(int64(oneIf(st.ClockOff)))},
			{Name: "ring_n", Value: i(int64(st.N))},
			{Name: "ring_r", Value: i(int64(st.R))},
			{Name: "ring_w", Value: i(int64(st.W))},
		}
	case "siblings":
		return []resp.InfoField{
			{Name: "siblings_keys", Value: i(st.SiblingsKeys)},
			{Name: "siblings_max", Value: i(st.SiblingsMax)},
			{Name: "conflicts_seen", Value: i(int64(st.Coord.Conflicts))},
		}
	case "repair":
		return append(hintFields(&st), []resp.InfoField{
			{Name: "repair_tree", Value: i(int64(st.Compare.Repaired))},
			{Name: "repair_read", Value: i(int64(st.Coord.ReadRepairs))},
			{Name: "repair_log", Value: i(int64(st.Pull.KeysTaken))},
			{Name: "repair_bytes", Value: i(int64(st.Compare.Bytes + st.Pull.Bytes + st.Refill.Bytes))},
			{Name: "repair_differed", Value: i(int64(st.Compare.Differed))},
			{Name: "repair_unsettled", Value: i(int64(st.Compare.Unsettled))},
			{Name: "repair_doubtful", Value: i(int64(st.Compare.Doubtful))},
			{Name: "repair_due", Value: i(int64(st.CompareDue))},
			{Name: "repair_compare_age_ms", Value: i(st.CompareAgeMs)},
			{Name: "repair_pace_percent", Value: i(int64(st.PacePercent))},
			{Name: "repair_filling", Value: i(int64(st.Refill.Filling))},
			{Name: "repair_filled", Value: i(int64(st.Refill.Ended))},
			{Name: "repair_filled_rows", Value: i(int64(st.Refill.Rows))},
			{Name: "repair_reaped", Value: i(int64(st.Reap.Reaped))},
			{Name: "repair_closed_actors", Value: i(int64(st.Close.Closed))},
			{Name: "log_entries", Value: i(st.LogEntries)},
			{Name: "log_trimmed", Value: i(st.LogTrimmed)},
			{Name: "tombstones", Value: i(st.Tombstones)},
			{Name: "conflicts_seen", Value: i(int64(st.Coord.Conflicts))},
			{Name: "sloppy_writes", Value: i(int64(st.Coord.SloppyWrites))},
		}...)
	case "keyspace":
		if st.OwnKeys == 0 {
			return nil
		}
		return []resp.InfoField{{Name: "db0", Value: fmt.Sprintf("keys=%d", st.OwnKeys)}}
	case "persistence":
		fields := []resp.InfoField{{Name: "aof_current_size", Value: i(st.DiskBytes)}}
		if st.DiskFull { // what Redis calls it when it refuses writes with MISCONF
			fields = append(fields, resp.InfoField{Name: "aof_last_write_status", Value: "err"})
		}
		return fields
	case "stats":
		return []resp.InfoField{
			{Name: "sloppy_reads", Value: i(int64(st.Coord.SloppyReads))},
			{Name: "read_repairs", Value: i(int64(st.Coord.ReadRepairs))},
			{Name: "operations_forwarded", Value: i(int64(st.Coord.Forwarded))},
			{Name: "operations_handed_over", Value: i(int64(st.Coord.HandedOver))},
			{Name: "operations_timed_out", Value: i(int64(st.Coord.Timeouts))},
			{Name: "alarms_two_values", Value: i(int64(st.twoValues()))},
			{Name: "unreadable_rows", Value: i(int64(st.unreadable()))},
			{Name: "keys_pulled", Value: i(int64(st.Pull.KeysTaken))},
		}
	}
	return nil
}

// hintFields are the numbers of hints, of all and per owner.
func hintFields(st *Status) []resp.InfoField {
	u := func(x uint64) string { return strconv.FormatUint(x, 10) }
	fields := []resp.InfoField{
		{Name: "repair_hints_waiting", Value: strconv.Itoa(st.Hints)},
		{Name: "repair_hints_replayed", Value: u(st.Handoff.Replayed)},
		{Name: "repair_hints_refused", Value: u(st.Handoff.Refused)},
		{Name: "repair_hints_bytes", Value: strconv.FormatInt(st.HintBytes, 10)},
	}
	for _, t := range st.HintsFor {
		fields = append(fields, resp.InfoField{
			Name: "repair_hints_for_" + t.Name, Value: fmt.Sprintf("waiting=%d,replayed=%d,refused=%d", t.Waiting, t.Replayed, t.Rejected),
		})
	}
	return fields
}

func (b backend) Status() any { return b.n.Status() }
