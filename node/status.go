package node

import (
	"errors"

	"shoal/antientropy"
	"shoal/coord"
	"shoal/engine"
	"shoal/handoff"
	"shoal/ring"
)

// Status is a node as its operator sees it: /status.json, INFO and the metrics are made from it.
type Status struct {
	Name, ID    string
	Ready       bool
	Cluster     string `json:",omitempty"`
	Incarnation uint64
	Epoch       uint64
	N, R, W     int
	Partitions  int
	Members     int
	Live        int // members that answer this node, itself included
	ClockOff    bool

	Replicas      int // partition replicas of this node
	ReplicasWhole int // ... that may answer a read by themselves

	OwnKeys      int64 // live keys of this node's replicas
	Rows         int64
	Tombstones   int64
	SiblingsKeys int64
	SiblingsMax  int64
	DiskBytes    int64
	DiskFull     bool  // writes are refused
	Unreadable   int64 // rows and blocks that the store found unreadable
	Pending      int   // operations that wait for other nodes

	Coord coord.Stats
	Pull  antientropy.Stats

	Compare      antientropy.CompareStats
	CompareAgeMs int64 // since the comparison longest ago, of all partitions with all other owners; -1: not all took place
	CompareDue   int   // comparisons due or under way

	Hints      int // kept for owners that could not be reached
	HintBytes  int64
	Handoff    handoff.Stats
	HintsFor   []HintTarget `json:",omitempty"` // owners of partitions with hints
	LogEntries int64        // kept since some owner is not known to have them on its disk
	LogTrimmed int64        // log entries forgotten at the log's cap
	Reap       antientropy.ReapStats
	Close      antientropy.CloseStats
	Refill     RefillStatus

	PendingTransfers int // replicas that are being filled, of all members that are up

	PacePercent int // share of its full pace that repair has at the moment: clients come first

	Peers []PeerStatus `json:",omitempty"`
}

// HintTarget is what an owner is, or was, to be handed by this node.
type HintTarget struct {
	Name               string
	Waiting            int
	Replayed, Rejected uint64
}

// RefillStatus says what this node has had to fill, and how far it is.
type RefillStatus struct {
	antientropy.FillStats
	Filling int   // replicas that are being filled
	Taken   int64 // rows that they have by now
}

// PeerStatus is another member as this node sees it.
type PeerStatus struct {
	Name, ID, Client, Peer string
	Zone                   string `json:",omitempty"`
	Up                     bool
	ClockOffsetMs          int64
}

// Status reads the node's state.
func (n *Node) Status() Status {
	shown := n.shown.Load()
	n.mu.Lock()
	defer n.mu.Unlock()
	st := Status{
		Name: n.opts.Name, ID: n.id.Node.Hex(), Ready: shown != nil,
		Incarnation: uint64(n.store.Incarnation()),
		R:           n.opts.R, W: n.opts.W,
		ClockOff: n.mu.skew.off,
		DiskFull: errors.Is(n.store.Full(), engine.ErrFull),
		Pending:  n.mu.coord.Pending(), PacePercent: 100 * n.mu.pace.share / fullPace,
		Coord: n.mu.coord.Stats, Pull: n.mu.puller.Stats, Compare: n.mu.comparer.Stats,
		CompareAgeMs: n.mu.comparer.Age(n.now()), CompareDue: n.mu.comparer.Due(n.now()),
	}
	es := n.store.Stats()
	st.Rows, st.Tombstones, st.SiblingsKeys, st.SiblingsMax, st.DiskBytes = es.Rows, es.Tombstones, es.SiblingsKeys, es.SiblingsMax, es.DiskBytes
	st.Unreadable = es.Unreadable
	st.Hints, st.HintBytes, st.LogEntries, st.LogTrimmed = int(es.Hints), es.HintBytes, es.LogEntries, es.LogTrimmed
	st.Handoff, st.Reap, st.Close = n.mu.keeper.Stats, n.mu.reaper.Stats, n.mu.closer.Stats
	fills := n.mu.refiller.Progress()
	st.Refill = RefillStatus{FillStats: n.mu.refiller.Stats, Filling: fills.Filling, Taken: fills.Rows}
	st.PendingTransfers = fills.Filling + n.mu.coord.PeersFilling()
	if n.mu.closed || shown == nil {
		return st
	}
	for _, t := range n.mu.keeper.Targets() {
		st.HintsFor = append(st.HintsFor, HintTarget{Name: n.nameOf(t.Node), Waiting: t.Waiting, Replayed: t.Replayed, Rejected: t.Rejected})
	}
	st.OwnKeys = n.ownKeys()
	st.Cluster, st.Epoch, st.N, st.Partitions, st.Members = hex(shown.Cluster), shown.Epoch, shown.N, shown.Q, len(shown.Members)
	st.ReplicasWhole, st.Replicas = n.mu.puller.WholeCount()
	st.Live = 1
	for _, m := range shown.Members {
		if m.ID == n.id.Node {
			continue
		}
		if n.mu.up[m.ID] {
			st.Live++
		}
		st.Peers = append(st.Peers, PeerStatus{
			Name: m.Name, ID: m.ID.Hex(), Client: m.Client, Peer: m.Peer, Zone: m.Zone,
			Up: n.mu.up[m.ID], ClockOffsetMs: n.mu.skew.of(m.ID),
		})
	}
	return st
}

func hex(id ring.ClusterID) string {
	const digits = "0123456789abcdef"
	out := make([]byte, 0, 2*len(id))
	for _, b := range id {
		out = append(out, digits[b>>4], digits[b&15])
	}
	return string(out)
}

// twoValues is how often one dot was seen with two values: an alarm.
func (s *Status) twoValues() uint64 {
	return s.Coord.TwoValues + s.Pull.TwoValues + s.Compare.TwoValues + s.Handoff.TwoValues + s.Refill.TwoValues
}

// unreadable is how often a damaged row or block was met: the store counts most of what the machines do, and blocks that
// they never see.
func (s *Status) unreadable() uint64 {
	return max(uint64(s.Unreadable), s.Coord.Unreadable+s.Pull.Unreadable+s.Compare.Unreadable+s.Handoff.Unreadable+s.Refill.Unreadable)
}
