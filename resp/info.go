package resp

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"time"
)

// RedisVersion is the Redis whose replies shoal gives, and which it reports: clients choose by it what they send.
const RedisVersion = "7.0.15"

// ShoalVersion is shoal's own version, of the build.
var ShoalVersion = buildVersion()

func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "dev"
}

// infoSection is a section of INFO. fields may be nil: then only the backend's Info(name) fills it.
type infoSection struct {
	name, title string
	onDemand    bool // not part of plain INFO
	fields      func(s *Server) []InfoField
}

// infoSections stand in the order in which they are shown.
var infoSections = []infoSection{
	{name: "server", title: "Server", fields: serverFields},
	{name: "clients", title: "Clients", fields: clientFields},
	{name: "memory", title: "Memory", fields: memoryFields},
	{name: "persistence", title: "Persistence", fields: persistenceFields},
	{name: "stats", title: "Stats", fields: statsFields},
	{name: "replication", title: "Replication", fields: replicationFields},
	{name: "cpu", title: "CPU", fields: cpuFields},
	{name: "modules", title: "Modules"},
	{name: "commandstats", title: "Commandstats", onDemand: true, fields: commandStatsFields},
	{name: "errorstats", title: "Errorstats"},
	{name: "cluster", title: "Cluster", fields: func(*Server) []InfoField { return []InfoField{{"cluster_enabled", "1"}} }},
	{name: "keyspace", title: "Keyspace"},
	{name: "ring", title: "Ring", fields: ringInfoFields},
	{name: "siblings", title: "Siblings"},
	{name: "repair", title: "Repair"},
}

// runInfo answers INFO [section ...]. The backend's fields replace those of the same name and follow the others.
func runInfo(c *Conn, args [][]byte, w *Writer) {
	w.Verbatim("txt", infoText(c.Server(), args[1:]))
}

func infoText(s *Server, wanted [][]byte) string {
	var b strings.Builder
	for _, section := range infoSections {
		if !section.wantedBy(wanted) {
			continue
		}
		var fields []InfoField
		if section.fields != nil {
			fields = section.fields(s)
		}
		fields = mergeFields(fields, s.Backend().Info(section.name))
		if b.Len() > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("# " + section.title + "\r\n" + fieldLines(fields))
	}
	return b.String()
}

func (i *infoSection) wantedBy(names [][]byte) bool {
	if len(names) == 0 {
		return !i.onDemand
	}
	for _, name := range names {
		switch {
		case equalFold(name, i.name), equalFold(name, "all"), equalFold(name, "everything"):
			return true
		case equalFold(name, "default") && !i.onDemand:
			return true
		}
	}
	return false
}

// mergeFields puts the node's numbers over the default ones.
func mergeFields(fields, over []InfoField) []InfoField {
	for _, f := range over {
		replaced := false
		for i := range fields {
			if fields[i].Name == f.Name {
				fields[i].Value, replaced = f.Value, true
			}
		}
		if !replaced {
			fields = append(fields, f)
		}
	}
	return fields
}

func fieldLines(fields []InfoField) string {
	var b strings.Builder
	for _, f := range fields {
		b.WriteString(f.Name + ":" + f.Value + "\r\n")
	}
	return b.String()
}

func serverFields(s *Server) []InfoField {
	up := s.Now().Sub(s.Started())
	return []InfoField{
		{"redis_version", RedisVersion},
		{"redis_mode", "cluster"},
		{"shoal_version", ShoalVersion},
		{"go_version", runtime.Version()},
		{"os", runtime.GOOS + " " + runtime.GOARCH},
		{"arch_bits", itoa(32 << (^uint(0) >> 63))},
		{"multiplexing_api", "go"},
		{"process_id", itoa(int64(os.Getpid()))},
		{"run_id", s.Backend().Self().Hex()},
		{"tcp_port", itoa(clientPort(s.Backend()))},
		{"server_time_usec", itoa(s.Now().UnixMicro())},
		{"uptime_in_seconds", itoa(int64(up / time.Second))},
		{"uptime_in_days", itoa(int64(up / (24 * time.Hour)))},
		{"hz", "10"},
		{"configured_hz", "10"},
		{"config_file", ""},
		{"io_threads_active", "0"},
	}
}

// clientPort is the port that the map announces for this node, 0 while there is no map.
func clientPort(b Backend) int64 {
	m := b.Ring()
	if m == nil {
		return 0
	}
	member, ok := m.Member(b.Self())
	if !ok {
		return 0
	}
	_, port := hostPort(member.Client)
	return port
}

func clientFields(s *Server) []InfoField {
	return []InfoField{
		{"connected_clients", itoa(int64(s.ConnCount()))},
		{"cluster_connections", "0"},
		{"maxclients", itoa(s.Settings().MaxClients.Load())},
		{"blocked_clients", "0"},
		{"tracking_clients", "0"},
		{"clients_in_timeout_table", "0"},
	}
}

