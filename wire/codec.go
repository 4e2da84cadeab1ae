package wire

import (
	"encoding/binary"

	"shoal/causal"
)

func (op *Op) append(b []byte) []byte {
	flags := byte(op.TTL)
	if op.ReadOne {
		flags |= 0x80
	}
	b = append(b, byte(op.Code), flags)
	b = binary.BigEndian.AppendUint16(b, uint16(op.Partition))
	b = binary.BigEndian.AppendUint16(b, uint16(op.Slot))
	b = binary.AppendVarint(b, op.At)
	b = appendBytes(b, op.Key)
	b = appendBytes(b, op.Value)
	return appendBytes(b, op.Context)
}

func (r *reader) op(op *Op) {
	op.Code = Code(r.byte())
	flags := r.byte()
	op.TTL, op.ReadOne = TTL(flags&0x7f), flags&0x80 != 0
	op.Partition, op.Slot = r.partition(), r.slot()
	op.At = r.varint()
	op.Key, op.Value, op.Context = r.bytes(), r.bytes(), r.bytes()
	if op.Code == OpInvalid || op.Code > OpCountSlot || op.TTL > TTLKeep {
		r.fail("unknown operation %d with expiry mode %d", op.Code, op.TTL)
	}
}

func (x *Result) append(b []byte) []byte {
	found := byte(0)
	if x.Found {
		found = 1
	}
	b = append(b, byte(x.Status), found, byte(x.Kind), x.Reached, x.Wanted)
	b = binary.AppendVarint(b, x.Int)
	b = appendBytes(b, x.Value)
	b = appendBytes(b, x.Context)
	b = binary.AppendUvarint(b, uint64(len(x.Siblings)))
	for i := range x.Siblings {
		s := &x.Siblings[i]
		b = appendBytes(b, s.Value)
		b = appendDot(b, s.Dot)
		b = binary.AppendVarint(b, s.UnixMs)
	}
	return appendBytes(b, []byte(x.Err))
}

func (r *reader) result(x *Result) {
	x.Status, x.Found, x.Kind = Status(r.byte()), r.byte() == 1, causal.Kind(r.byte())
	x.Reached, x.Wanted = r.byte(), r.byte()
	x.Int = r.varint()
	x.Value, x.Context = r.bytes(), r.bytes()
	for range r.count(11) {
		x.Siblings = append(x.Siblings, Sibling{Value: r.bytes(), Dot: r.dot(), UnixMs: r.varint()})
	}
	x.Err = string(r.bytes())
	if x.Status > Failed {
		r.fail("unknown status %d", x.Status)
	}
}
