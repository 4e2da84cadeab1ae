package resp

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"shoal/ring"
)

// topology is the ring as clients are told: who of the live owners serves which slots.
type topology struct {
	ring   *ring.Map
	self   ring.NodeID
	live   map[ring.NodeID]bool
	ranges []slotRange

	derive  sync.Once // makes what follows, which costs a walk over all ranges for every member
	primary map[ring.NodeID][][2]ring.Slot
	nodes   string // CLUSTER NODES
	owning  int    // members that own at least one partition
}

// slotRange is a run of slots, both ends included, with its live owners in order, never empty.
type slotRange struct {
	first, last ring.Slot
	owners      []ring.NodeID
}

// topology is the ring as it is now, nil while there is none. It is derived again only when the map or who seems alive
// has changed: clients and INFO ask for it often, and it costs a walk over all partitions.
func (s *Server) topology() *topology {
	b := s.opts.Backend
	m := b.Ring()
	if m == nil {
		return nil
	}
	t := s.shown.Load()
	if t == nil || !t.current(m, b.Self(), b.Live) {
		t = newTopology(m, b.Self(), b.Live)
		s.shown.Store(t)
	}
	return t
}

// current reports whether the topology is that of the given map and of who is alive.
func (t *topology) current(m *ring.Map, self ring.NodeID, live func(ring.NodeID) bool) bool {
	if t.ring != m || t.self != self {
		return false
	}
	for _, x := range m.Members {
		if t.live[x.ID] != (x.ID == self || live(x.ID)) {
			return false
		}
	}
	return true
}

// derived is the topology with everything that follows from it.
func (t *topology) derived() *topology {
	t.derive.Do(func() {
		t.primary = make(map[ring.NodeID][][2]ring.Slot, len(t.ring.Members))
		for _, x := range t.ring.Members {
			t.primary[x.ID] = t.primaryRanges(x.ID)
		}
		t.nodes = t.nodesText()
		t.owning = t.owningMembers()
	})
	return t
}

// newTopology asks once for every member whether it is alive, so that one reply does not contradict itself. A node is
// alive to itself.
func newTopology(m *ring.Map, self ring.NodeID, live func(ring.NodeID) bool) *topology {
	t := &topology{ring: m, self: self, live: make(map[ring.NodeID]bool, len(m.Members))}
	for _, x := range m.Members {
		t.live[x.ID] = x.ID == self || live(x.ID)
	}
	for p := range m.Owners {
		t.extend(ring.Partition(p))
	}
	return t
}

// extend adds a partition's slots, to the last range when that one has the same owners and ends just before. Clients
// hold the whole list and ask for it often, so it is kept short.
func (t *topology) extend(p ring.Partition) {
	var owners []ring.NodeID
	for _, id := range t.ring.OwnersOf(p) {
		if t.live[id] {
			owners = append(owners, id)
		}
	}
	if len(owners) == 0 {
		return
	}
	first, last := t.ring.SlotRange(p)
	if n := len(t.ranges); n > 0 && t.ranges[n-1].last+1 == first && slices.Equal(t.ranges[n-1].owners, owners) {
		t.ranges[n-1].last = last
		return
	}
	t.ranges = append(t.ranges, slotRange{first, last, owners})
}

// primaryRanges are the slots whose first live owner the node is, as [first, last] pairs in order, merged where they
// touch.
func (t *topology) primaryRanges(id ring.NodeID) [][2]ring.Slot {
	var found [][2]ring.Slot
	for _, r := range t.ranges {
		if r.owners[0] != id {
			continue
		}
		if n := len(found); n > 0 && found[n-1][1]+1 == r.first {
			found[n-1][1] = r.last
			continue
		}
		found = append(found, [2]ring.Slot{r.first, r.last})
	}
	return found
}

// servedSlots is how many slots have a live owner.
func (t *topology) servedSlots() int {
	n := 0
	for _, r := range t.ranges {
		n += int(r.last-r.first) + 1
	}
	return n
}

// liveMembers is how many members seem alive, this node included.
func (t *topology) liveMembers() int {
	n := 0
	for _, ok := range t.live {
		if ok {
			n++
		}
	}
	return n
}

// owningMembers is how many members own at least one partition.
func (t *topology) owningMembers() int {
	owning := make(map[ring.NodeID]bool, len(t.ring.Members))
	for _, owners := range t.ring.Owners {
		for _, id := range owners {
			owning[id] = true
		}
	}
	return len(owning)
}

// nodesText is CLUSTER NODES: one line per member, a master of its primary ranges.
func (t *topology) nodesText() string {
	var b strings.Builder
	for _, x := range t.ring.Members {
		host, port := hostPort(x.Client)
		_, bus := hostPort(x.Peer)
		flags, link := "master", "connected"
		switch {
		case x.ID == t.self:
			flags = "myself,master"
		case !t.live[x.ID]:
			flags, link = "master,fail?", "disconnected"
		}
		b.WriteString(x.ID.Hex() + " " + host + ":" + itoa(port) + "@" + itoa(bus) + " " + flags + " - 0 0 " +
			strconv.FormatUint(t.ring.Epoch, 10) + " " + link)
		for _, r := range t.primary[x.ID] {
			b.WriteString(" " + itoa(int64(r[0])))
			if r[1] != r[0] {
				b.WriteString("-" + itoa(int64(r[1])))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// infoFields are those of CLUSTER INFO that follow from the ring.
func (t *topology) infoFields() []InfoField {
	served := t.servedSlots()
	state := "ok"
	if served < ring.Slots {
		state = "fail"
	}
	epoch := strconv.FormatUint(t.ring.Epoch, 10)
	return []InfoField{
		{"cluster_state", state},
		{"cluster_slots_assigned", itoa(ring.Slots)},
		{"cluster_slots_ok", itoa(int64(served))},
		{"cluster_slots_pfail", "0"},
		{"cluster_slots_fail", itoa(int64(ring.Slots - served))},
		{"cluster_known_nodes", itoa(int64(len(t.ring.Members)))},
		{"cluster_size", itoa(int64(t.derived().owning))},
		{"cluster_current_epoch", epoch},
		{"cluster_my_epoch", epoch},
		{"cluster_stats_messages_sent", "0"},
		{"cluster_stats_messages_received", "0"},
		{"total_cluster_links_buffer_limit_exceeded", "0"},
	}
}

// ringFields are the section "ring" of INFO.
func (t *topology) ringFields() []InfoField {
	return []InfoField{
		{"ring_epoch", strconv.FormatUint(t.ring.Epoch, 10)},
		{"ring_members", itoa(int64(len(t.ring.Members)))},
		{"ring_live", itoa(int64(t.liveMembers()))},
		{"ring_partitions", itoa(int64(t.ring.Q))},
		{"ring_replicas", itoa(int64(t.ring.N))},
		{"ring_pending_transfers", itoa(int64(len(t.ring.Pending)))},
	}
}

// hostPort splits an announced address, whose form the ring has checked. An IPv6 host loses its brackets, as clients
// expect it.
func hostPort(address string) (host string, port int64) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return address, 0
	}
	port, _ = parseInt([]byte(text))
	return host, port
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
