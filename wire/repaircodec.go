package wire

import (
	"encoding/binary"

	"shoal/causal"
	"shoal/ring"
)

// The byte form of the items of repair: partition, then the fields of the kind.
func (it *Item) appendRepair(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
	switch it.Kind {
	case ItemAdvert:
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = appendSized(b, it.Repair.durable().Append)
	case ItemFill:
		b = binary.AppendUvarint(b, it.Digest)
		b = binary.BigEndian.AppendUint16(b, uint16(it.Slot))
		b = appendBytes(b, it.Key)
	case ItemFilled:
		b = binary.AppendUvarint(b, it.Digest)
		if it.Has(FlagRefused) {
			return b
		}
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = appendSized(b, it.Clock.Append)
		b = appendSized(b, it.Repair.flushed().Append)
		b = it.Horizon.Append(b)
		b = it.appendEntries(b)
		b = it.appendRows(b)
	case ItemActor:
		b = binary.AppendUvarint(b, it.Digest)
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = binary.AppendUvarint(b, uint64(len(it.Repair.Boots)))
		for _, x := range it.Repair.Boots {
			b = binary.BigEndian.AppendUint64(b, uint64(x.Node))
			b = binary.BigEndian.AppendUint64(b, uint64(x.Incarnation))
		}
	case ItemActorKnown, ItemClose:
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		if it.Has(FlagRefused) {
			return b
		}
		b = appendSized(b, it.Clock.Append)
		b = binary.AppendUvarint(b, it.Digest)
	}
	return b
}

func (r *reader) repair(it *Item) {
	it.Partition = r.partition()
	switch it.Kind {
	case ItemAdvert:
		it.Life = causal.Actor(r.uint64())
		it.Repair = &Repair{Durable: r.clock()}
	case ItemFill:
		it.Digest, it.Slot = r.uvarint(), r.slot()
		it.Key = r.bytes()
	case ItemFilled:
		it.Digest, it.Repair = r.uvarint(), &Repair{}
		if it.Has(FlagRefused) {
			return
		}
		it.Life = causal.Actor(r.uint64())
		it.Clock = r.clock()
		it.Repair.Flushed = r.clock()
		it.Horizon = r.vector()
		r.entries(it)
		r.rows(it)
	case ItemActor:
		it.Digest, it.Life, it.Repair = r.uvarint(), causal.Actor(r.uint64()), &Repair{}
		for range r.count(16) {
			it.Repair.Boots = append(it.Repair.Boots, Boot{ring.NodeID(r.uint64()), causal.Actor(r.uint64())})
		}
	case ItemActorKnown, ItemClose:
		it.Life = causal.Actor(r.uint64())
		if it.Has(FlagRefused) {
			return
		}
		it.Clock = r.clock()
		it.Digest = r.uvarint()
	}
}

var noClock causal.Clock

func (x *Repair) durable() *causal.Clock {
	if x == nil || x.Durable == nil {
		return &noClock
	}
	return x.Durable
}

func (x *Repair) flushed() *causal.Clock {
	if x == nil || x.Flushed == nil {
		return &noClock
	}
	return x.Flushed
}
