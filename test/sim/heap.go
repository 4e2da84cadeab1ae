package sim

import "shoal/causal"

// event is something that happens at a time. Which fields count depends on kind.
type event struct {
	at      int64 // virtual ms
	order   uint64
	kind    eventKind
	node    int
	life    int // boot number of the node it is meant for; 0: any
	peer    int
	session int
	frame   []byte
	actor   causal.Actor // of a frame: the incarnation that sent it
	doubled bool         // a second delivery of the same frame
}

type eventKind uint8

const (
	evTimer   eventKind = iota // the node's regular tick
	evWork                     // the node ends the tick that inputs opened
	evFrame                    // a frame arrives
	evUp                       // the node learns that a connection stands
	evDown                     // the node learns that a connection is gone
	evConnect                  // two nodes may connect
	evSync                     // fsync
	evBoot
	evClient // a client goes on
	evFault  // the adversary acts
	evHeal   // a link works again
	evJoin   // a node without a map asks a member
	evVanish
	evTrim   // a log is trimmed
	evBackup // a disk is copied
	evJudge  // a node compares its clock with the others'
	evClock  // a clock is set right
	evAmbush // an acceptor stops and the proposer is cut off
)

// heap is a binary heap by (at, order): events of the same ms happen in the order in which they were planned.
type heap struct {
	list  []event
	order uint64
}

func (h *heap) push(e event) {
	h.order++
	e.order = h.order
	h.list = append(h.list, e)
	i := len(h.list) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !h.before(i, up) {
			break
		}
		h.list[i], h.list[up] = h.list[up], h.list[i]
		i = up
	}
}

func (h *heap) pop() event {
	out := h.list[0]
	last := len(h.list) - 1
	h.list[0] = h.list[last]
	h.list[last] = event{}
	h.list = h.list[:last]
	for i := 0; ; {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < last; c++ {
			if h.before(c, least) {
				least = c
			}
		}
		if least == i {
			return out
		}
		h.list[i], h.list[least] = h.list[least], h.list[i]
		i = least
	}
}

func (h *heap) before(i, j int) bool {
	a, b := &h.list[i], &h.list[j]
	return a.at < b.at || a.at == b.at && a.order < b.order
}
