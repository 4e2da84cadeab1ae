package ring

import (
	"encoding/binary"
	"fmt"
)

// AgreeKind says what an AgreeMsg is.
type AgreeKind uint8

// The kinds. Values are part of the peer protocol: append, never renumber.
const (
	AgreePrepare  AgreeKind = 1 // promise to answer nothing below Ballot?
	AgreePromise  AgreeKind = 2 // yes; Other and Value are what was accepted last, zero when nothing was
	AgreeAccept   AgreeKind = 3 // accept Value under Ballot?
	AgreeAccepted AgreeKind = 4 // yes
	AgreeRefused  AgreeKind = 5 // no to either: Other was promised
	AgreeDecided  AgreeKind = 6 // Value is the map of Epoch, for good; the ballots are zero
)

// AgreeMsg is what members say to each other to decide the map of Epoch.
type AgreeMsg struct {
	Kind   AgreeKind
	Epoch  uint64 // the epoch being decided
	Ballot Ballot // the attempt this belongs to, in answers as in questions
	Other  Ballot // see AgreePromise and AgreeRefused
	Value  []byte // encoded map, nil when there is none
}

// agreeFormat is the first byte of an encoded AgreeMsg.
const agreeFormat = 1

// MaxAgreeBytes bounds an encoded AgreeMsg.
const MaxAgreeBytes = 1 + 1 + 8 + 16 + 16 + 4 + MaxMapBytes

// maxRound bounds rounds, so that no message can exhaust them: a proposer adds one at a time.
const maxRound = 1 << 60

// Append appends the message's encoding: format u8, kind u8, epoch u64, ballot and other {round u64, node u64}, value
// length u32 and bytes; integers are big-endian. It is at most MaxAgreeBytes long.
func (m AgreeMsg) Append(b []byte) []byte {
	b = append(b, agreeFormat, byte(m.Kind))
	b = binary.BigEndian.AppendUint64(b, m.Epoch)
	b = appendBallot(appendBallot(b, m.Ballot), m.Other)
	return appendValue(b, m.Value)
}

// DecodeAgreeMsg is the inverse of Append. It takes any bytes and keeps no reference to them; the error wraps
// ErrDamaged. The value is not looked into: Agreement does that.
func DecodeAgreeMsg(b []byte) (AgreeMsg, error) {
	r := &reader{b: b}
	if f := r.u8(); f != agreeFormat {
		return AgreeMsg{}, fmt.Errorf("%w: agreement message format %d", ErrDamaged, f)
	}
	m := AgreeMsg{Kind: AgreeKind(r.u8()), Epoch: r.u64(), Ballot: r.ballot(), Other: r.ballot(), Value: r.value()}
	if !r.done() || !m.wellFormed() {
		return AgreeMsg{}, fmt.Errorf("%w: agreement message", ErrDamaged)
	}
	return m, nil
}

// wellFormed reports whether the message has the fields of its kind and no others.
func (m *AgreeMsg) wellFormed() bool {
	ballot, other, value := m.Ballot != Ballot{}, m.Other != Ballot{}, len(m.Value) > 0
	if m.Ballot.Round > maxRound || m.Other.Round > maxRound {
		return false
	}
	switch m.Kind {
	case AgreePrepare, AgreeAccepted:
		return ballot && !other && !value
	case AgreePromise:
		return ballot && other == value
	case AgreeAccept:
		return ballot && !other && value
	case AgreeRefused:
		return ballot && other && !value
	case AgreeDecided:
		return !ballot && !other && value
	}
	return false
}
