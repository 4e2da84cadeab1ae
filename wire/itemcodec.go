package wire

import (
	"encoding/binary"

	"shoal/causal"
)

// Append appends the byte form of an item: kind, flags, id, then the fields of its kind in the order of its comment.
func (it *Item) Append(b []byte) []byte {
	b = append(b, byte(it.Kind), byte(it.Flags))
	b = binary.AppendUvarint(b, it.ID)
	switch it.Kind {
	case ItemOp:
		b = it.Op.append(b)
	case ItemResult:
		b = it.Result.append(b)
	case ItemWrite, ItemHint:
		b = it.appendKey(b)
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = appendSized(b, it.Row.Append)
	case ItemFlush:
		b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = appendDot(b, it.Dot)
		b = appendSized(b, it.Clock.Append)
	case ItemRead:
		b = it.appendKey(b)
		b = binary.BigEndian.AppendUint64(b, it.Digest)
	case ItemRow:
		if !it.Has(FlagSame | FlagRefused) {
			b = appendSized(b, it.Row.Append)
		}
		if it.Has(FlagFlushed) {
			b = appendSized(b, it.Clock.Append)
		}
	case ItemClockRead:
		b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
	case ItemClock:
		if !it.Has(FlagRefused) {
			b = appendSized(b, it.Clock.Append)
		}
	case ItemPull:
		b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = appendSized(b, it.Clock.Append)
		b = appendSized(b, it.Repair.durable().Append)
	case ItemPulled:
		b = it.appendPulled(b)
	case ItemMap, ItemAgree, ItemSurvey, ItemSurveyed, ItemFilling:
		b = appendBytes(b, it.Blob)
	case ItemWritten:
		b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
		b = appendSized(b, it.sharedRow().Append)
		b = it.Result.append(b)
	case ItemSums, ItemKeys, ItemHashed, ItemFetch, ItemFetched:
		b = it.appendCompare(b)
	case ItemDurable, ItemAdvert, ItemFill, ItemFilled, ItemActor, ItemActorKnown, ItemClose:
		b = it.appendRepair(b)
	}
	return b
}

// sharedRow is the row without the value that the receiver has.
func (it *Item) sharedRow() causal.Container {
	if !it.Has(FlagShared) || len(it.Row.Versions) != 1 {
		return it.Row
	}
	v := it.Row.Versions[0]
	v.Payload = nil
	return causal.Container{Versions: []causal.Version{v}, Vector: it.Row.Vector}
}

func (it *Item) appendKey(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
	b = binary.BigEndian.AppendUint16(b, uint16(it.Slot))
	return appendBytes(b, it.Key)
}

func (it *Item) appendPulled(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(it.Partition))
	b = binary.BigEndian.AppendUint64(b, uint64(it.Life))
	b = appendSized(b, it.Repair.durable().Append)
	b = it.appendEntries(b)
	b = it.appendRows(b)
	if it.Has(FlagComplete) {
		b = appendSized(b, it.Clock.Append)
	}
	if it.Has(FlagComplete | FlagRefused) {
		b = it.Horizon.Append(b)
	}
	return b
}

func (it *Item) appendEntries(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(it.Entries)))
	for i := range it.Entries {
		e := &it.Entries[i]
		b = appendDot(b, e.Dot)
		if e.Dropped != nil {
			b = append(b, 1)
			b = appendSized(b, e.Dropped.Append)
			continue
		}
		b = append(b, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(e.Slot))
		b = appendBytes(b, e.Key)
	}
	return b
}

func (it *Item) appendRows(b []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(it.Rows)))
	for i := range it.Rows {
		b = binary.BigEndian.AppendUint16(b, uint16(it.Rows[i].Slot))
		b = appendBytes(b, it.Rows[i].Key)
		b = appendSized(b, it.Rows[i].Row.Append)
	}
	return b
}

