package ring

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
)

func TestALoneMemberDecidesAtOnce(t *testing.T) {
	m := grown(t, 3, 4, 1)
	next, _ := m.WithMember(member(5, "", 1))
	a := NewAgreement(m.Members[0].ID, m, AcceptorState{}, 1)
	e, err := a.Propose(0, next)
	if err != nil || e.Decided == nil || e.Persist == nil || len(e.Sends) != 0 {
		t.Fatalf("%+v, %v", e, err)
	}
	if e.Persist.Epoch != 2 || !bytes.Equal(e.Persist.Value, next.Append(nil)) {
		t.Errorf("persisted %+v", e.Persist)
	}
	if _, err := a.Propose(0, next); !errors.Is(err, ErrBusy) {
		t.Errorf("before the decided map is installed: %v", err)
	}
}

func TestProposeRefuses(t *testing.T) {
	m := grown(t, 3, 4, 3)
	next, _ := m.WithMember(member(5, "", 1))
	rival, _ := m.WithMember(member(6, "", 1))
	later, _ := next.WithMember(member(6, "", 1))
	two := *later
	two.Epoch = next.Epoch
	other := *next
	other.ContextKey[0]++
	a := NewAgreement(m.Members[0].ID, m, AcceptorState{}, 1)
	for why, bad := range map[string]*Map{"same": m, "skips one": later, "two joins": &two, "context key": &other, "none": nil} {
		if _, err := a.Propose(0, bad); !errors.Is(err, ErrBadSuccessor) {
			t.Errorf("%s: %v", why, err)
		}
	}
	if _, err := a.Propose(0, next); err != nil {
		t.Fatal(err)
	}
	if e, err := a.Propose(0, next); err != nil || len(e.Sends) != 0 {
		t.Errorf("the same again: %+v, %v", e, err)
	}
	if _, err := a.Propose(0, rival); !errors.Is(err, ErrBusy) {
		t.Errorf("a rival: %v", err)
	}
	if _, err := NewAgreement(5, m, AcceptorState{}, 1).Propose(0, next); !errors.Is(err, ErrNotMember) {
		t.Errorf("a stranger: %v", err)
	}
}

func TestAnAcceptorIsSilent(t *testing.T) {
	m := grown(t, 3, 4, 3)
	self, peer := m.Members[0].ID, m.Members[1].ID
	prepare := func(epoch uint64, node NodeID) AgreeMsg {
		return AgreeMsg{Kind: AgreePrepare, Epoch: epoch, Ballot: Ballot{1, node}}
	}
	ahead := AcceptorState{Epoch: m.Epoch + 2, Promised: Ballot{1, peer}}
	for why, c := range map[string]struct {
		state AcceptorState
		from  NodeID
		msg   AgreeMsg
	}{
		"about an epoch after the next":           {AcceptorState{}, peer, prepare(m.Epoch+2, peer)},
		"to a node that is no member":             {AcceptorState{}, 5, prepare(m.Epoch+1, 5)},
		"to a borrowed ballot":                    {AcceptorState{}, peer, prepare(m.Epoch+1, m.Members[2].ID)},
		"when its map is older than its promises": {ahead, peer, prepare(m.Epoch+1, peer)},
		"to a value that is no map": {AcceptorState{}, peer, AgreeMsg{
			Kind: AgreeAccept, Epoch: m.Epoch + 1, Ballot: Ballot{1, peer}, Value: []byte("?")}},
	} {
		a := NewAgreement(self, m, c.state, 1)
		if e := a.Step(0, c.from, c.msg); e.Persist != nil || len(e.Sends) != 0 {
			t.Errorf("%s: %+v", why, e)
		}
	}
}

func TestAMemberThatIsBehindIsToldTheMap(t *testing.T) {
	old := grown(t, 3, 4, 3)
	next, _ := old.WithMember(member(5, "", 1))
	self, behind := old.Members[0].ID, old.Members[1].ID
	e := NewAgreement(self, next, AcceptorState{}, 1).Step(0, behind, AgreeMsg{
		Kind: AgreePrepare, Epoch: next.Epoch, Ballot: Ballot{1, behind}})
	if len(e.Sends) != 1 || e.Sends[0].Msg.Kind != AgreeDecided {
		t.Fatalf("%+v", e)
	}
	late := NewAgreement(behind, old, AcceptorState{}, 1)
	if got := late.Step(0, self, e.Sends[0].Msg).Decided; got == nil || !bytes.Equal(got.Append(nil), next.Append(nil)) {
		t.Errorf("learned %+v", got)
	}
}

// The heart of it: what a majority may have accepted is proposed again by whoever comes later.
func TestAProposerAdoptsTheHighestAcceptedValue(t *testing.T) {
	m := grown(t, 3, 4, 3)
	self, second, third := m.Members[0].ID, m.Members[1].ID, m.Members[2].ID
	mine, _ := m.WithMember(member(5, "", 1))
	low, _ := m.WithMember(member(6, "", 1))
	high, _ := m.WithMember(member(7, "", 1))
	state := AcceptorState{Epoch: m.Epoch + 1, Promised: Ballot{1, third}, Accepted: Ballot{1, third}, Value: low.Append(nil)}
	a := NewAgreement(self, m, state, 1)
	e, _ := a.Propose(0, mine)
	ballot := e.Persist.Promised
	if want := (Ballot{2, self}); ballot != want {
		t.Fatalf("ballot %v, want %v: above the own promise", ballot, want)
	}
	e = a.Step(0, second, AgreeMsg{
		Kind: AgreePromise, Epoch: m.Epoch + 1, Ballot: ballot, Other: Ballot{1, third + 1}, Value: high.Append(nil)})
	if len(e.Sends) == 0 || !bytes.Equal(e.Sends[0].Msg.Value, high.Append(nil)) {
		t.Errorf("%s", fmt.Sprint(e.Sends))
	}
}

