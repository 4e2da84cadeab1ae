package ring

import (
	"bytes"
	"slices"
)

// Times of a proposer, in ms of the caller's clock.
const (
	agreeResend     = 200  // without an answer, ask again: the message may be lost
	agreeBackoff    = 50   // most that is waited after the first defeat; doubles with each
	agreeBackoffMax = 3200 // ... up to this
)

// attempt is a proposer at work. It keeps one ballot until another proposer's defeats it, asking again whoever has not
// answered, and then waits a random while before it takes a higher one: two proposers would otherwise defeat each
// other for ever.
type attempt struct {
	wish      []byte // what this node would like
	ballot    Ballot
	accepting bool   // phase two: value is settled for this ballot
	value     []byte // in phase one the value of best or nil, in phase two what is proposed
	best      Ballot // highest ballot under which a promise reported a value
	votes     []NodeID
	highest   uint64 // highest round seen anywhere
	defeats   int
	restartAt int64 // when to take a higher ballot; 0 when not defeated
	resendAt  int64
}

// Propose starts to propose the map of the next epoch and goes on, through Tick, until a map is decided: this one or
// another. The same map again changes nothing. The error is ErrBusy, ErrNotMember, or wraps ErrBadSuccessor.
func (a *Agreement) Propose(now int64, next *Map) (AgreeEffects, error) {
	if !a.taking() {
		return AgreeEffects{}, ErrNotMember
	}
	if err := a.current.checkNext(next); err != nil {
		return AgreeEffects{}, err
	}
	wish := next.Append(nil)
	if a.attempt != nil && bytes.Equal(a.attempt.wish, wish) {
		return AgreeEffects{}, nil
	}
	if a.attempt != nil || a.decided != nil {
		return AgreeEffects{}, ErrBusy
	}
	a.attempt = &attempt{wish: wish}
	a.begin(now)
	return a.take(), nil
}

// Tick lets time pass: it asks again or starts over when it is time to. Call it every few tens of ms while Proposing.
func (a *Agreement) Tick(now int64) AgreeEffects {
	t := a.attempt
	switch {
	case t == nil:
	case t.restartAt != 0 && now >= t.restartAt:
		a.begin(now)
	case t.restartAt == 0 && now >= t.resendAt:
		t.resendAt = now + agreeResend
		a.ask(now)
	}
	return a.take()
}

// begin takes a ballot that is higher than all seen, and never used before: this node's own promise of it is durable
// before anyone hears of it, so that it is not used again after a crash either.
func (a *Agreement) begin(now int64) {
	t := a.attempt
	t.highest = max(t.highest, a.state.Promised.Round) + 1
	t.ballot = Ballot{Round: t.highest, Node: a.self}
	t.accepting, t.value, t.best, t.votes = false, nil, Ballot{}, nil
	t.restartAt, t.resendAt = 0, now+agreeResend
	a.ask(now)
}

// ask puts the question of the phase to every member that has not answered it yet, itself included.
func (a *Agreement) ask(now int64) {
	t := a.attempt
	msg := AgreeMsg{Kind: AgreePrepare, Epoch: a.state.Epoch, Ballot: t.ballot}
	if t.accepting {
		msg.Kind, msg.Value = AgreeAccept, t.value
	}
	for _, m := range a.current.Members {
		if m.ID != a.self && !slices.Contains(t.votes, m.ID) {
			a.send(m.ID, msg)
		}
	}
	if !slices.Contains(t.votes, a.self) {
		if reply := a.answer(&msg); reply.Kind != 0 {
			a.hear(now, a.self, &reply)
		}
	}
}

// hear takes an acceptor's answer. Answers to earlier ballots are stale, except that a refusal is always news.
func (a *Agreement) hear(now int64, from NodeID, msg *AgreeMsg) {
	t := a.attempt
	if t == nil {
		return
	}
	if msg.Kind == AgreeRefused {
		t.defeated(now, msg, &a.random)
		return
	}
	phase := msg.Kind == AgreePromise && !t.accepting || msg.Kind == AgreeAccepted && t.accepting
	if msg.Ballot != t.ballot || !phase || slices.Contains(t.votes, from) {
		return
	}
	t.votes = append(t.votes, from)
	if !t.accepting && msg.Other.Compare(t.best) > 0 {
		t.best, t.value = msg.Other, msg.Value
	}
	if len(t.votes) < a.current.majority() {
		return
	}
	if t.accepting {
		a.won()
		return
	}
	if t.value == nil {
		t.value = t.wish
	}
	t.accepting, t.votes = true, nil
	t.resendAt = now + agreeResend
	a.ask(now)
}

// defeated plans a higher ballot for later. The present one goes on until then: a majority may still be for it.
func (t *attempt) defeated(now int64, msg *AgreeMsg, r *random) {
	t.highest = max(t.highest, msg.Other.Round)
	if msg.Ballot != t.ballot || t.restartAt != 0 {
		return
	}
	most := min(int64(agreeBackoff)<<min(t.defeats, 16), agreeBackoffMax)
	t.defeats++
	t.restartAt = now + 1 + r.below(most)
}

// won: a majority has accepted the value, so nothing else can be decided. Tell everyone; who misses it learns the map
// as any newer map is learned.
func (a *Agreement) won() {
	next, err := a.current.decodeNext(a.attempt.value)
	if err != nil {
		return // cannot be: acceptors accept only what decodes
	}
	msg := AgreeMsg{Kind: AgreeDecided, Epoch: next.Epoch, Value: a.attempt.value}
	for _, m := range a.current.Members {
		if m.ID != a.self {
			a.send(m.ID, msg)
		}
	}
	a.decide(next)
}
