package ring

import (
	"errors"
	"slices"
)

// The reasons why a node cannot propose now, for errors.Is.
var (
	ErrBusy      = errors.New("ring: another map is being proposed or was just decided here")
	ErrNotMember = errors.New("ring: not a member of this node's map, or without a map that the members are at")
)

// AgreeSend is one message for one member.
type AgreeSend struct {
	To  NodeID
	Msg AgreeMsg
}

// AgreeEffects is what a call asks of its caller. Order matters: Persist (when not nil) must be durable, whatever the
// durability setting for data, before any of Sends leaves and before Decided is used; and the effects of a call must be
// performed before those of the next. The slices in it must not be changed.
type AgreeEffects struct {
	Persist *AcceptorState
	Sends   []AgreeSend
	Decided *Map // the next map, once per epoch: make it durable, then Install it
}

// Agreement is one member's part in deciding the map that follows the one it has: single-decree Paxos (Lamport: "Paxos
// Made Simple", 2001) with the members of the current map as acceptors, each of them also a possible proposer.
//
// A member takes part only in the instance that follows its own map: it answers nothing about a later one. Therefore
// epoch e+2 cannot be decided before a majority of the members of e+1 has e+1.
//
// It holds at most a few encoded maps. It is not safe for concurrent use.
type Agreement struct {
	self    NodeID
	current *Map // nil before the first Install of a joining node
	state   AcceptorState
	decided *Map // the next map once known; stays until it is installed
	random  random
	attempt *attempt // nil when not proposing

	out AgreeEffects // of the call under way
}

// NewAgreement makes the machine of node self with the map that it has (nil for a node without one) and the acceptor
// state that it persisted last (zero when it never did). The map must be durable before the machine may have it. seed
// decides only the jitter of retries.
func NewAgreement(self NodeID, m *Map, st AcceptorState, seed uint64) *Agreement {
	a := &Agreement{self: self, current: m, state: st, random: random{seed}}
	a.enter()
	return a
}

// enter makes the acceptor state one of the instance that follows the current map. A state of an older instance is
// obsolete. One of a newer instance means that the map was lost: it is kept until the map is back.
func (a *Agreement) enter() {
	if a.current != nil && a.state.Epoch <= a.current.Epoch {
		a.state = AcceptorState{Epoch: a.current.Epoch + 1}
	}
}

// taking reports whether this node is an acceptor of the instance that follows its map, with its memory intact.
func (a *Agreement) taking() bool {
	if a.current == nil || a.state.Epoch != a.current.Epoch+1 {
		return false
	}
	_, member := a.current.Member(a.self)
	return member
}

// Proposing reports whether an attempt is under way.
func (a *Agreement) Proposing() bool { return a.attempt != nil }

// Install takes a newer map, decided here or learned from anyone, and forgets everything about deciding it. It ignores
// a map that is not newer, or of another cluster. The map must be durable first.
func (a *Agreement) Install(m *Map) AgreeEffects {
	if m == nil || a.current != nil && (m.Cluster != a.current.Cluster || m.Epoch <= a.current.Epoch) {
		return AgreeEffects{}
	}
	a.current, a.decided, a.attempt = m, nil, nil
	a.enter()
	return AgreeEffects{}
}

// Step takes a message from another node. Messages of non-members of the current map and of other epochs change
// nothing.
func (a *Agreement) Step(now int64, from NodeID, msg AgreeMsg) AgreeEffects {
	if a.current == nil || from == a.self || !msg.wellFormed() {
		return AgreeEffects{}
	}
	if _, member := a.current.Member(from); !member {
		return AgreeEffects{}
	}
	if msg.Epoch == a.current.Epoch+1 {
		a.receive(now, from, &msg)
	} else if msg.Epoch == a.current.Epoch && (msg.Kind == AgreePrepare || msg.Kind == AgreeAccept) {
		a.tell(from, a.current) // a member one epoch behind proposes what is long decided
	}
	return a.take()
}

func (a *Agreement) receive(now int64, from NodeID, msg *AgreeMsg) {
	switch msg.Kind {
	case AgreePrepare, AgreeAccept:
		if msg.Ballot.Node != from {
			return // a proposer uses ballots of its own only: that is what makes them unique
		}
		if a.decided != nil {
			a.tell(from, a.decided)
		} else if a.taking() {
			if reply := a.answer(msg); reply.Kind != 0 {
				a.send(from, reply)
			}
		}
	case AgreePromise, AgreeAccepted, AgreeRefused:
		a.hear(now, from, msg)
	case AgreeDecided:
		if next, err := a.current.decodeNext(msg.Value); err == nil {
			a.decide(next)
		}
	}
}

// answer is the acceptor. A message without a kind means silence.
func (a *Agreement) answer(msg *AgreeMsg) AgreeMsg {
	if msg.Ballot.Compare(a.state.Promised) < 0 {
		return AgreeMsg{Kind: AgreeRefused, Epoch: msg.Epoch, Ballot: msg.Ballot, Other: a.state.Promised}
	}
	if msg.Kind == AgreePrepare {
		a.remember(AcceptorState{msg.Epoch, msg.Ballot, a.state.Accepted, a.state.Value})
		return AgreeMsg{
			Kind: AgreePromise, Epoch: msg.Epoch, Ballot: msg.Ballot,
			Other: a.state.Accepted, Value: a.state.Value,
		}
	}
	if a.state.Accepted != msg.Ballot {
		if _, err := a.current.decodeNext(msg.Value); err != nil {
			return AgreeMsg{}
		}
		a.remember(AcceptorState{msg.Epoch, msg.Ballot, msg.Ballot, slices.Clone(msg.Value)})
	}
	return AgreeMsg{Kind: AgreeAccepted, Epoch: msg.Epoch, Ballot: msg.Ballot}
}

// remember changes the acceptor state and has it persisted.
func (a *Agreement) remember(s AcceptorState) {
	if s.Promised == a.state.Promised && s.Accepted == a.state.Accepted {
		return // a repeated question: already persisted
	}
	a.state = s
	a.out.Persist = &s
}

// decide learns the next map: it ends proposing and reports the map once.
func (a *Agreement) decide(next *Map) {
	if a.decided == nil {
		a.decided, a.attempt = next, nil
		a.out.Decided = next
	}
}

func (a *Agreement) tell(to NodeID, m *Map) {
	a.send(to, AgreeMsg{Kind: AgreeDecided, Epoch: m.Epoch, Value: m.Append(nil)})
}

func (a *Agreement) send(to NodeID, msg AgreeMsg) {
	a.out.Sends = append(a.out.Sends, AgreeSend{To: to, Msg: msg})
}

// take hands out the effects collected by a call.
func (a *Agreement) take() AgreeEffects {
	out := a.out
	a.out = AgreeEffects{}
	return out
}
