package node

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics is the node's own registry: several nodes may live in one process. Every number is read from Status when it
// is asked for, so the hot path pays nothing.
type metrics struct {
	registry *prometheus.Registry
	node     *Node
	rows     []metric
}

// Per owner that hints are kept for.
var (
	hintsWaiting  = prometheus.NewDesc("shoal_repair_hints_owner_waiting", "Hints that an owner lacks, as far as known.", []string{"owner"}, nil)
	hintsReplayed = prometheus.NewDesc("shoal_repair_hints_owner_replayed_total", "Copies of hints that an owner has acknowledged since the ring map changed.", []string{"owner"}, nil)
	hintsRefused  = prometheus.NewDesc("shoal_repair_hints_owner_refused_total", "Copies of hints that an owner refused, or did not answer in time, since the ring map changed.", []string{"owner"}, nil)
)

type metric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	read func(*Status) float64
}

func newMetrics(n *Node) *metrics {
	m := &metrics{registry: prometheus.NewRegistry(), node: n}
	gauge := func(name, help string, read func(*Status) float64) { m.add(prometheus.GaugeValue, name, help, read) }
	count := func(name, help string, read func(*Status) float64) { m.add(prometheus.CounterValue, name, help, read) }

	gauge("ring_epoch", "Epoch of the ring map.", func(s *Status) float64 { return float64(s.Epoch) })
	gauge("ring_members", "Members of the ring map.", func(s *Status) float64 { return float64(s.Members) })
	gauge("ring_live", "Members that answer this node, itself included.", func(s *Status) float64 { return float64(s.Live) })
	gauge("ring_replicas", "Partition replicas of this node.", func(s *Status) float64 { return float64(s.Replicas) })
	gauge("ring_replicas_whole", "Partition replicas of this node that may answer a read by themselves.", func(s *Status) float64 { return float64(s.ReplicasWhole) })
	gauge("disk_full", "1 while writes are refused for want of room on the disk.", func(s *Status) float64 { return oneIf(s.DiskFull) })
	gauge("clock_off", "1 when this machine's clock is too far from most members'.", func(s *Status) float64 { return oneIf(s.ClockOff) })
	gauge("keys", "Live keys of this node's replicas.", func(s *Status) float64 { return float64(s.OwnKeys) })
	gauge("rows", "Rows kept, tombstones included.", func(s *Status) float64 { return float64(s.Rows) })
	gauge("tombstones", "Rows that hold only tombstones.", func(s *Status) float64 { return float64(s.Tombstones) })
	gauge("siblings_keys", "Rows with more than one value.", func(s *Status) float64 { return float64(s.SiblingsKeys) })
	gauge("siblings_max", "Most values of one row.", func(s *Status) float64 { return float64(s.SiblingsMax) })
	gauge("disk_bytes", "Bytes of the store's files.", func(s *Status) float64 { return float64(s.DiskBytes) })
	gauge("operations_pending", "Operations that wait for other nodes.", func(s *Status) float64 { return float64(s.Pending) })

	count("operations_forwarded_total", "Operations sent to a coordinator.", func(s *Status) float64 { return float64(s.Coord.Forwarded) })
	count("operations_handed_over_total", "Writes that an owner handed to an earlier one.", func(s *Status) float64 { return float64(s.Coord.HandedOver) })
	count("operations_timed_out_total", "Operations that met their deadline.", func(s *Status) float64 { return float64(s.Coord.Timeouts) })
	count("writes_read_first_total", "Writes before which a quorum was read.", func(s *Status) float64 { return float64(s.Coord.ReadFirst) })
	count("sloppy_reads_total", "Reads answered by fewer than R owners.", func(s *Status) float64 { return float64(s.Coord.SloppyReads) })
	count("read_repairs_total", "Rows changed by another owner's answer to a read.", func(s *Status) float64 { return float64(s.Coord.ReadRepairs) })
	count("conflicts_seen_total", "Writes that met a live value which their context did not cover.", func(s *Status) float64 { return float64(s.Coord.Conflicts) })
	count("two_values_total", "Alarm: one dot with two values.", func(s *Status) float64 { return float64(s.twoValues()) })
	count("unreadable_rows_total", "Damaged rows and blocks that were met.", func(s *Status) float64 { return float64(s.unreadable()) })
	count("pulls_total", "Questions to other owners what this node lacks.", func(s *Status) float64 { return float64(s.Pull.Pulls) })
	count("pulled_keys_total", "Rows changed by a pull.", func(s *Status) float64 { return float64(s.Pull.KeysTaken) })
	gauge("compare_due", "Comparisons of replicas that are due or under way.", func(s *Status) float64 { return float64(s.CompareDue) })
	gauge("compare_age_seconds", "Time since every partition was compared with every other owner; -1 if some never was.", func(s *Status) float64 { return ageSeconds(s.CompareAgeMs) })
	count("compares_total", "Comparisons of a partition with another owner.", func(s *Status) float64 { return float64(s.Compare.Exchanges) })
	count("compared_rows_total", "Rows that comparisons looked at.", func(s *Status) float64 { return float64(s.Compare.Rows) })
	count("compare_differed_total", "Keys that were found to differ.", func(s *Status) float64 { return float64(s.Compare.Differed) })
	count("repair_tree_total", "Rows repaired by a comparison.", func(s *Status) float64 { return float64(s.Compare.Repaired) })
	count("repair_read_total", "Rows repaired by a read.", func(s *Status) float64 { return float64(s.Coord.ReadRepairs) })
	count("repair_log_total", "Rows changed by a pull.", func(s *Status) float64 { return float64(s.Pull.KeysTaken) })
	count("repair_bytes_total", "Bytes of rows taken from other owners by comparisons, pulls and refills.", func(s *Status) float64 { return float64(s.Compare.Bytes + s.Pull.Bytes + s.Refill.Bytes) })
	gauge("repair_hints_waiting", "Hints kept for owners that could not be reached.", func(s *Status) float64 { return float64(s.Hints) })
	gauge("repair_hints_bytes", "Bytes of these hints.", func(s *Status) float64 { return float64(s.HintBytes) })
	count("repair_hints_replayed_total", "Copies of hints that owners have acknowledged.", func(s *Status) float64 { return float64(s.Handoff.Replayed) })
	count("repair_hints_refused_total", "Hints that this node did not take.", func(s *Status) float64 { return float64(s.Handoff.Refused) })
	count("sloppy_writes_total", "Writes for which a node that is no owner was asked to keep a hint.", func(s *Status) float64 { return float64(s.Coord.SloppyWrites) })
	gauge("repair_filling", "Replicas of this node that are being filled.", func(s *Status) float64 { return float64(s.Refill.Filling) })
	gauge("ring_pending_transfers", "Replicas that are being filled, of all members that are up.", func(s *Status) float64 { return float64(s.PendingTransfers) })
	count("repair_filled_total", "Replicas that were filled.", func(s *Status) float64 { return float64(s.Refill.Ended) })
	count("repair_filled_rows_total", "Rows taken in by refills.", func(s *Status) float64 { return float64(s.Refill.Rows) })
	count("repair_reaped_total", "Rows of tombstones and expired values that were reaped.", func(s *Status) float64 { return float64(s.Reap.Reaped) })
	count("repair_closed_actors_total", "Actors of ended lives that were closed.", func(s *Status) float64 { return float64(s.Close.Closed) })
	gauge("log_entries", "Log entries kept since some owner is not known to have them on its disk.", func(s *Status) float64 { return float64(s.LogEntries) })
	count("log_trimmed_total", "Log entries forgotten at the log's cap.", func(s *Status) float64 { return float64(s.LogTrimmed) })
	gauge("repair_pace_ratio", "Share of its full pace that repair has: it makes room when clients wait.", func(s *Status) float64 { return float64(s.PacePercent) / 100 })

	m.registry.MustRegister(m, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) add(kind prometheus.ValueType, name, help string, read func(*Status) float64) {
	m.rows = append(m.rows, metric{prometheus.NewDesc("shoal_"+name, help, nil, nil), kind, read})
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, r := range m.rows {
		ch <- r.desc
	}
	for _, d := range []*prometheus.Desc{hintsWaiting, hintsReplayed, hintsRefused} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	st := m.node.Status()
	for _, r := range m.rows {
		ch <- prometheus.MustNewConstMetric(r.desc, r.kind, r.read(&st))
	}
	for _, t := range st.HintsFor {
		ch <- prometheus.MustNewConstMetric(hintsWaiting, prometheus.GaugeValue, float64(t.Waiting), t.Name)
		ch <- prometheus.MustNewConstMetric(hintsReplayed, prometheus.CounterValue, float64(t.Replayed), t.Name)
		ch <- prometheus.MustNewConstMetric(hintsRefused, prometheus.CounterValue, float64(t.Rejected), t.Name)
	}
}

func ageSeconds(ms int64) float64 {
	if ms < 0 {
		return -1
	}
	return float64(ms) / 1000
}

func oneIf(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