// memoryFields come from the Go runtime: used is live and not yet collected heap, rss what is held from the system.
func memoryFields(s *Server) []InfoField {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
	}
	metrics.Read(samples)
	used := int64(samples[0].Value.Uint64())
	rss := int64(samples[1].Value.Uint64() - samples[2].Value.Uint64())
	return []InfoField{
		{"used_memory", itoa(used)},
		{"used_memory_human", humanBytes(used)},
		{"used_memory_rss", itoa(rss)},
		{"used_memory_rss_human", humanBytes(rss)},
		{"maxmemory", "0"},
		{"maxmemory_human", "0B"},
		{"maxmemory_policy", "noeviction"},
		{"mem_fragmentation_ratio", fmt.Sprintf("%.2f", float64(rss)/float64(max(used, 1)))},
		{"mem_clients_normal", itoa(s.budget.used.Load())},
		{"mem_allocator", "libc"},
		{"active_defrag_running", "0"},
		{"lazyfree_pending_objects", "0"},
	}
}

// humanBytes is a size as INFO shows it beside the exact one.
func humanBytes(n int64) string {
	size, units := float64(n), "KMGT"
	if n < 1024 {
		return itoa(n) + "B"
	}
	i := -1
	for size >= 1024 && i < len(units)-1 {
		size /= 1024
		i++
	}
	return fmt.Sprintf("%.2f%c", size, units[i])
}

func persistenceFields(s *Server) []InfoField {
	loading := "0"
	if s.Backend().Ready() != "" {
		loading = "1"
	}
	return []InfoField{
		{"loading", loading},
		{"async_loading", "0"},
		{"rdb_changes_since_last_save", "0"},
		{"rdb_bgsave_in_progress", "0"},
		{"rdb_last_save_time", itoa(s.Started().Unix())},
		{"rdb_last_bgsave_status", "ok"},
		{"aof_enabled", "1"},
		{"aof_rewrite_in_progress", "0"},
		{"aof_rewrite_scheduled", "0"},
		{"aof_last_bgrewrite_status", "ok"},
		{"aof_last_write_status", "ok"},
	}
}

func statsFields(s *Server) []InfoField {
	st := s.Stats()
	return []InfoField{
		{"total_connections_received", itoa(st.Connections.Load())},
		{"total_commands_processed", itoa(st.Commands.Load())},
		{"total_net_input_bytes", itoa(st.BytesIn.Load())},
		{"total_net_output_bytes", itoa(st.BytesOut.Load())},
		{"rejected_connections", itoa(st.Rejected.Load())},
		{"denied_connections", itoa(st.Denied.Load())},
		{"protocol_errors", itoa(st.ProtocolFails.Load())},
		{"command_panics", itoa(st.Panics.Load())},
		{"evicted_keys", "0"},
		{"pubsub_channels", "0"},
		{"pubsub_patterns", "0"},
		{"latest_fork_usec", "0"},
		{"total_error_replies", itoa(st.ErrorReplies.Load())},
	}
}

// replicationFields call every node a master: there is no other role, and ioredis waits for a replica's link.
func replicationFields(s *Server) []InfoField {
	return []InfoField{
		{"role", "master"},
		{"connected_slaves", "0"},
		{"master_failover_state", "no-failover"},
		{"master_replid", s.Backend().Self().Hex()},
		{"master_replid2", strings.Repeat("0", 40)},
		{"master_repl_offset", "0"},
		{"second_repl_offset", "-1"},
		{"repl_backlog_active", "0"},
		{"repl_backlog_size", "0"},
		{"repl_backlog_first_byte_offset", "0"},
		{"repl_backlog_histlen", "0"},
	}
}

// commandStatsFields show every command that was called. Times are not measured: a pipeline runs as one vector, so a
// command has none of its own.
func commandStatsFields(s *Server) []InfoField {
	var fields []InfoField
	show := func(c *Command) {
		st := c.Stats()
		calls, rejected, failed := st.Calls.Load(), st.Rejected.Load(), st.Failed.Load()
		if calls+rejected == 0 {
			return
		}
		fields = append(fields, InfoField{"cmdstat_" + c.FullName(), fmt.Sprintf(
			"calls=%d,usec=0,usec_per_call=0.00,rejected_calls=%d,failed_calls=%d", calls, rejected, failed)})
	}
	for _, c := range s.Commands().All() {
		show(c)
		for _, sub := range c.Subcommands {
			show(sub)
		}
	}
	return fields
}

func ringInfoFields(s *Server) []InfoField {
	if t := s.topology(); t != nil {
		return t.ringFields()
	}
	return nil
}
