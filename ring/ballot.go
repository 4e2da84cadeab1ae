package ring

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
)

// Ballot numbers one attempt of one proposer. Ballots are totally ordered and no two attempts share one. The zero
// Ballot is below every real one.
type Ballot struct {
	Round uint64
	Node  NodeID
}

// Compare orders ballots by round, then node.
func (b Ballot) Compare(c Ballot) int {
	if d := cmp.Compare(b.Round, c.Round); d != 0 {
		return d
	}
	return cmp.Compare(b.Node, c.Node)
}

// AcceptorState is what a member must never forget while an epoch is being decided. The zero state is that of a member
// that has promised nothing.
type AcceptorState struct {
	Epoch    uint64 // the epoch being decided: one more than the epoch of the map whose members decide
	Promised Ballot // nothing below it is answered with anything but a refusal
	Accepted Ballot // ballot under which Value was accepted, zero when nothing was
	Value    []byte // encoded map, nil when nothing was accepted
}

// stateFormat is the first byte of an encoded AcceptorState.
const stateFormat = 1

// Append appends the state's encoding: format u8, epoch u64, promised and accepted {round u64, node u64}, value length
// u32 and bytes; integers are big-endian.
func (s AcceptorState) Append(b []byte) []byte {
	b = append(b, stateFormat)
	b = binary.BigEndian.AppendUint64(b, s.Epoch)
	b = appendBallot(appendBallot(b, s.Promised), s.Accepted)
	return appendValue(b, s.Value)
}

// DecodeAcceptorState is the inverse of Append. It takes any bytes and keeps no reference to them; the error wraps
// ErrDamaged.
func DecodeAcceptorState(b []byte) (AcceptorState, error) {
	r := &reader{b: b}
	if f := r.u8(); f != stateFormat {
		return AcceptorState{}, fmt.Errorf("%w: acceptor state format %d", ErrDamaged, f)
	}
	s := AcceptorState{Epoch: r.u64(), Promised: r.ballot(), Accepted: r.ballot(), Value: r.value()}
	accepted := s.Accepted != Ballot{}
	if !r.done() || s.Promised.Compare(s.Accepted) < 0 || accepted != (s.Value != nil) {
		return AcceptorState{}, fmt.Errorf("%w: acceptor state", ErrDamaged)
	}
	return s, nil
}

func appendBallot(b []byte, x Ballot) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, x.Round), uint64(x.Node))
}

func (r *reader) ballot() Ballot { return Ballot{Round: r.u64(), Node: NodeID(r.u64())} }

func appendValue(b, value []byte) []byte {
	return append(binary.BigEndian.AppendUint32(b, uint32(len(value))), value...)
}

// value reads a copy of an encoded map, nil when it is empty.
func (r *reader) value() []byte {
	n := r.u32()
	if n > MaxMapBytes {
		r.bad = true
	}
	if v := r.take(int(n)); len(v) > 0 {
		return bytes.Clone(v)
	}
	return nil
}