// A promise binds the acceptor's next life as well.
func TestAPromiseOutlivesACrash(t *testing.T) {
	m := grown(t, 3, 4, 3)
	self, low, high := m.Members[0].ID, m.Members[1].ID, m.Members[2].ID
	next, _ := m.WithMember(member(5, "", 1))
	a := NewAgreement(self, m, AcceptorState{}, 1)
	e := a.Step(0, high, AgreeMsg{Kind: AgreePrepare, Epoch: m.Epoch + 1, Ballot: Ballot{2, high}})
	if e.Persist == nil || len(e.Sends) != 1 || e.Sends[0].Msg.Kind != AgreePromise {
		t.Fatalf("%+v", e)
	}
	state, err := DecodeAcceptorState(e.Persist.Append(nil))
	if err != nil {
		t.Fatal(err)
	}
	again := NewAgreement(self, m, state, 2)
	e = again.Step(0, low, AgreeMsg{
		Kind: AgreeAccept, Epoch: m.Epoch + 1, Ballot: Ballot{1, low}, Value: next.Append(nil)})
	if len(e.Sends) != 1 || e.Sends[0].Msg.Kind != AgreeRefused || e.Sends[0].Msg.Other != (Ballot{2, high}) {
		t.Errorf("after the crash: %+v", e)
	}
	if e, _ = again.Propose(0, next); e.Persist == nil || e.Persist.Promised.Round != 3 {
		t.Errorf("proposes under %+v, want a round above the promise", e.Persist)
	}
}

// Answers to an earlier ballot say nothing about the present one, and a member counts once.
func TestOnlyFreshAnswersCount(t *testing.T) {
	m := grown(t, 5, 4, 5)
	next, _ := m.WithMember(member(5, "", 1))
	self, b, c := m.Members[0].ID, m.Members[1].ID, m.Members[2].ID
	a := NewAgreement(self, m, AcceptorState{}, 1)
	e, _ := a.Propose(0, next)
	old := e.Persist.Promised
	a.Step(1, b, AgreeMsg{Kind: AgreeRefused, Epoch: m.Epoch + 1, Ballot: old, Other: Ballot{7, b}})
	e = a.Tick(1000)
	if e.Persist == nil || e.Persist.Promised != (Ballot{8, self}) {
		t.Fatalf("after a defeat: %+v", e.Persist)
	}
	promise := func(from NodeID, ballot Ballot) AgreeEffects {
		return a.Step(1001, from, AgreeMsg{Kind: AgreePromise, Epoch: m.Epoch + 1, Ballot: ballot})
	}
	for _, from := range []NodeID{b, c} {
		if e := promise(from, old); len(e.Sends) != 0 {
			t.Errorf("a stale promise counts")
		}
	}
	now := Ballot{8, self}
	if e := promise(b, now); len(e.Sends) != 0 {
		t.Error("two of five are a majority")
	}
	if e := promise(b, now); len(e.Sends) != 0 {
		t.Error("the same member counts twice")
	}
	if e := promise(c, now); len(e.Sends) != 4 || e.Sends[0].Msg.Kind != AgreeAccept || e.Persist == nil {
		t.Errorf("three of five: %+v", e)
	}
	accepted := func(from NodeID, ballot Ballot) *Map {
		return a.Step(1002, from, AgreeMsg{Kind: AgreeAccepted, Epoch: m.Epoch + 1, Ballot: ballot}).Decided
	}
	if accepted(b, old) != nil || accepted(c, old) != nil || accepted(b, now) != nil || accepted(b, now) != nil {
		t.Error("decided without a majority")
	}
	if accepted(c, now) == nil {
		t.Error("not decided with a majority")
	}
}

// Loss is answered by asking again, under the same ballot and only those who have not answered.
func TestAProposerAsksAgain(t *testing.T) {
	m := grown(t, 3, 4, 3)
	next, _ := m.WithMember(member(5, "", 1))
	a := NewAgreement(m.Members[0].ID, m, AcceptorState{}, 1)
	first, _ := a.Propose(0, next)
	if e := a.Tick(agreeResend - 1); len(e.Sends) != 0 {
		t.Errorf("too early: %+v", e)
	}
	e := a.Tick(agreeResend)
	if len(e.Sends) != 2 || e.Persist != nil || e.Sends[0].Msg.Ballot != first.Sends[0].Msg.Ballot {
		t.Errorf("%+v, want the question of %+v", e, first)
	}
}

func TestInstallTakesOnlyNewerMapsOfTheCluster(t *testing.T) {
	m := grown(t, 3, 4, 3)
	next, _ := m.WithMember(member(5, "", 1))
	foreign := *next
	foreign.Cluster[0]++
	a := NewAgreement(m.Members[0].ID, m, AcceptorState{}, 1)
	if _, err := a.Propose(0, next); err != nil {
		t.Fatal(err)
	}
	a.Install(m)
	a.Install(&foreign)
	if !a.Proposing() {
		t.Error("an older or foreign map ended the proposal")
	}
	a.Install(next)
	if a.Proposing() || a.state.Epoch != next.Epoch+1 || a.state.Promised != (Ballot{}) {
		t.Errorf("after the newer map: %+v", a.state)
	}
	joining := NewAgreement(5, nil, AcceptorState{}, 1)
	if e := joining.Tick(0); len(e.Sends) != 0 {
		t.Error("a node without a map speaks")
	}
	joining.Install(next)
	after, _ := next.WithMember(member(6, "", 1))
	if _, err := joining.Propose(0, after); err != nil {
		t.Errorf("a newcomer with the map: %v", err)
	}
}