func appendDot(b []byte, d causal.Dot) []byte {
	b = binary.BigEndian.AppendUint64(b, uint64(d.Actor))
	return binary.AppendUvarint(b, d.Seq)
}

func appendBytes(b, x []byte) []byte {
	b = binary.AppendUvarint(b, uint64(len(x)))
	return append(b, x...)
}

// appendSized appends what encode appends, behind its length in 4 bytes.
func appendSized(b []byte, encode func([]byte) []byte) []byte {
	at := len(b)
	b = encode(append(b, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(b[at:], uint32(len(b)-at-4))
	return b
}

func (r *reader) item(it *Item) {
	it.Kind, it.Flags = Kind(r.byte()), Flags(r.byte())
	it.ID = r.uvarint()
	switch it.Kind {
	case ItemOp:
		it.Op = r.newOp()
		r.op(it.Op)
	case ItemResult:
		it.Result = r.newResult()
		r.result(it.Result)
	case ItemWrite, ItemHint:
		r.key(it)
		it.Life = causal.Actor(r.uint64())
		it.Row = r.container()
	case ItemFlush:
		it.Partition, it.Life = r.partition(), causal.Actor(r.uint64())
		it.Dot = r.dot()
		it.Clock = r.clock()
	case ItemAck:
	case ItemRead:
		r.key(it)
		it.Digest = r.uint64()
	case ItemRow:
		if !it.Has(FlagSame | FlagRefused) {
			it.Row = r.container()
		}
		if it.Has(FlagFlushed) {
			it.Clock = r.clock()
		}
	case ItemClockRead:
		it.Partition = r.partition()
	case ItemClock:
		if !it.Has(FlagRefused) {
			it.Clock = r.clock()
		}
	case ItemPull:
		it.Partition, it.Life = r.partition(), causal.Actor(r.uint64())
		it.Clock = r.clock()
		it.Repair = &Repair{Durable: r.clock()}
	case ItemPulled:
		r.pulled(it)
	case ItemMap, ItemAgree, ItemSurvey, ItemSurveyed, ItemFilling:
		it.Blob = r.bytes()
	case ItemWritten:
		it.Life = causal.Actor(r.uint64())
		it.Row = r.container()
		it.Result = r.newResult()
		r.result(it.Result)
	case ItemSums, ItemKeys, ItemHashed, ItemFetch, ItemFetched:
		r.compare(it)
	case ItemDurable, ItemAdvert, ItemFill, ItemFilled, ItemActor, ItemActorKnown, ItemClose:
		r.repair(it)
	default:
		r.fail("unknown item %d", it.Kind)
	}
}

func (r *reader) key(it *Item) {
	it.Partition, it.Slot = r.partition(), r.slot()
	it.Key = r.bytes()
}

func (r *reader) pulled(it *Item) {
	it.Partition, it.Life = r.partition(), causal.Actor(r.uint64())
	it.Repair = &Repair{Durable: r.clock()}
	r.entries(it)
	r.rows(it)
	if it.Has(FlagComplete) {
		it.Clock = r.clock()
	}
	if it.Has(FlagComplete | FlagRefused) {
		it.Horizon = r.vector()
	}
}

func (r *reader) entries(it *Item) {
	for range r.count(13) {
		e := LogEntry{Dot: r.dot()}
		if r.byte() == 1 {
			e.Dropped = r.clock()
		} else {
			e.Slot = r.slot()
			e.Key = r.bytes()
		}
		it.Entries = append(it.Entries, e)
	}
}

func (r *reader) rows(it *Item) {
	for range r.count(10) {
		it.Rows = append(it.Rows, KeyRow{Slot: r.slot(), Key: r.bytes(), Row: r.container()})
	}
}

func (r *reader) vector() causal.Vector {
	if r.err != nil {
		return nil
	}
	v, rest, err := causal.DecodeVector(r.b)
	if r.b = rest; err != nil {
		r.fail("%v", err)
	}
	return v
}
